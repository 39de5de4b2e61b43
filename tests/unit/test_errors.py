"""runguard's own exceptions travel between processes, and may be copied, whole."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import (
    ConfigurationError,
    JobLockActive,
    RunguardError,
    SchemaOutOfDate,
    StoreUnavailable,
)
from runguard._errors import SchemaConflict
from runguard._models import LockHolder

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRY = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)


class OwnError(JobLockActive):
    """A subclass of a user's, whose arguments are its own."""

    def __init__(self, *, term: str) -> None:
        super().__init__("enrolment_sync", LockHolder("host:1", EXPIRY))
        self.term = term


def every_error() -> list[RunguardError]:
    """One of each kind, with what a caller may have hung on it."""
    errors: list[RunguardError] = [
        RunguardError("plain"),
        ConfigurationError("cooldown: expected 0 or more, found -1"),
        StoreUnavailable("the store could not be used"),
        SchemaOutOfDate(found="0001", needed="0002"),
        SchemaConflict(["run_log.id: found text, needed bigint"]),
        JobLockActive("enrolment_sync", LockHolder("host:1", EXPIRY)),
        OwnError(term="2026-1"),
    ]
    for error in errors:
        error.add_note("while syncing term 2026-1")
        error.run_id = 7  # type: ignore[attr-defined]
    return errors


def seen(error: RunguardError) -> tuple[Any, ...]:
    return type(error), str(error), error.args, vars(error)


def through_pickle(error: RunguardError) -> RunguardError:
    copied: RunguardError = pickle.loads(pickle.dumps(error))
    return copied


def test_a_lock_that_is_held_is_told_with_its_end_to_the_second() -> None:
    error = JobLockActive("sync", LockHolder("host:1", EXPIRY.replace(microsecond=39_000)))

    assert str(error) == "job_lock active: sync is held by host:1 until 2026-11-26T03:00:00Z"


def test_every_public_error_is_among_those_tried() -> None:
    public = {
        value
        for value in vars(runguard).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    }

    assert public <= {type(error) for error in every_error()}


@pytest.mark.parametrize("copied", [through_pickle, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_a_copy_keeps_text_attributes_and_notes(
    error: RunguardError, copied: Callable[[RunguardError], RunguardError]
) -> None:
    assert seen(copied(error)) == seen(error)


def raise_the(number: int) -> None:
    raise every_error()[number]


def test_an_error_comes_back_from_a_process_pool_which_goes_on() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(raise_the, number) for number in range(len(every_error()))]
        raised = [future.exception(timeout=60) for future in futures]
        assert pool.submit(abs, -1).result(timeout=60) == 1

    assert [(type(error), str(error)) for error in raised] == [
        (type(error), str(error)) for error in every_error()
    ]
    assert [error.__notes__ for error in raised if error is not None] == [
        error.__notes__ for error in every_error()
    ]
