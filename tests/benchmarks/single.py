"""One run at a time: what each way of recording it costs, side by side."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from . import side_by_side
from .contenders import by_hand, by_hand_sqlite, core, peers, with_runguard
from .contenders.kinds import KINDS
from .servers import database, runguard_on
from .side_by_side import Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
                yield side_by_side.measure(url, group, kind, effort)
    for kind in KINDS:
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the disk that the server has
            url = f"sqlite:///{Path(folder) / 'runguard.db'}"
            yield side_by_side.measure(url, SQLITE, kind, effort)


def everything(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """All that can take turns on one server."""
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
        *peers.cronwatch(url, kind, stack),
        *peers.sentry(kind, stack),
    ]


def unprepared(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """runguard as it is where a pooler forbids to prepare, but on a direct connection."""
    stack.enter_context(runguard_on(url, prepares=False))
    return [*hands(url, kind, stack), with_runguard.decorator(kind), with_runguard.block(kind)]


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


def hands(url: str, kind: Kind, stack: ExitStack) -> list[Contender]:
    """The yardstick, and beside it the same with prepared statements."""
    ways = {by_hand.UNPREPARED: False, by_hand.PREPARED: True}
    return [
        by_hand.contender(stack.enter_context(by_hand.connect(url, prepared=prepared)), kind, name)
        for name, prepared in ways.items()
    ]


DIRECT = Group(
    "single",
    "PostgreSQL",
    everything,
    by_hand.UNPREPARED,
    bound=1.35,
    peer_bound=2.2,
    peers=(peers.CRONWATCH, peers.SENTRY),
)
PREPARING_OFF = Group(
    "single", "PostgreSQL, preparing off", unprepared, by_hand.UNPREPARED, bound=1.6
)
SQLITE = Group(
    "single",
    "SQLite",
    on_a_file,
    by_hand_sqlite.NAME,
    peer_bound=1.0,
    peers=(peers.CRONWATCH,),
    counts=False,
)
