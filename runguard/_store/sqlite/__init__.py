"""Recording in a SQLite file."""
