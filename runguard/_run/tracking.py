"""`Run.track`: an iteration that says how far it is."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from typing import Protocol, TypeVar

from .._models import RunStatus

T = TypeVar("T")


class TrackedRun(Protocol):
    """What is told of a run."""

    status: RunStatus
    _progress: tuple[int, int | None] | None


def tracked(
    run: TrackedRun, items: Iterable[T] | AsyncIterable[T], total: int | None
) -> Iterator[T] | AsyncIterator[T]:
    """Return an iterator over the items that counts those whose turn is over."""
    if total is None and hasattr(type(items), "__len__"):
        with suppress(Exception):  # a stream may have the method, and no length
            total = len(items)  # type: ignore[arg-type]
    if isinstance(items, AsyncIterable) and not isinstance(items, Iterable):
        return _each_async(run, items, total)
    if not any(hasattr(type(items), name) for name in ("__iter__", "__getitem__")):
        raise TypeError(f"track: expected an iterable, found {type(items).__name__}")
    return _each(run, iter(items), total)


def _each(run: TrackedRun, items: Iterator[T], total: int | None) -> Iterator[T]:
    done = 0
    _tell(run, done, total)
    for item in items:
        yield item
        done += 1
        _tell(run, done, total)


async def _each_async(
    run: TrackedRun, items: AsyncIterable[T], total: int | None
) -> AsyncIterator[T]:
    done = 0
    _tell(run, done, total)
    async for item in items:
        yield item
        done += 1
        _tell(run, done, total)


def _tell(run: TrackedRun, done: int, total: int | None) -> None:
    if run.status is RunStatus.RUNNING:  # a loop may go on after its run
        run._progress = (done, total)
