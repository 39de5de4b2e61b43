"""One table: ways to record the same kind of run, taking turns, and counted afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.protocol import ProtocolProxy

from .contenders import peers, with_runguard
from .measuring import Comparison, Contender, compare, peak_kib
from .reporting import Section, Target, milliseconds, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.protocol import Traffic

    from .contenders.kinds import Kind
    from .effort import Effort

COLUMNS = ("", "wall ms (p10-p90)", "ratio (p10-p90)", "CPU ms", "ratio", "peak KiB")
COUNTS = ("sql", "trips")
OURS = (with_runguard.DECORATOR, with_runguard.BLOCK)

Build = Callable[[str, "Kind", ExitStack], Sequence[Contender]]


@dataclass(frozen=True)
class Group:
    """Contenders that can take turns in one process, since runguard is configured once.

    Attributes:
        where: what they write to, for the title.
        build: makes them for a store's URL; what they hold goes onto the stack.
        yardstick: the name of the contender that the others are divided by.
        bound: runguard's decorator and with-block aim at most at so many times the yardstick.
        peer_bound: cronwatch-sdk is to take at least so many times as long as the decorator.
        peers: the names of those that take part where they are installed.
        counts: whether statements can be counted: PostgreSQL, without a pooler in between.
    """

    scenario: str
    where: str
    build: Build
    yardstick: str
    bound: float | None = None
    peer_bound: float | None = None
    peers: Sequence[str] = ()
    counts: bool = True


def measure(url: str, group: Group, kind: Kind, effort: Effort) -> Section:
    """Measure one group on an empty store, then count what its runs send."""
    with contextlib.ExitStack() as stack:
        contenders = group.build(url, kind, stack)
        found = compare(
            contenders, rounds=effort.rounds, batch=effort.batch, warm_up=effort.warm_up
        )
        peaks = {
            contender.name: peak_kib(contender, runs=effort.traced_runs) for contender in contenders
        }
    counts = _counted(url, group, kind, runs=effort.counted_runs) if group.counts else {}
    section = Section(
        group.scenario,
        f"One {kind} on {group.where}; ratios to {group.yardstick}",
        COLUMNS + (COUNTS if counts else ()),
    )
    for name in found.rounds:
        section.rows.append(
            (
                *(name, milliseconds(found.wall_ms(name))),
                times(found.ratio(name, group.yardstick)),
                f"{found.cpu_ms(name).median:.2f}",
                f"{found.cpu_ratio(name, group.yardstick).median:.2f}",
                *(f"{peaks[name]:.1f}", *counts.get(name, {}).values()),
            )
        )
        section.records.append(
            {
                "where": group.where,
                "kind": kind,
                "contender": name,
                "yardstick": group.yardstick,
                "wall_ms": found.wall_ms(name)._asdict(),
                "ratio": found.ratio(name, group.yardstick)._asdict(),
                "cpu_ms": found.cpu_ms(name)._asdict(),
                "cpu_ratio": found.cpu_ratio(name, group.yardstick)._asdict(),
                "peak_kib": peaks[name],
                **counts.get(name, {}),
            }
        )
    section.notes += [
        f"{name}: not installed here, so not compared"
        for name in group.peers
        if name not in found.rounds
    ]
    section.targets += _targets(found, group, kind)
    return section


def _counted(url: str, group: Group, kind: Kind, *, runs: int) -> dict[str, dict[str, float]]:
    """Statements and round trips of one run, once everything is connected and prepared."""
    counts = {}
    with ProtocolProxy(url) as proxy, contextlib.ExitStack() as stack:
        for contender in group.build(proxy.url, kind, stack):
            contender.timed(10)
            traffic = _count(contender, proxy, runs)
            counts[contender.name] = {
                "statements": len(traffic.statements) / runs,
                "round_trips": traffic.trips / runs,
            }
    return counts


def _count(contender: Contender, proxy: ProtocolProxy, runs: int) -> Traffic:
    traffics = []

    @contextlib.contextmanager
    def counting() -> Iterator[None]:
        with proxy.counting() as traffic:
            traffics.append(traffic)
            yield
        with proxy.counting():  # what comes later belongs to another
            pass

    contender.timed(runs, counting())
    return traffics[0]


def _targets(found: Comparison, group: Group, kind: Kind) -> list[Target]:
    targets = []
    if group.bound is not None:
        targets += [
            Target(
                f"{kind}, {group.where}: {name} / {group.yardstick}",
                found.ratio(name, group.yardstick).median,
                group.bound,
            )
            for name in OURS
            if name in found.rounds
        ]
    if group.peer_bound is not None and peers.CRONWATCH in found.rounds:
        targets.append(
            Target(
                f"{kind}, {group.where}: {peers.CRONWATCH} / {with_runguard.DECORATOR}",
                found.ratio(peers.CRONWATCH, with_runguard.DECORATOR).median,
                group.peer_bound,
                "at least",
            )
        )
    return targets
