"""A record reads back as it was written, with every field."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runguard._models import LockHolder, RunNote, SpooledAlert, SpooledRun
from runguard._run.spool_format import encode
from runguard._run.spool_reading import UnreadableRecord, decode, store_of
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


NOTE = RunNote("Traceback: …", "a line", {"term": "2026-2"}, (("log", "https://x.org/"),), 3, 10)


def test_what_a_run_keeps() -> None:
    run = new_run()._replace(version="a1b2c3", trace_id="f" * 32)
    failed = failure(run)
    assert failed.failure is not None
    upstream = replace(failed.failure, upstream="api.example.org:443")
    for note in (NOTE, RunNote()):
        record = SpooledRun(run, NOW, NOW, failed._replace(failure=upstream, note=note))
        assert decode(encode(record)) == record


def test_a_record_of_an_earlier_release_has_none_of_it() -> None:
    run = new_run()
    record = SpooledRun(run, NOW, NOW, failure(run))
    plain = json.loads(encode(record))
    for part, name in (("run", "version"), ("run", "trace_id"), ("ending", "note")):
        del plain[part][name]
    del plain["ending"]["failure"]["upstream"]

    assert decode(json.dumps(plain).encode()) == record


def test_a_link_of_which_redaction_left_no_address_costs_no_run() -> None:
    run = new_run()
    good, odd = ("log", "HTTPS://X.org/"), ("ftp", "[redacted]")
    ending = failure(run)._replace(note=NOTE._replace(links=(odd, good)))
    record = decode(encode(SpooledRun(run, NOW, NOW, ending)))

    assert isinstance(record, SpooledRun)
    assert record.ending is not None
    assert record.ending.note == NOTE._replace(links=(good,))


@pytest.mark.parametrize("links", ["x", [["a"]], [["a", 1]], [["a", "https://\0"]]])
def test_links_of_a_hand_that_are_none_are_refused(links: object) -> None:
    run = new_run()
    plain = json.loads(encode(SpooledRun(run, NOW, NOW, failure(run)._replace(note=NOTE))))
    plain["ending"]["note"]["links"] = links

    with pytest.raises(UnreadableRecord, match="links: expected"):
        decode(json.dumps(plain).encode())


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
