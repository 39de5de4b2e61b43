"""The suite itself: what it prints and writes, and that its arithmetic is right."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import psycopg
import pytest

from tests.benchmarks import __main__, at_size, growth, rounds, single, startup, throughput
from tests.benchmarks.__main__ import main
from tests.benchmarks.bursts import pgbench
from tests.benchmarks.contenders import at_once
from tests.benchmarks.dataset import fill
from tests.benchmarks.effort import Effort
from tests.benchmarks.measuring import (
    Contender,
    compare,
    ratios,
    repeated,
    short_collections,
    spread,
)
from tests.benchmarks.plot import Point, svg
from tests.benchmarks.reporting import Section, Target, goals
from tests.benchmarks.servers import libpq

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.benchmarks.measuring import Turns
    from tests.support.postgres import PostgresAddress

TINY = Effort(
    "tiny",
    rounds=2,
    batch=2,
    warm_up=2,
    traced_runs=2,
    counted_runs=3,
    processes_started=1,
    bursts=1,
    burst_seconds=0.1,
)


@pytest.fixture
def on_this_server(postgres: PostgresAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the suite measure on the tests' server, instead of making one."""
    monkeypatch.setattr(__main__, "server", lambda: contextlib.nullcontext(postgres))


@pytest.mark.usefixtures("on_this_server")
def test_the_suite_prints_tables_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "KINDS", ("failure that alerts",))
    # A peer that is not installed is left out.
    monkeypatch.setitem(sys.modules, "cronwatch", None)

    assert main(["--only", "single", "--out", str(tmp_path)], effort=TINY) == 0

    printed = capsys.readouterr()
    assert "One failure that alerts on PostgreSQL, one by one" in printed.out
    assert "One failure that alerts on PostgreSQL, hot batches" in printed.out
    assert "psycopg, short, prepared" in printed.out
    assert "at most 1.3" in printed.out
    assert "PostgreSQL 1" in printed.out  # the server's version
    assert "cronwatch-sdk: not installed here" in printed.out
    assert "results.json" in printed.err
    assert re.search(r"Goals: \d+ of \d+ met", printed.out)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["effort"] == "tiny"
    assert "| psycopg, prepared | " in (tmp_path / "results.md").read_text()
    assert {section["scenario"] for section in found["sections"]} == {"single"}
    records = [record for section in found["sections"] for record in section["records"]]
    counts = {
        (record["statements"], record["round_trips"])
        for record in records
        if record["contender"].startswith(("runguard", "psycopg")) and "statements" in record
    }
    assert counts == {(2, 2)}
    assert all(record["wall_ms"]["median"] > 0 for record in records)


