"""PostgreSQL and SQLite: where runs are recorded and operators look. SQLAlchemy lives here only."""
