"""The same script, hand-written on SQLAlchemy Core."""

import os

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    MetaData,
    Table,
    Text,
    create_engine,
    func,
    insert,
    update,
)

run_log = Table(
    "run_log",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("job_name", Text),
    Column("status", Text),
    Column("started_at", DateTime(timezone=True)),
    Column("finished_at", DateTime(timezone=True)),
    Column("error_message", Text),
)


def noop() -> None:
    """Do nothing."""


engine = create_engine(os.environ["RUNGUARD_DATABASE_URL"])
with engine.begin() as connection:
    run_id = connection.execute(
        insert(run_log)
        .values(job_name="noop", status="RUNNING", started_at=func.now())
        .returning(run_log.c.id)
    ).scalar_one()
failure = None
try:
    noop()
except Exception as error:
    failure = str(error)
    raise
finally:
    with engine.begin() as connection:
        connection.execute(
            update(run_log)
            .where(run_log.c.id == run_id)
            .values(
                status="SUCCESS" if failure is None else "FAILED",
                finished_at=func.now(),
                error_message=failure,
            )
        )
