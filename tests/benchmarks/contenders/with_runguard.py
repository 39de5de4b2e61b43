"""runguard, as its documentation shows it: decorator, with-block, async with-block."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from runguard import run_scope, tracked_run

from ..measuring import repeated, repeated_in_loop
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from ..measuring import Contender

DECORATOR = "runguard, decorator"
BLOCK = "runguard, with-block"
ASYNC = "runguard, async with-block"


def _known_job(kind: Kind, name: str) -> str:
    """A job that this process has run before: its first run also looks for lost runs of it."""
    job = job_name(kind, name)
    if kind == "failure that alerts":
        with run_scope(job):
            pass
    return job


def decorator(kind: Kind, name: str = DECORATOR) -> Contender:
    """A decorated function; decorating is not timed."""

    def prepare() -> Callable[[], None]:
        known = _known_job(kind, "decorated")
        job = tracked_run(known)(succeed if kind == "success" else fail)

        def failing() -> None:
            try:
                job()
            except ValueError:
                return

        return job if kind == "success" else failing

    return repeated(name, prepare)


def block(kind: Kind, name: str = BLOCK) -> Contender:
    """A with-block; making the scope is timed, as it is in a job."""

    def prepare() -> Callable[[], None]:
        job = _known_job(kind, "block")
        body = succeed if kind == "success" else fail

        def run() -> None:
            try:
                with run_scope(job):
                    body()
            except ValueError:
                return

        return run

    return repeated(name, prepare)


def async_block(loop: asyncio.AbstractEventLoop, kind: Kind, name: str = ASYNC) -> Contender:
    """An async with-block in a running loop; the write happens in one of runguard's threads."""

    def prepare() -> Callable[[], Awaitable[None]]:
        job = _known_job(kind, "async")
        body = succeed if kind == "success" else fail

        async def run() -> None:
            with contextlib.suppress(ValueError):
                async with run_scope(job):
                    body()

        return run

    return repeated_in_loop(name, loop, prepare)
