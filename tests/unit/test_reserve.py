"""What is kept back for the end of a run that uses up all other."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from runguard._run.reserve import Reserve


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let nothing be opened while the block lasts, unless something is closed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_that_a_job_has_got_in_its_place_are_left_alone() -> None:
    reserve = Reserve()
    reserve.hold()
    held = [end for _, ends in reserve._pipes for end in ends]
    for end in held:
        os.close(end)  # as a job does that becomes a daemon
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in held]
    assert sorted(opened) == sorted(held)

    reserve.release(None)

    for file in opened:
        os.close(file)


def test_what_is_held_is_given_back_once_and_held_again() -> None:
    reserve = Reserve()
    reserve.hold()
    reserve.hold()
    [first, *_] = [ends for _, ends in reserve._pipes]

    with no_more_files():
        reserve.release(None)
        reserve.release(None)

        spare = os.pipe()
        assert set(spare) & set(first)
        for end in spare:
            os.close(end)
        reserve.hold()
        assert next(ends for _, ends in reserve._pipes) == first
    reserve._give_files_back()


def test_what_is_held_stays_where_files_can_be_opened() -> None:
    reserve = Reserve()
    reserve.hold()
    held = list(reserve._pipes)

    reserve.release(ValueError())

    assert sorted(reserve._pipes) == sorted(held)
    assert all(os.fstat(end) for _, ends in held for end in ends)
    lowest = os.dup(0)
    os.close(lowest)
    reserve.release(ValueError())
    again = os.dup(0)
    os.close(again)
    assert again == lowest  # no copy is left open
    reserve._give_files_back()


def test_files_are_given_back_where_only_a_few_are_left() -> None:
    reserve = Reserve()
    reserve.hold()
    with no_more_files():
        os.close(reserve._pipes[0][1][1])  # one

        reserve.release(ValueError())

        assert reserve._pipes == []


def test_memory_is_given_back_where_it_has_run_out() -> None:
    reserve = Reserve()
    reserve.hold()

    reserve.release(ValueError())
    assert reserve._memory is not None
    reserve.release(MemoryError())

    assert reserve._memory is None
    reserve._give_files_back()
