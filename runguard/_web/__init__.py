"""The operator's pages and the JSON API: extra `web`. Nothing outside imports their framework."""
