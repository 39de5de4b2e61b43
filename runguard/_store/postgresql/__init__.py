"""Recording on a PostgreSQL server."""
