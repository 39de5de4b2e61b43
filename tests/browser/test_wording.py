"""The script of a page says durations and ages in Python's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runguard._monitor import wording

if TYPE_CHECKING:
    from tests.support.browser import Reader

EDGES = (0.0005, 0.0094, 0.9994, 0.9995, 1, 3, 9.94, 9.95, 10, 59.4, 59.5, 60, 61, 3599.5, 3600)
SECONDS = (
    *(0, 0.0001, 0.0045, 0.25, 2.25, 2.35, 48.6, 250, 7500, 86_399.5, 86_400, 90_061, 2e6, 1e9),
    *EDGES,
    *(edge + 0.001 for edge in EDGES),
    -3,
)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_durations_are_those_of_the_command_line(reader: Reader) -> None:
    said = reader.open("/").evaluate("(all) => all.map(wording.duration)", list(SECONDS))

    assert said == [wording.duration(one) for one in SECONDS]


def test_ages_are_those_of_the_command_line(reader: Reader) -> None:
    ages = [timedelta(seconds=sign * one) for one in SECONDS if one < 1e9 for sign in (1, -1)]
    said = reader.open("/").evaluate(
        "([now, then]) => then.map((one) => wording.age(new Date(one), new Date(now)))",
        [wording.iso(NOW), [wording.iso(NOW - one) for one in ages]],
    )

    assert said == [wording.age(NOW - one, NOW) for one in ages]
