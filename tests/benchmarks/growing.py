"""What the tables' growth costs, on a server with the memory that such tables would be given."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from tests.support.postgres import PostgresServer

from . import growth
from .plot import Point, svg
from .reporting import Section, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresAddress

    from .effort import Effort

RUNS = ("start", "finish", "suppressed failure", "alerting failure")
AIMED_AT = RUNS[:3]


def measure(_server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Fill tables, and compare each operation with the same one on empty tables."""
    with PostgresServer(durable=True, settings=growth.SETTINGS) as server:
        records = growth.measure(server.url(), quick=effort.is_quick)
    yield section(records)


def section(records: list[dict[str, Any]]) -> Section:
    """The table and the plots of what was found."""
    found = Section(
        "growth",
        "Growth: each operation on filled tables and on empty ones",
        ("", "runs", "alerts", "empty, ms", "filled, ms (p10-p90)", "ratio"),
        records=records,
    )
    largest = max(record["runs"] for record in records)
    for record in records:
        found.rows.append(
            (
                *(record["operation"], f"{record['runs']:,}", f"{record['alerts']:,}"),
                f"{record['baseline_ms']:.2f}",
                f"{record['median_ms']:.2f} ({record['p10_ms']:.2f}-{record['p90_ms']:.2f})",
                f"{record['ratio']:.2f}",
            )
        )
        if record["runs"] == largest and record["operation"] in AIMED_AT:
            found.targets.append(
                Target(f"{record['operation']} at {largest:,} runs / at none", record["ratio"], 1.2)
            )
    found.notes.append("that each view is an index scan is a test: tests/store/")
    lines = _lines(records)
    runs = {name: line for name, line in lines.items() if name in RUNS}
    views = {name: line for name, line in lines.items() if name not in RUNS}
    if runs:
        found.plots["growth-of-runs.svg"] = svg("What a run's statements cost", runs)
    if views:
        found.plots["growth-of-views.svg"] = svg("What an operator's views cost", views)
    return found


def _lines(records: list[dict[str, Any]]) -> dict[str, list[Point]]:
    """Cost against size: the cost on empty tables, times the ratio to its neighbour."""
    lines = {}
    for name in dict.fromkeys(record["operation"] for record in records):
        own = sorted((r for r in records if r["operation"] == name), key=lambda r: r["runs"])
        empty = statistics.median(record["baseline_ms"] for record in own)
        points = [Point(record["runs"], empty * record["ratio"]) for record in own]
        lines[name] = [Point(0, empty), *points]
    return lines
