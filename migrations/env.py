"""Runs the migrations on what `runguard._store.migrate` hands over in `config.attributes`.

Nothing of the host is touched: no alembic.ini is read and no logging is configured.
"""

from __future__ import annotations

from alembic import context

from runguard._store.postgresql.pinned_texts import PinnedMigrationCompiler
from runguard._store.schema.tables import VERSION_TABLE

_GIVEN = context.config.attributes

if context.is_offline_mode():
    context.configure(
        dialect_name=_GIVEN["dialect_name"],
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
        transactional_ddl=True,
        literal_binds=True,
    )
    if _GIVEN["dialect_name"] == "postgresql":
        context.get_context().dialect.statement_compiler = PinnedMigrationCompiler
else:
    context.configure(
        connection=_GIVEN["connection"],
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
