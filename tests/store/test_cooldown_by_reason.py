"""A cooldown that is kept by reason: a new reason breaks through, exactly once."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

import runguard
from runguard import ConfigurationError, configure, run_scope
from runguard._failure.alert import SEVERITY_OF, failure_alert
from runguard._models import (
    AlertOutcome,
    AlertVerdict,
    Counters,
    ErrorGroup,
    Failure,
    RunEnding,
)
from runguard._store.postgresql import statements as sql
from tests.store.drafts import HALF_AN_HOUR, TIMEOUT, new_run
from tests.store.test_races import libpq
from tests.store.test_round_trips import proxy  # noqa: F401 - a fixture
from tests.support.processes import race

if TYPE_CHECKING:
    from pathlib import Path

    from runguard._models import CooldownBy
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor
    from tests.support.protocol import ProtocolProxy

RAISED, SUPPRESSED = AlertOutcome.RAISED, AlertOutcome.SUPPRESSED
ROUNDS = 4


def fail(
    store: OperatorStore,
    reason: str | None,
    *,
    by: CooldownBy = "reason",
    group: ErrorGroup = ErrorGroup.UNKNOWN,
) -> AlertVerdict:
    run = new_run()
    why = Failure(group, SEVERITY_OF[group], None, "x.Error", "x", "a test", reason)
    alert = failure_alert(
        run_key=run.key,
        job_name=run.job_name,
        failure=why,
        location=None,
        cooldown=HALF_AN_HOUR,
        cooldown_by=by,
    )
    store.start_run(run, timeout=TIMEOUT)
    ending = RunEnding(run.key, Counters(), why, None, alert)
    return store.finish_run(ending, timeout=TIMEOUT).verdict


def test_a_new_reason_of_unknown_alerts_under_the_same_source(
    store: OperatorStore, back_door: BackDoor
) -> None:
    reasons = ["refused", "disk_full", "refused", "disk_full"]
    outcomes = [fail(store, reason).outcome for reason in reasons]

    assert outcomes == [RAISED, RAISED, SUPPRESSED, SUPPRESSED]
    alerts = back_door.rows("select source_id from alert")
    assert alerts == [{"source_id": "enrolment_sync:UNKNOWN"}] * 2


def test_a_covered_failure_names_the_alert_of_its_reason(store: OperatorStore) -> None:
    refused, disk_full = fail(store, "refused"), fail(store, "disk_full")

    assert fail(store, "refused").alert_id == refused.alert_id
    assert fail(store, "disk_full").alert_id == disk_full.alert_id


def test_a_failure_without_a_reason_is_no_new_one(store: OperatorStore) -> None:
    assert [fail(store, reason).outcome for reason in ("refused", None)] == [RAISED, SUPPRESSED]


def test_by_group_every_reason_is_covered(store: OperatorStore) -> None:
    outcomes = [fail(store, reason, by="group").outcome for reason in ("refused", "disk_full")]

    assert outcomes == [RAISED, SUPPRESSED]


def test_other_groups_keep_their_cooldown_by_group(store: OperatorStore) -> None:
    group = ErrorGroup.TIMEOUT
    outcomes = [fail(store, one, group=group).outcome for one in ("read_timeout", "time_limit")]

    assert outcomes == [RAISED, SUPPRESSED]


def test_an_alert_that_was_deleted_keeps_its_window(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store, "refused")
    back_door.rows("delete from alert")

    assert fail(store, "refused").outcome is SUPPRESSED


def test_the_window_of_a_reason_ends(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store, "refused")
    back_door.age_alerts(1801)

    assert fail(store, "refused").outcome is RAISED


def test_the_cooldown_says_that_it_is_kept_by_reason(store: OperatorStore) -> None:
    fail(store, "refused")

    assert [state.by_reason for state in store.cooldowns("enrolment_sync")] == [True]


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cooldown_by: expected 'group' or 'reason'"):
        configure(cooldown_by="type")  # type: ignore[arg-type]


def racing(url: str) -> str:
    return (
        "from tests.store.racers import runguard_fails_for_reasons\n"
        f"report(runguard_fails_for_reasons({url!r}, wait, {ROUNDS}))"
    )


def one_for_each_reason() -> Counter[tuple[str, str]]:
    return Counter(
        (f"job-{number}:UNKNOWN", reason)
        for number in range(ROUNDS)
        for reason in ("refused", "disk_full")
    )


def test_processes_that_fail_at_once_raise_one_alert_for_each_reason(migrated_pg_url: str) -> None:
    outcomes = race(racing(migrated_pg_url), count=12, rounds=ROUNDS)

    assert [outcome.exit_code for outcome in outcomes] == [0] * 12, outcomes[0].stderr
    with psycopg.connect(libpq(migrated_pg_url)) as connection:
        found = connection.execute("select source_id, detail ->> 'reason' from alert").fetchall()
    assert Counter(found) == one_for_each_reason()


def test_processes_on_one_sqlite_file_raise_one_alert_for_each_reason(tmp_path: Path) -> None:
    file = tmp_path / "runguard.db"
    outcomes = race(racing(f"sqlite:///{file}"), count=6, rounds=ROUNDS)

    assert [outcome.exit_code for outcome in outcomes] == [0] * 6, outcomes[0].stderr
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute(
            "select source_id, json_extract(detail, '$.reason') from alert"
        ).fetchall()
    assert Counter(found) == one_for_each_reason()


def test_it_costs_no_round_trip_more(
    proxy: ProtocolProxy,  # noqa: F811 - the fixture
    migrated_pg_url: str,
) -> None:
    runguard.testing.reset()
    configure(database_url=proxy.url, cooldown_by="reason")
    for _ in range(2):
        refuse_connection()

    with proxy.counting() as traffic:
        refuse_connection()

    assert traffic.trips == 2


def refuse_connection() -> None:
    with contextlib.suppress(ConnectionRefusedError), run_scope("sync"):
        raise ConnectionRefusedError(111, "Connection refused")


def test_what_ends_a_run_is_built_before_it_begins(migrated_pg_url: str) -> None:
    sql.finish.cache_clear()
    configure(database_url=migrated_pg_url)
    with run_scope("warm-up"):
        pass
    before = sql.finish.cache_info().misses

    with contextlib.suppress(TimeoutError), run_scope("sync"):
        raise TimeoutError
    with run_scope("sync"):
        pass

    assert sql.finish.cache_info().misses == before
