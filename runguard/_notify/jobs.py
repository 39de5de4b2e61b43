"""What the file says of jobs: `[jobs.NAME]`, also of jobs that have never run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .._clock import is_in_utc
from .._errors import ConfigurationError
from .._monitor.expectations import Declarer, Expectation, JobDeclaration
from .._watch.declaration import check_expectation, check_texts
from .fields import Table

LEARN: Final = "learn"
LONGEST_JOB_NAME: Final = 255


def read_jobs(jobs: Table, *, file: str, environment: str | None) -> Iterator[JobDeclaration]:
    """Read what is declared of each job; one that has a mistake is left out.

    Args:
        jobs: The table `[jobs]`.
        file: The file that declares them.
        environment: The one that they are for.
    """
    for name, table in jobs.named_tables():
        if not (name.strip() and name.isprintable() and len(name) <= LONGEST_JOB_NAME):
            jobs.wrong(
                repr(name), f"a name of 1 to {LONGEST_JOB_NAME} printable characters", "another"
            )
            continue
        declared = _read(name, table, file=file, environment=environment)
        if declared is not None:
            yield declared


def _read(name: str, table: Table, *, file: str, environment: str | None) -> JobDeclaration | None:
    before = table.mistakes
    expectation = Expectation(
        every=table.duration("every"),
        cron=table.text("cron"),
        calendar=table.text("calendar"),
        tz=table.text("tz"),
        grace=table.duration("grace"),
        max_runtime=table.duration("max_runtime"),
        min_records=table.number("min_records"),
        learn=bool(table.words("expect", (LEARN,))),
        ping_url=table.text("ping_url"),
    )
    texts = {key: table.text(key) for key in ("owner", "runbook", "description")}
    table.end()
    if table.mistakes == before:
        try:
            check_expectation(expectation, in_utc=is_in_utc())
            check_texts(**texts)
        except ConfigurationError as error:
            table.refuse(error)
    is_empty = expectation == Expectation()
    if is_empty and not any(texts.values()) and table.mistakes == before:
        table.wrong_itself("every, cron, calendar or another key", "none")
    if table.mistakes > before:
        return None
    return JobDeclaration(
        job_name=name,
        environment=environment,
        expectation=None if is_empty else expectation,
        **texts,
        by=Declarer.FILE,
        who=file,
    )
