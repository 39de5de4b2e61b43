"""A record reads back as it was written, with every field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runguard._models import LockHolder, SpooledAlert, SpooledRun
from runguard._run.spool_format import encode
from runguard._run.spool_reading import decode, store_of
from tests.store.drafts import failure, new_run, own_alert, success

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def test_a_failed_run() -> None:
    run = new_run()._replace(lost_after=timedelta(minutes=5))
    ending = failure(run)._replace(refused_by=LockHolder("host:1:key", NOW))
    record = SpooledRun(run, NOW, NOW + timedelta(seconds=1), ending)

    assert decode(encode(record)) == record


def test_a_refused_run_whose_holder_nobody_saw() -> None:
    run = new_run()
    record = SpooledRun(run, NOW, NOW, failure(run)._replace(refused_by=LockHolder(None, None)))

    assert decode(encode(record)) == record


def test_a_run_that_went_well_and_one_that_runs() -> None:
    run = new_run()
    for record in (SpooledRun(run, NOW, NOW, success(run)), SpooledRun(run, NOW)):
        assert decode(encode(record)) == record


def test_an_alert() -> None:
    record = SpooledAlert(own_alert())

    assert decode(encode(record)) == record


def test_the_store_it_is_for_is_read_and_is_none_where_an_earlier_release_wrote_it() -> None:
    record = SpooledAlert(own_alert())

    assert store_of(encode(record, store="postgresql db:5432/prod")) == "postgresql db:5432/prod"
    assert store_of(encode(record)) is None
