"""One table: ways to record the same kind of run, taking turns, and counted afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.support.protocol import ProtocolProxy

from .contenders import with_runguard
from .measuring import Comparison, Contender, Turns, compare, peak_kib, short_collections
from .reporting import Section, Target, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.protocol import Traffic

    from .contenders.kinds import Kind
    from .effort import Effort
    from .measuring import Spread

OURS = (with_runguard.DECORATOR, with_runguard.BLOCK)
BOTH_TURNS: Sequence[Turns] = ("one by one", "hot batches")

Build = Callable[[str, "Kind", ExitStack], Sequence[Contender]]
Numbers = dict[str, dict[str, float]]
"""By contender, what does not depend on the turns."""


@dataclass(frozen=True)
class Bound:
    """What is aimed at: how many times as long one contender takes as another.

    Where the turns are taken one by one; hot batches are shown, not aimed at.
    """

    kind: Kind
    name: str
    beside: str
    times: float
    sense: Literal["at most", "at least"] = "at most"
    of: Literal["wall", "CPU"] = "wall"


@dataclass(frozen=True)
class Group:
    """Contenders that can take turns in one process, since runguard is configured once.

    Attributes:
        where: what they write to, for the title.
        build: makes them for a store's URL; what they hold goes onto the stack.
        yardsticks: the columns of ratios, and the name of the contender that each divides by.
        bounds: what is aimed at.
        turns: the ways of taking turns that are shown.
        peers: the names of those that take part where they are installed.
        counts: whether statements can be counted: PostgreSQL, without a pooler in between.
    """

    scenario: str
    where: str
    build: Build
    yardsticks: Mapping[str, str]
    bounds: Sequence[Bound] = ()
    turns: Sequence[Turns] = ("one by one",)
    peers: Sequence[str] = ()
    counts: bool = True


def measure(url: str, group: Group, kind: Kind, effort: Effort) -> Iterator[Section]:
    """Measure one group on an empty store: in turns, what a run holds, and what it sends."""
    with contextlib.ExitStack() as stack:
        contenders = group.build(url, kind, stack)
        stack.enter_context(short_collections())
        found = {
            turns: compare(
                contenders,
                rounds=effort.rounds,
                batch=effort.batch,
                warm_up=effort.warm_up,
                turns=turns,
            )
            for turns in group.turns
        }
        numbers: Numbers = {
            contender.name: {"peak_kib": peak_kib(contender, runs=effort.traced_runs)}
            for contender in contenders
        }
    if group.counts:
        for name, counts in _counted(url, group, kind, runs=effort.counted_runs).items():
            numbers[name] |= counts
    for turns, comparison in found.items():
        yield _section(group, kind, turns, comparison, numbers)


def _section(
    group: Group, kind: Kind, turns: Turns, found: Comparison, numbers: Numbers
) -> Section:
    counts = ("sql", "trips") if group.counts else ()
    section = Section(
        group.scenario,
        f"One {kind} on {group.where}, {turns}",
        ("", "wall ms (p10-p90)", *group.yardsticks, "CPU ms", "CPU ×", "KiB", *counts),
    )
    for name in found.rounds:
        ratios = {
            beside: found.ratio(name, beside)
            for beside in group.yardsticks.values()
            if beside in found.rounds
        }
        cpu_ratio = found.cpu_ratio(name, next(iter(ratios)))
        section.rows.append(
            (
                *(name, milliseconds(found.wall_ms(name))),
                *(f"{ratio.median:.2f}" for ratio in ratios.values()),
                *(f"{found.cpu_ms(name).median:.2f}", f"{cpu_ratio.median:.2f}"),
                *(f"{round(number, 1):g}" for number in numbers[name].values()),
            )
        )
        section.records.append(
            {
                "where": group.where,
                "kind": kind,
                "turns": turns,
                "contender": name,
                "wall_ms": found.wall_ms(name)._asdict(),
                "ratios": {beside: ratio._asdict() for beside, ratio in ratios.items()},
                "cpu_ms": found.cpu_ms(name)._asdict(),
                "cpu_ratio": cpu_ratio._asdict(),
                **numbers[name],
            }
        )
    section.notes += [f"{heading}: to {name}" for heading, name in group.yardsticks.items()]
    section.notes += [
        f"{name}: not installed here, so not compared"
        for name in group.peers
        if name not in found.rounds
    ]
    if turns == "one by one":
        section.targets += _targets(found, group, kind)
    return section


def _targets(found: Comparison, group: Group, kind: Kind) -> list[Target]:
    return [
        Target(
            f"{kind}, {group.where}: {bound.name} / {bound.beside}, {bound.of}",
            _ratio(found, bound).median,
            bound.times,
            bound.sense,
        )
        for bound in group.bounds
        if bound.kind == kind and {bound.name, bound.beside} <= found.rounds.keys()
    ]


def _ratio(found: Comparison, bound: Bound) -> Spread:
    ratio = found.ratio if bound.of == "wall" else found.cpu_ratio
    return ratio(bound.name, bound.beside)


def _counted(url: str, group: Group, kind: Kind, *, runs: int) -> Numbers:
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
