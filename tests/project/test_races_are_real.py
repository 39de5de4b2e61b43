from __future__ import annotations

import pytest

from tests.support.processes import RaceFailed, race


def test_every_racer_reports_and_ends_with_its_own_exit_code() -> None:
    outcomes = race("wait(); report({'racer': index}); raise SystemExit(index)", count=3)

    assert [outcome.reports for outcome in outcomes] == [[{"racer": n}] for n in range(3)]
    assert [outcome.exit_code for outcome in outcomes] == [0, 1, 2]


def test_nobody_passes_the_line_before_all_have_come_to_it() -> None:
    code = """
import time
for _ in range(3):
    came = time.monotonic()
    wait()
    report([came, time.monotonic()])
"""
    outcomes = race(code, count=8, rounds=3)

    for this_round in zip(*(outcome.reports for outcome in outcomes), strict=True):
        last_to_come = max(came for came, _ in this_round)
        first_to_go = min(went for _, went in this_round)
        assert last_to_come < first_to_go


def test_the_release_is_close_to_simultaneous() -> None:
    code = "import time\nfor _ in range(5):\n wait(); report(time.monotonic())"
    outcomes = race(code, count=16, rounds=5)

    # On a busy machine one process may come late in one round, but not in each of them.
    rounds = zip(*(outcome.reports for outcome in outcomes), strict=True)
    assert min(max(went) - min(went) for went in rounds) < 0.25


def test_arguments_and_environment_reach_the_racers() -> None:
    [outcome] = race(
        "import os, sys; wait(); report([sys.argv[1:], os.environ['COLOUR']])",
        count=1,
        arguments=["a", "b"],
        environment={"COLOUR": "red"},
    )

    assert outcome.reports == [[["a", "b"], "red"]]


def test_a_racer_that_dies_before_the_line_ends_the_race_with_its_reason() -> None:
    with pytest.raises(RaceFailed, match="no such thing"):
        race("if index: wait()\nraise SystemExit('no such thing')", count=2)


def test_a_racer_that_hangs_is_killed_at_the_time_limit() -> None:
    with pytest.raises(RaceFailed, match="in time"):
        race("import threading; wait(); threading.Event().wait()", count=2, timeout=1)


def test_a_second_wait_without_a_second_round_is_an_error() -> None:
    [outcome] = race("wait(); wait()", count=1)

    assert outcome.exit_code == 1
    assert "more often than" in outcome.stderr
