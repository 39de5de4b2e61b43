"""PostgreSQL and SQLite behind the protocols of `_ports`. SQLAlchemy lives here only."""
