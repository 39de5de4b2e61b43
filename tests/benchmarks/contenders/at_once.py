"""Many runs at once by hand: each statement borrows one of a few connections.

The statements are runguard's own, prepared at once, so that the server does the same work.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg

from runguard._store.postgresql import statements
from runguard._store.rows import UNKNOWN

from ..servers import libpq
from .by_hand import COUNTERS, connect, run_parameters, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

START = text_of(statements.start(UNKNOWN))
FINISH = text_of(statements.finish("success"))


@contextmanager
def for_threads(url: str, connections: int) -> Iterator[Callable[[], None]]:
    """Return what does one run, for any number of threads."""
    free: SimpleQueue[psycopg.Connection] = SimpleQueue()

    def ask(text: str, parameters: dict[str, Any]) -> Any:
        connection = free.get()
        try:
            return connection.execute(text, parameters).fetchone()
        finally:
            free.put(connection)

    def run() -> None:
        key = uuid4()
        ask(START, run_parameters(key, "by hand"))
        ask(FINISH, {"in_run_key": key, **COUNTERS})

    with ExitStack() as stack:
        for _ in range(connections):
            free.put(stack.enter_context(connect(url, prepared=True)))
        yield run


@asynccontextmanager
async def for_tasks(url: str, connections: int) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Return what does one run, for any number of tasks, on psycopg's connections for asyncio."""
    free: asyncio.Queue[psycopg.AsyncConnection] = asyncio.Queue()

    async def ask(text: str, parameters: dict[str, Any]) -> Any:
        connection = await free.get()
        try:
            return await (await connection.execute(text, parameters)).fetchone()
        finally:
            free.put_nowait(connection)

    async def run() -> None:
        key = uuid4()
        await ask(START, run_parameters(key, "by hand"))
        await ask(FINISH, {"in_run_key": key, **COUNTERS})

    async with AsyncExitStack() as stack:
        for _ in range(connections):
            connected = await psycopg.AsyncConnection.connect(
                libpq(url), autocommit=True, prepare_threshold=0
            )
            free.put_nowait(await stack.enter_async_context(connected))
        yield run
