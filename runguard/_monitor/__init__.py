"""How jobs stand, and in which words: read by the command line, the pages and the API. Pure."""
