"""The same runs through PgBouncer in transaction mode, where it is installed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support import pgbouncer

from . import side_by_side
from .contenders import by_hand, with_runguard
from .contenders.kinds import KINDS
from .reporting import Section
from .servers import database, runguard_on
from .side_by_side import OURS, Bound, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from tests.support.postgres import PostgresAddress

    from .contenders.kinds import Kind
    from .effort import Effort
    from .measuring import Contender

TITLE = "Through PgBouncer, transaction mode"


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Both sides go through the pooler, and neither prepares."""
    if pgbouncer.PROGRAM is None:
        yield Section("pooler", TITLE, ("",), notes=[pgbouncer.MISSING])
        return
    with pgbouncer.PgBouncer(server) as pooler:
        for kind in KINDS:
            with database(server) as url:
                yield from side_by_side.measure(pooler.through(url), POOLED, kind, effort)


def pooled(url: str, kind: Kind, stack: ExitStack) -> Sequence[Contender]:
    """What may be used there: nothing that prepares."""
    stack.enter_context(runguard_on(url))
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    connection = stack.enter_context(by_hand.connect(url, prepared=False))
    return [
        by_hand.contender(by_hand.on(connection), kind, by_hand.UNPREPARED),
        with_runguard.decorator(kind),
        with_runguard.block(kind),
        with_runguard.async_block(loop, kind),
    ]


POOLED = Group(
    "pooler",
    "PgBouncer, transaction mode",
    pooled,
    {"by hand": by_hand.UNPREPARED},
    [Bound(kind, name, by_hand.UNPREPARED, 1.6) for kind in KINDS for name in OURS],
)
