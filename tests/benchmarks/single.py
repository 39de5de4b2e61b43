"""One run at a time: what each way of recording it costs, side by side.

Every group is one comparison with its own yardstick: a process has one runguard, so what is
configured differently cannot take turns within one group.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from tests.support.protocol import ProtocolProxy

from .contenders import by_hand, core, with_runguard
from .contenders.kinds import KINDS, Kind
from .measuring import Comparison, Contender, compare, peak_kib
from .reporting import Section, Target, milliseconds, times
from .servers import database, runguard_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.postgres import PostgresAddress

    from .effort import Effort

COLUMNS = (
    *("", "wall ms (p10-p90)", "× by hand (p10-p90)", "CPU ms", "× CPU"),
    *("peak KiB", "statements", "round trips"),
)

Build = Callable[[str, Kind, ExitStack], "Sequence[Contender]"]


@dataclass(frozen=True)
class Counts:
    """What one run sends, counted at the protocol."""

    statements: float
    trips: float


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """The default configuration on a direct connection, then the same with preparing off."""
    for kind in KINDS:
        yield compared(
            server, effort, kind, direct, scenario="single", where="PostgreSQL", bound=1.35
        )
    for kind in KINDS:
        yield compared(
            server, effort, kind, preparing_off,
            scenario="single", where="PostgreSQL, preparing off", bound=1.6,
        )  # fmt: skip


def direct(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """Everything that can take turns on one server."""
    stack.enter_context(runguard_on(url))
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    engine = create_engine(url)
    stack.callback(engine.dispose)
    return [
        *hands(url, kind, stack),
        core.contender(engine, kind),
        with_runguard.decorator(kind),
        with_runguard.block(kind),
        with_runguard.async_block(loop, kind),
    ]


def preparing_off(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """The default configuration as it is where a pooler forbids to prepare."""
    stack.enter_context(runguard_on(url, prepares=False))
    return [
        *hands(url, kind, stack),
        with_runguard.decorator(kind),
        with_runguard.block(kind),
    ]


def hands(url: str, kind: Kind, stack: ExitStack, *, may_prepare: bool = True) -> list[Contender]:
    """The yardstick, and beside it the same with prepared statements."""
    ways = {by_hand.UNPREPARED: False, by_hand.PREPARED: True}
    return [
        by_hand.contender(stack.enter_context(by_hand.connect(url, prepared=prepared)), kind, name)
        for name, prepared in ways.items()
        if may_prepare or not prepared
    ]


def compared(
    server: PostgresAddress,
    effort: Effort,
    kind: Kind,
    build: Build,
    *,
    scenario: str,
    where: str,
    bound: float,
) -> Section:
    """Measure one group on a database of its own, then count what its runs send."""
    with database(server) as url:
        with contextlib.ExitStack() as stack:
            contenders = build(url, kind, stack)
            found = compare(contenders, rounds=effort.rounds, batch=effort.batch)
            peaks = {contender.name: peak_kib(contender) for contender in contenders}
        counts = _counted(url, kind, build, runs=effort.counted_runs)
    section = Section(scenario, f"One {kind}, on {where}", COLUMNS)
    _fill(section, found, peaks, counts, kind=kind, where=where)
    section.targets += [
        Target(
            f"{kind}, {where}: {name} against {by_hand.UNPREPARED}",
            found.ratio(name, by_hand.UNPREPARED).median,
            bound,
        )
        for name in found.rounds
        if name in (with_runguard.DECORATOR, with_runguard.BLOCK)
    ]
    return section


def _counted(url: str, kind: Kind, build: Build, *, runs: int) -> dict[str, Counts]:
    """Statements and round trips of one run, once everything is connected and prepared."""
    counts = {}
    with ProtocolProxy(url) as proxy, contextlib.ExitStack() as stack:
        for contender in build(proxy.url, kind, stack):
            contender.timed(10)
            with proxy.counting() as traffic:
                contender.timed(runs)
            counts[contender.name] = Counts(len(traffic.statements) / runs, traffic.trips / runs)
    return counts


def _fill(
    section: Section,
    found: Comparison,
    peaks: dict[str, float],
    counts: dict[str, Counts],
    *,
    kind: Kind,
    where: str,
) -> None:
    for name in found.rounds:
        wall, cpu = found.wall_ms(name), found.cpu_ms(name)
        ratio = found.ratio(name, by_hand.UNPREPARED)
        cpu_ratio = found.cpu_ratio(name, by_hand.UNPREPARED)
        section.rows.append(
            (
                *(name, milliseconds(wall), times(ratio), f"{cpu.median:.2f}"),
                *(f"{cpu_ratio.median:.2f}", f"{peaks[name]:.1f}"),
                *(counts[name].statements, counts[name].trips),
            )
        )
        section.records.append(
            {
                "contender": name,
                "kind": kind,
                "where": where,
                "wall_ms": wall._asdict(),
                "ratio": ratio._asdict(),
                "cpu_ms": cpu._asdict(),
                "cpu_ratio": cpu_ratio._asdict(),
                "peak_kib": peaks[name],
                "statements": counts[name].statements,
                "round_trips": counts[name].trips,
            }
        )
