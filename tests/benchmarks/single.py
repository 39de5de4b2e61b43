"""One run at a time: what each way of recording it costs, side by side."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from . import side_by_side
from .contenders import by_hand, by_hand_short, by_hand_sqlite, core, peers, with_runguard
from .contenders.kinds import KINDS
from .servers import database, runguard_on
from .side_by_side import BOTH_TURNS, OURS, Bound, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from tests.support.postgres import PostgresAddress

    from .contenders.kinds import Kind
    from .effort import Effort
    from .measuring import Contender
    from .reporting import Section


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """The default configuration on a direct connection; preparing off; SQLite."""
    for group in (DIRECT, PREPARING_OFF):
        for kind in KINDS:
            with database(server) as url:
                yield from side_by_side.measure(url, group, kind, effort)
    for kind in KINDS:
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the disk that the server has
            url = f"sqlite:///{Path(folder) / 'runguard.db'}"
            yield from side_by_side.measure(url, SQLITE, kind, effort)


def everything(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """All that can take turns on one server."""
    stack.enter_context(runguard_on(url))
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    engines = [create_engine(url), by_hand.runguards_engine(url)]
    for engine in engines:
        stack.callback(engine.dispose)
    usual, runguards = engines
    return [
        *hands(url, kind, stack, prepared=True),
        *hands(url, kind, stack, prepared=False),
        by_hand.contender(by_hand.on_the_pool(runguards), kind, by_hand.POOLED),
        core.contender(usual, kind),
        with_runguard.decorator(kind),
        with_runguard.block(kind),
        with_runguard.async_block(loop, kind),
        *peers.cronwatch(url, kind, stack),
        *peers.sentry(kind, stack),
    ]


def unprepared(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """runguard as it is where a pooler forbids to prepare, but on a direct connection."""
    stack.enter_context(runguard_on(url, prepares=False))
    return [
        *hands(url, kind, stack, prepared=False),
        with_runguard.decorator(kind),
        with_runguard.block(kind),
    ]


def on_a_file(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """SQLite: a file of runguard's, which the hand-written one shares, and one of the peer's."""
    stack.enter_context(runguard_on(url))
    ours = [with_runguard.decorator(kind), with_runguard.block(kind)]
    ours[0].timed(1)  # makes the file and its tables
    connection = by_hand_sqlite.connect(url)
    stack.callback(connection.close)
    return [
        by_hand_sqlite.contender(connection, kind),
        *ours,
        *peers.cronwatch(url, kind, stack),
    ]


def hands(url: str, kind: Kind, stack: ExitStack, *, prepared: bool) -> list[Contender]:
    """Two yardsticks: the same statements, and short ones."""
    same, short = (stack.enter_context(by_hand.connect(url, prepared=prepared)) for _ in range(2))
    modules = by_hand, by_hand_short
    names = [module.PREPARED if prepared else module.UNPREPARED for module in modules]
    return [
        by_hand.contender(by_hand.on(same), kind, names[0]),
        by_hand_short.contender(short, kind, names[1]),
    ]


def _ours(kind: Kind, beside: str, times: float) -> list[Bound]:
    return [Bound(kind, name, beside, times) for name in OURS]


def _cronwatch(times: Mapping[Kind, float]) -> list[Bound]:
    """How many times as long as the decorator cronwatch-sdk is to take at least."""
    return [
        Bound(kind, peers.CRONWATCH, with_runguard.DECORATOR, least, "at least")
        for kind, least in times.items()
    ]


SUCCESS, ALERTING, SUPPRESSED = KINDS
DIRECT = Group(
    "single",
    "PostgreSQL",
    everything,
    {
        "prepared": by_hand.PREPARED,
        "unprepared": by_hand.UNPREPARED,
        "short, p.": by_hand_short.PREPARED,
        "short, u.": by_hand_short.UNPREPARED,
    },
    [
        *_ours(SUCCESS, by_hand.PREPARED, 1.35),
        *_ours(SUCCESS, by_hand.UNPREPARED, 0.95),
        *_ours(SUPPRESSED, by_hand.PREPARED, 1.45),
        *_ours(SUPPRESSED, by_hand.UNPREPARED, 1.05),
        *_ours(ALERTING, by_hand.PREPARED, 1.3),
        Bound(SUCCESS, with_runguard.DECORATOR, by_hand.PREPARED, 2.0, of="CPU"),
        *(Bound(kind, with_runguard.ASYNC, by_hand.UNPREPARED, 1.25) for kind in KINDS),
        *_cronwatch({SUCCESS: 2.8, ALERTING: 2.5, SUPPRESSED: 2.8}),
    ],
    turns=BOTH_TURNS,
    peers=(peers.CRONWATCH, peers.SENTRY),
)
PREPARING_OFF = Group(
    "single",
    "PostgreSQL, preparing off",
    unprepared,
    {"unprepared": by_hand.UNPREPARED, "short, u.": by_hand_short.UNPREPARED},
    [bound for kind in KINDS for bound in _ours(kind, by_hand.UNPREPARED, 1.6)],
)
SQLITE = Group(
    "single",
    "SQLite",
    on_a_file,
    {"by hand": by_hand_sqlite.NAME},
    _cronwatch(dict.fromkeys(KINDS, 1.8)),
    turns=BOTH_TURNS,
    peers=(peers.CRONWATCH,),
    counts=False,
)
