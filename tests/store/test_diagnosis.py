"""Conformance: what the command line asks beside the operator's views."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from runguard._store.schema.diagnosis import location_of
from tests.store.drafts import TIMEOUT, new_run

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor


def test_job_names_are_those_that_ran_each_once(store: OperatorStore) -> None:
    assert store.job_names() == []
    for job_name in ["two", "one", "two", "한국어"]:
        store.start_run(new_run(job_name), timeout=TIMEOUT)

    assert store.job_names() == ["one", "two", "한국어"]


def test_a_store_of_our_own_has_nothing_to_complain_of(
    store: OperatorStore, back_door: BackDoor, store_kind: str
) -> None:
    found = store.diagnose()

    assert set(found.tables) == {
        *("run_log", "run_note", "alert", "alert_cooldown", "job_lock"),
        *("alert_delivery", "channel_state", "silence"),
        *("job", "monitor", "monitor_gap"),
    }
    assert (found.lacking, found.row_security, found.read_only) == ((), (), False)
    assert abs(found.clock - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.pooled is {"postgresql": False, "pgbouncer": True, "sqlite": None}[store_kind]


def test_a_table_that_is_gone_is_not_among_those_found(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows("drop table job_lock")

    assert "job_lock" not in store.diagnose().tables


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("sqlite:///a/b.db", "a/b.db"),
        ("postgresql://u:secret@h:5433/d?sslpassword=secret", "u@h:5433/d"),
        ("postgresql:///d?host=/var/run/postgresql", "/var/run/postgresql/d"),
        ("postgresql:///d?host=h1&host=h2", "h1,h2/d"),
        ("postgresql:///d", "local socket/d"),
    ],
)
def test_a_location_shows_no_option_and_no_password(url: str, location: str) -> None:
    assert location_of(make_url(url)) == location


def test_open_runs_of_other_programs_are_counted_by_age(
    store: OperatorStore, back_door: BackDoor
) -> None:
    store.start_run(new_run(), timeout=TIMEOUT)
    insert = "insert into run_log (job_name, status) values ('theirs', 'RUNNING')"
    back_door.rows(insert)
    back_door.age("run_log.started_at", 3600)
    back_door.rows(insert)

    found = store.foreign_open_runs(older_than=timedelta(minutes=5))
    assert found.count == 1
    assert found.oldest is not None
    age = datetime.now(UTC) - found.oldest
    assert timedelta(minutes=59) < age < timedelta(minutes=62)
    assert store.foreign_open_runs(older_than=timedelta(hours=2)).oldest is None
