"""The suite itself: what it prints and writes, and that its arithmetic is right."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import psycopg
import pytest

from tests.benchmarks import growth, rounds, single, startup
from tests.benchmarks.__main__ import main
from tests.benchmarks.bursts import pgbench
from tests.benchmarks.effort import Effort
from tests.benchmarks.measuring import Contender, compare, ratios, repeated, spread
from tests.benchmarks.plot import Point, svg
from tests.benchmarks.reporting import Target
from tests.benchmarks.servers import libpq

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

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


def test_the_suite_prints_tables_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(single, "KINDS", ("failure that alerts",))
    # A peer that is not installed is left out.
    monkeypatch.setitem(sys.modules, "cronwatch", None)

    assert main(["--only", "single", "--out", str(tmp_path)], effort=TINY) == 0

    printed = capsys.readouterr()
    assert "One failure that alerts on PostgreSQL" in printed.out
    assert "psycopg by hand, prepared" in printed.out
    assert "at most 1.35" in printed.out
    assert "PostgreSQL 1" in printed.out  # the server's version
    assert "cronwatch-sdk: not installed here" in printed.out
    assert "results.json" in printed.err
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["effort"] == "tiny"
    assert "| psycopg by hand | " in (tmp_path / "results.md").read_text()
    assert {section["scenario"] for section in found["sections"]} == {"single"}
    records = [record for section in found["sections"] for record in section["records"]]
    counts = {
        (record["statements"], record["round_trips"])
        for record in records
        if record["contender"].startswith(("runguard", "psycopg")) and "statements" in record
    }
    assert counts == {(2, 2)}
    assert all(record["wall_ms"]["median"] > 0 for record in records)


def test_growth_is_plotted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "QUICK_SIZES", ((2_000, 1_000),))

    main(["--only", "growth", "--out", str(tmp_path), "--json"], effort=TINY)

    for name in ("growth-of-runs.svg", "growth-of-views.svg"):
        drawn = ElementTree.parse(tmp_path / name)
        assert "2 k" in [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_rounds_that_judge_nothing_a_few_and_all_jobs_are_measured(
    postgres: PostgresAddress,
) -> None:
    [section] = rounds.measure(postgres, TINY)

    assert [record["judged"] for record in section.records] == [20, 0, 1, 20]
    assert all(record["own_seconds"] > 0 for record in section.records)


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


def given(name: str, batches: list[list[int]]) -> Contender:
    """A contender whose times are known."""
    left = iter(batches)

    def timed(_count: int, _around: AbstractContextManager[object] | None = None, /) -> list[int]:
        return next(left)

    return Contender(name, timed)


def test_a_ratio_is_the_median_of_what_each_round_says() -> None:
    # The machine is ten times slower in the second round; the ratio does not see it.
    slow, steady = [[9], [30, 34, 32], [300, 340, 320]], [[9], [10, 90, 16], [150, 100, 160]]

    found = compare([given("ours", slow), given("theirs", steady)], rounds=2, batch=3, warm_up=1)

    assert found.ratio("ours", "theirs").median == pytest.approx((32 / 16 + 320 / 150) / 2)
    assert found.ratio("theirs", "theirs") == (1, 1, 1)
    assert found.wall_ms("ours").median == pytest.approx(167e-6)


def test_every_contender_comes_once_in_each_round_in_changing_order() -> None:
    came: list[str] = []

    def noting(name: str) -> Callable[[], Callable[[], None]]:
        return lambda: lambda: came.append(name)

    contenders = [Contender(name, repeated(noting(name))) for name in "abc"]
    compare(contenders, rounds=12, batch=1, warm_up=0, order=random.Random(4))

    rounds = [tuple(came[index : index + 3]) for index in range(0, 36, 3)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert len(set(rounds)) > 1


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

    assert len(repeated(prepare)(2, Around())) == 2
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


def test_a_plot_puts_empty_tables_left_and_more_cost_higher() -> None:
    drawn = ElementTree.fromstring(svg("x < y", {"start": [Point(0, 1.0), Point(1000, 5.0)]}))

    first, second = (
        (float(dot.attrib["cx"]), float(dot.attrib["cy"]))
        for dot in drawn.iter("{http://www.w3.org/2000/svg}circle")
    )
    assert first[0] < second[0]
    assert first[1] > second[1]
