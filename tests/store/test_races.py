"""Cooldown and lock among real processes; and proof that these races catch what is wrong."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from tests.support.processes import race
from tests.support.stores import open_store

if TYPE_CHECKING:
    from pathlib import Path

JOBS = ["enrolments", "grades", "invoices"]
ROUNDS = 4
# A wrong way goes wrong by chance, which a busy machine makes smaller: it gets more of them.
WRONG_ROUNDS = 16
MOST_RACES = 5


def libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def racing(function: str, url: str, rounds: int = ROUNDS) -> str:
    jobs = "" if "contends" in function else f"{JOBS!r}, "
    return (
        f"from tests.store.racers import {function}\n"
        f"report({function}({url!r}, {jobs}wait, {rounds}))"
    )


def set_isolation(url: str, level: str) -> None:
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute(
            f"alter database \"{database}\" set default_transaction_isolation = '{level}'"
        )


def alerts_by_key(url: str) -> Counter[str]:
    with psycopg.connect(libpq(url)) as connection:
        return Counter(key for (key,) in connection.execute("select source_id from alert"))


def one_for_each_key(rounds: int = ROUNDS) -> Counter[str]:
    return Counter(f"{job}-{number}:UNKNOWN" for job in JOBS for number in range(rounds))


@pytest.fixture
def racers_url(request: pytest.FixtureRequest, migrated_pg_url: str) -> str:
    """What the processes connect to: the server, or a transaction pooler in front of it."""
    if request.param == "direct":
        return migrated_pg_url
    return str(request.getfixturevalue("pgbouncer").through(migrated_pg_url))


@pytest.mark.parametrize(
    ("racers_url", "count", "level"),
    [
        ("direct", 16, "read committed"),
        ("direct", 8, "repeatable read"),
        ("direct", 8, "serializable"),
        ("pooled", 8, "read committed"),
    ],
    indirect=["racers_url"],
)
def test_processes_that_fail_at_once_raise_one_alert_for_each_key(
    racers_url: str, migrated_pg_url: str, count: int, level: str
) -> None:
    set_isolation(migrated_pg_url, level)
    outcomes = race(racing("runguard_fails", racers_url), count=count, rounds=ROUNDS)

    assert [outcome.exit_code for outcome in outcomes] == [0] * count, outcomes[0].stderr
    assert alerts_by_key(migrated_pg_url) == one_for_each_key()
    with psycopg.connect(libpq(migrated_pg_url)) as connection:
        statuses = Counter(
            status
            for (status,) in connection.execute(
                "select status from run_log where job_name <> 'warm-up'"
            )
        )
        outcomes_written = Counter(
            outcome
            for (outcome,) in connection.execute(
                "select alert_outcome from run_log where job_name <> 'warm-up'"
            )
        )
    keys = len(JOBS) * ROUNDS
    assert statuses == {"FAILED": count * keys}
    assert outcomes_written == {"raised": keys, "suppressed": (count - 1) * keys}


@pytest.mark.parametrize("wrong_way", ["check_then_insert", "where_not_exists"])
def test_the_race_catches_a_wrong_way_on_postgresql(migrated_pg_url: str, wrong_way: str) -> None:
    def goes_wrong() -> bool:
        with psycopg.connect(libpq(migrated_pg_url), autocommit=True) as connection:
            connection.execute("truncate alert")
        code = racing(wrong_way, libpq(migrated_pg_url), WRONG_ROUNDS)
        race(code, count=16, rounds=WRONG_ROUNDS)
        alerts = alerts_by_key(migrated_pg_url)
        assert set(alerts) == set(one_for_each_key(WRONG_ROUNDS))
        return alerts.total() > len(JOBS) * WRONG_ROUNDS

    assert any(goes_wrong() for _ in range(MOST_RACES))


def test_8_processes_on_one_sqlite_file_raise_one_alert_for_each_key(tmp_path: Path) -> None:
    file = tmp_path / "runguard.db"
    outcomes = race(racing("runguard_fails", f"sqlite:///{file}"), count=8, rounds=ROUNDS)

    assert [outcome.exit_code for outcome in outcomes] == [0] * 8, outcomes[0].stderr
    with closing(sqlite3.connect(file)) as connection:
        alerts = Counter(key for (key,) in connection.execute("select source_id from alert"))
        statuses = Counter(
            status
            for (status,) in connection.execute(
                "select status from run_log where job_name <> 'warm-up'"
            )
        )
    assert alerts == one_for_each_key()
    assert statuses == {"FAILED": 8 * len(JOBS) * ROUNDS}


def test_the_race_catches_a_deferred_transaction_on_sqlite(tmp_path: Path) -> None:
    file = tmp_path / "runguard.db"
    store = open_store(f"sqlite:///{file}")
    store.job_names()  # makes the tables
    store.close()

    def goes_wrong() -> bool:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("delete from alert")
        code = racing("deferred_transaction", str(file), WRONG_ROUNDS)
        outcomes = race(code, count=8, rounds=WRONG_ROUNDS)
        refused = sum(outcome.reports[0] for outcome in outcomes)
        with closing(sqlite3.connect(file)) as connection:
            alerts = Counter(key for (key,) in connection.execute("select source_id from alert"))
        return refused > 0 or alerts != one_for_each_key(WRONG_ROUNDS)

    assert any(goes_wrong() for _ in range(MOST_RACES))


@pytest.mark.parametrize(
    ("racers_url", "count"), [("direct", 16), ("pooled", 8)], indirect=["racers_url"]
)
def test_never_two_processes_hold_the_lock(
    racers_url: str, migrated_pg_url: str, count: int
) -> None:
    with psycopg.connect(libpq(migrated_pg_url), autocommit=True) as connection:
        connection.execute("create table witness (one integer primary key)")
    outcomes = race(racing("runguard_contends", racers_url), count=count, rounds=ROUNDS)

    assert [outcome.exit_code for outcome in outcomes] == [0] * count, outcomes[0].stderr
    inside = [tuple(entry) for outcome in outcomes for entry in outcome.reports[0]]
    fences = [fence for _, fence in sorted(inside)]
    assert {number for number, _ in inside} == set(range(ROUNDS))  # somebody got in every time
    assert len(set(fences)) == len(fences)
    with psycopg.connect(libpq(migrated_pg_url)) as connection:
        conflicts = connection.execute(
            "select count(*), count(*) filter (where error_group = 'LOCK_CONFLICT')"
            " from run_log where job_name = 'contended' and status = 'FAILED'"
        ).fetchone()
    refused = count * ROUNDS - len(inside)
    assert conflicts == (refused, refused)
