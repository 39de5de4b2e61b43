"""${message}.

Never edited once released: what it got wrong, the next migration mends.
"""

from __future__ import annotations

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Bring the schema from the one before to this one."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Take back what `upgrade` did, and nothing else."""
    ${downgrades if downgrades else "raise NotImplementedError"}
