"""The jobs of the service: plain functions, whoever starts them.

None of them names runguard's options: who starts a job makes its run. `current_run()` is that run.
"""

from __future__ import annotations

import os

from sqlalchemy import NullPool, create_engine, text

from examples.enrolment_sync import CREATE, copy_enrolments
from runguard import current_run


def sync_enrolments() -> None:
    """Copy all enrolments from the upstream; the run counts them."""
    copy_enrolments()


def count_enrolments() -> int:
    """Count the enrolments that are here, as the run's `total_records`."""
    engine = create_engine(os.environ["ENROLMENT_DATABASE_URL"], poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(CREATE)
        count: int = connection.execute(text("select count(*) from enrolment")).scalar_one()
    if run := current_run():
        run.total_records = count
    return count
