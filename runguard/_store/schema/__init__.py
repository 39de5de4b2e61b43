"""The tables and indexes, and what is found of them in a database."""