@pytest.mark.usefixtures("on_this_server")
def test_growth_is_plotted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "QUICK_SIZES", ((2_000, 1_000),))

    main(["--only", "growth", "--out", str(tmp_path), "--json"], effort=TINY)

    for name in ("growth-of-runs.svg", "growth-of-views.svg"):
        drawn = ElementTree.parse(tmp_path / name)
        assert "2 k" in [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_rounds_that_judge_nothing_a_few_and_all_jobs_are_measured(
    postgres: PostgresAddress,
) -> None:
    judging, telling = rounds.measure(postgres, TINY)

    assert [record["judged"] for record in judging.records] == [20, 0, 1, 20]
    assert all(record["own_seconds"] > 0 for record in judging.records)
    storm, digest, over, each = telling.records
    assert storm["routed"] >= 40  # and what was found of jobs that ran so often
    assert (digest["sent"], over["settled"], each["sent"]) == (1, 40, 40)
    assert all(target.met for target in telling.targets[1:])


def test_looks_at_many_jobs_and_commands_are_measured(
    migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_size, "LOOKS", 3)
    with psycopg.connect(libpq(migrated_pg_url), autocommit=True) as connection:
        fill(connection, runs=200, alerts=4, jobs=20)

    section = at_size._overview(migrated_pg_url, at_size.SMALL)

    assert [record["look"] for record in section.records] == [at_size.FIRST, at_size.FOLLOWING]
    assert all(record["statements"] > 0 and record["cpu"] > 0 for record in section.records)
    assert min(at_size._run("runs", migrated_pg_url)) > 0


def test_filled_tables_are_visible_to_all_as_autovacuum_leaves_them(migrated_pg_url: str) -> None:
    with psycopg.connect(libpq(migrated_pg_url), autocommit=True) as connection:
        fill(connection, runs=200, alerts=20, jobs=20)
        pages = connection.execute(
            "select relname, relpages, relallvisible from pg_class"
            " where relname in ('run_log', 'alert', 'alert_cooldown')"
        ).fetchall()

    assert len(pages) == 3
    assert all(count == visible > 0 for _, count, visible in pages), pages


def test_filled_tables_are_visible_to_all_though_somebody_looked_at_them(
    migrated_pg_url: str,
) -> None:
    patient, other = (psycopg.connect(libpq(migrated_pg_url)) for _ in range(2))
    with patient, other:
        other.execute("set idle_in_transaction_session_timeout = '300ms'")
        other.commit()
        other.execute("set transaction isolation level repeatable read")
        other.execute("select count(*) from alert")  # sees none of what comes until it is ended

        patient.autocommit = True
        fill(patient, runs=20, alerts=2, jobs=2)

        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            other.execute("select 1")
        [(hidden,)] = patient.execute(
            "select relpages - relallvisible from pg_class where relname = 'run_log'"
        ).fetchall()

    assert hidden == 0


def rows(url: str) -> list[tuple[str, int]]:
    with psycopg.connect(libpq(url)) as connection:
        return connection.execute("select status, count(*) from run_log group by 1").fetchall()


@pytest.mark.parametrize("name", [startup.TRACKED, startup.BY_HAND, startup.EXEC])
def test_each_script_records_one_run(migrated_pg_url: str, name: str) -> None:
    command = [sys.executable, "-c", startup.PROGRAMS[name]]
    environment = {**os.environ, "RUNGUARD_DATABASE_URL": migrated_pg_url}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert rows(migrated_pg_url) == [("SUCCESS", 1)]


def test_the_ceiling_is_measured_with_whole_runs(migrated_pg_url: str) -> None:
    a_second = pgbench(migrated_pg_url, clients=2, seconds=1)

    ((status, count),) = rows(migrated_pg_url)
    assert a_second > 0
    assert status == "SUCCESS"
    assert count > 0


@pytest.mark.parametrize("way", ["threads", "tasks"])
def test_many_runs_at_once_by_hand_are_all_recorded(migrated_pg_url: str, way: str) -> None:
    if way == "threads":
        prepare = partial(at_once.for_threads, connections=2)
        ended = throughput.in_threads(prepare, migrated_pg_url, 0.05)
    else:
        prepare = partial(at_once.for_tasks, connections=2)
        ended = throughput.in_tasks(prepare, migrated_pg_url, 0.05)

    assert ended.runs > 0
    assert rows(migrated_pg_url) == [("SUCCESS", ended.runs + ended.warm_up)]


# As the suite does it: what the other tests have left is not looked through before each batch.
compared = short_collections()(compare)


def given(name: str, batches: list[list[int]]) -> Contender:
    """A contender whose times are known."""
    left = iter(batches)
    return Contender(name, lambda: lambda: None, lambda _runs, _around: next(left))


def test_a_ratio_is_the_median_of_what_each_round_says() -> None:
    # The machine is ten times slower in the second round; the ratio does not see it.
    slow, steady = [[9], [30, 34, 32], [300, 340, 320]], [[9], [10, 90, 16], [150, 100, 160]]

    found = compared([given("ours", slow), given("theirs", steady)], rounds=2, batch=3, warm_up=1)

    assert found.ratio("ours", "theirs").median == pytest.approx((32 / 16 + 320 / 150) / 2)
    assert found.ratio("theirs", "theirs") == (1, 1, 1)
    assert found.wall_ms("ours").median == pytest.approx(167e-6)


def noting(came: list[str], name: str) -> Contender:
    """A contender that notes each run, and that it was prepared."""

    def prepare() -> Callable[[], None]:
        came.append(f"prepare {name}")
        return lambda: came.append(name)

    return repeated(name, prepare)


@pytest.mark.parametrize("turns", ["one by one", "hot batches"])
def test_every_contender_comes_once_in_each_round_in_changing_order(turns: Turns) -> None:
    came: list[str] = []
    contenders = [noting(came, name) for name in "abc"]

    found = compared(contenders, rounds=12, batch=1, warm_up=0, turns=turns, order=random.Random(4))

    runs = [name for name in came if not name.startswith("prepare")]
    rounds = [tuple(runs[index : index + 3]) for index in range(0, 36, 3)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len(set(rounds)) > 1
    assert [len(found.rounds[name]) for name in "abc"] == [12, 12, 12]


def test_one_by_one_each_turn_is_one_run_of_each_and_all_was_prepared_before() -> None:
    came: list[str] = []
    contenders = [noting(came, name) for name in "ab"]

    found = compared(contenders, rounds=1, batch=4, warm_up=0, turns="one by one")

    prepared, runs = came[:8], came[8:]
    assert sorted(prepared) == ["prepare a"] * 4 + ["prepare b"] * 4
    assert [sorted(runs[index : index + 2]) for index in range(0, 8, 2)] == [["a", "b"]] * 4
    assert [len(batch) for batch in found.rounds["a"]] == [4]


def test_in_hot_batches_a_contender_does_all_its_runs_of_the_round_at_once() -> None:
    came: list[str] = []

    compared([noting(came, name) for name in "ab"], rounds=1, batch=3, warm_up=0)

    runs = "".join(name for name in came if not name.startswith("prepare"))
    assert runs in ("aaabbb", "bbbaaa")


def test_preparing_a_run_is_outside_of_what_is_timed() -> None:
    steps: list[str] = []

    class Around:
        def __enter__(self) -> None:
            steps.append("begin")

        def __exit__(self, *exc_info: object) -> None:
            steps.append("end")

    def prepare() -> Callable[[], None]:
        steps.append("prepare")
        return lambda: steps.append("run")

    assert len(repeated("a", prepare).timed(2, Around())) == 2
    assert steps == ["prepare", "prepare", "begin", "run", "run", "end"]


def test_a_spread_tells_the_middle_eighty_per_cent() -> None:
    assert spread([float(number) for number in range(101)]) == (50, 10, 90)
    assert spread([3.0]) == (3, 3, 3)
    assert ratios([[2.0], [6.0]], [[1.0], [2.0]]).median == 2.5


@pytest.mark.parametrize(
    ("found", "sense", "met"),
    [
        (1.0, "at most", True),
        (1.1, "at most", False),
        (1.0, "at least", True),
        (0.9, "at least", False),
    ],
)
def test_a_target_says_honestly_whether_it_is_met(found: float, sense: str, met: bool) -> None:
    target = Target("this against that", found, 1.0, sense)  # type: ignore[arg-type]

    assert target.met is met
    assert str(target).startswith("met" if met else "MISSED")


def test_all_goals_stand_in_one_table_and_those_that_were_missed_say_so() -> None:
    fast = Section("single", "", (), targets=[Target("success", 1.2, 1.35)])
    many = Section(
        "throughput", "", (), targets=[Target("threads", 900.0, 1_000, "at least", "/s")]
    )

    table = goals([fast, many])

    assert table.title == "Goals: 1 of 2 met"
    assert table.rows == [
        ("success", "at most 1.35", "1.2 ×", "met"),
        ("threads", "at least 1000", "900.0 /s", "MISSED"),
    ]


def test_a_plot_puts_empty_tables_left_and_more_cost_higher() -> None:
    drawn = ElementTree.fromstring(svg("x < y", {"start": [Point(0, 1.0), Point(1000, 5.0)]}))

    first, second = (
        (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
        for dot in drawn.iter("{http://www.w3.org/2000/svg}circle")
    )
    assert first[0] < second[0]
    assert first[1] > second[1]
