"""Database work of a coroutine, off its event loop."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """What the work returned, and the interruption (a cancellation) that came meanwhile."""

    result: T
    interruption: BaseException | None


async def run_uncancelled(
    threads: Callable[[], ThreadPoolExecutor], work: Callable[[], T]
) -> Done[T]:
    """Run `work` in a thread to its end, however often the task is cancelled meanwhile.

    The caller raises the held-back cancellation when it has done what must be done. Without a
    running asyncio loop (another async framework) the work is done here and now.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        return Done(work(), None)
    try:
        future = asyncio.get_running_loop().run_in_executor(threads(), work)
    except RuntimeError:  # the interpreter shuts down, and starts no thread any more
        return Done(work(), None)
    cancellation: BaseException | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as cancelled:
            cancellation = cancelled
    return Done(future.result(), cancellation)
