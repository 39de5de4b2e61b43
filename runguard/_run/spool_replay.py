"""Giving the store what waits in the spool, as far as the store takes it.

Replaying is idempotent, so any number of processes may replay the same folder at once; a file is
removed only after its record is in the store. A record that the store refuses for ever, and a file
that is none of ours, would be in the way of all others: they are set aside. Nothing here takes
longer for more records, but for the counting.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from .._clock import now, ticks
from .._errors import RecordRefused, RunguardError
from .._events import SET_ASIDE, SPOOL_REPLAYED, Events, error_text
from .._frozen import frozen
from .._models import SpooledAlert
from .atomic_file import write_whole
from .private_folder import FILE_MODE, private_folder
from .reduction import record_less
from .spool import Spool, name_of
from .spool_format import Record, encode
from .spool_listing import count_of, records_in
from .spool_quarantine import put_aside
from .spool_reading import NewerRecord, UnreadableRecord, content_of, decode, opened

if TYPE_CHECKING:
    from .repository import RunRepository

MOST_FAULTS_IN_A_ROW: Final = 3
BATCH: Final = 1_000
MOST_SECONDS_OF_REPLAY: Final = 2.0
MOST_COUNTED: Final = 10_000


@frozen
class Replayed:
    """What became of a waiting file: `trouble` is None where its record is in the store now.

    `is_set_aside` says that it waits no longer: it would be refused again. `changed` says what the
    store did not take of a record that is in it now.
    """

    path: Path
    trouble: Exception | None = None
    is_set_aside: bool = False
    changed: RecordRefused | None = None


def replay_waiting(spool: Spool, store: RunRepository, events: Events, *, seconds: float) -> None:
    """Replay what waits, and tell what became of it; the store has just been seen to work."""
    done = 0
    for replayed in replay(spool, store, seconds=min(seconds, MOST_SECONDS_OF_REPLAY)):
        if replayed.changed is not None:
            events.internal_error("replay", replayed.changed, file=str(replayed.path))
        if replayed.trouble is None:
            done += 1
        elif replayed.is_set_aside:
            error = error_text(replayed.trouble)
            events.emit(SET_ASIDE, file=str(replayed.path), error=error)
        else:
            events.internal_error("replay", replayed.trouble, file=str(replayed.path))
    if done:
        left = count_of(spool, at_most=MOST_COUNTED)
        events.emit(SPOOL_REPLAYED, records=done, waiting=left)


def replay(spool: Spool, store: RunRepository, *, seconds: float) -> Iterator[Replayed]:
    """Give the store what waits, one record a transaction; yield what became of each.

    Stops when the time is up, or when the store has failed three times in a row. A record that
    the store did not take goes to the end of the queue, so every call gets further.
    """
    deadline = ticks() + seconds
    faults = 0
    for folder in spool.folders:
        with suppress(OSError), private_folder(folder) as handle:
            _drop_unfinished(handle)
            for name in _in_turn(handle):
                left = deadline - ticks()
                if left <= 0 or faults == MOST_FAULTS_IN_A_ROW:
                    return
                replayed = _replay_file(handle, folder / name, store, timeout=left)
                failed = replayed.trouble is not None and not replayed.is_set_aside
                faults = faults + 1 if failed else 0
                yield replayed


def _drop_unfinished(handle: int) -> None:
    """Remove what a killed process has left beside: its lock went with it."""
    for name in list(islice(_unfinished_in(handle), BATCH)):
        with suppress(OSError, UnreadableRecord), opened(handle, name) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=handle)


def _unfinished_in(handle: int) -> Iterator[str]:
    with os.scandir(handle) as entries:
        for entry in entries:
            if entry.name.startswith(".") and ".json." in entry.name:
                yield entry.name


def _in_turn(handle: int) -> Iterator[str]:
    """Yield the names that wait, in batches: in each, what was tried lately comes last."""
    seen: set[str] = set()
    while batch := list(islice((name for name in records_in(handle) if name not in seen), BATCH)):
        seen.update(batch)
        yield from sorted(batch, key=lambda name: (_written_at(handle, name), name))


def _written_at(handle: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime_ns
    except OSError:  # replayed meanwhile
        return 0


def _replay_file(handle: int, path: Path, store: RunRepository, *, timeout: float) -> Replayed:
    try:
        record = decode(content_of(handle, path.name))
    except FileNotFoundError:
        return Replayed(path)  # another process was faster
    except (NewerRecord, OSError) as trouble:
        return _left(handle, path, trouble)
    except UnreadableRecord as trouble:
        return _set_aside(handle, path, trouble)
    try:
        changed = _store_record(handle, record, store, timeout)
        with suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=handle)
    except RecordRefused as trouble:
        return _set_aside(handle, path, trouble)
    except (RunguardError, OSError) as trouble:
        return _left(handle, path, trouble)
    return Replayed(path, changed=changed)


def _store_record(
    handle: int, record: Record, store: RunRepository, timeout: float
) -> RecordRefused | None:
    """Store a record, or as much of it as the store takes; return what was changed."""
    write: Callable[..., object] = store.replay_run
    part: object = record
    if isinstance(record, SpooledAlert):
        write, part = store.raise_alert, record.draft
    deadline = ticks() + timeout
    try:
        write(part, timeout=timeout)
    except RecordRefused as refusal:
        _, left_out, changed = record_less(
            write, (part,), refusal, lambda: max(0.1, deadline - ticks())
        )
        if left_out is not None:  # it waits by itself: the run is in the store
            alert = SpooledAlert(left_out)
            write_whole(handle, name_of(alert), encode(alert), mode=FILE_MODE)
        return changed
    return None


def _set_aside(handle: int, path: Path, trouble: Exception) -> Replayed:
    """Move a file out of the way of the others, where that is possible."""
    try:
        aside = put_aside(handle, path, trouble)
    except FileNotFoundError:
        return Replayed(path)  # another process was faster
    except OSError:
        return _left(handle, path, trouble)
    return Replayed(aside, trouble, is_set_aside=True)


def _left(handle: int, path: Path, trouble: Exception) -> Replayed:
    """Let a file wait on, behind the others."""
    moment = int(now().timestamp() * 1e9)  # the kernel's own may be that of the tick before
    with suppress(OSError):
        os.utime(path.name, ns=(moment, moment), dir_fd=handle, follow_symlinks=False)
    return Replayed(path, trouble)


def forget(spool: Spool, key: UUID) -> None:
    """Remove what waits of a run that has reached the store by another way."""
    for folder in spool.folders:
        for name in (f"{key}.start.json", f"{key}.end.json"):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
