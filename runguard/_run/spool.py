"""Records that the store could not take, kept on this machine until it can.

One file for each record, on the disk before the exception leaves the scope: written beside its
place, synced, renamed, and the folder synced. So a process that dies in the middle spoils nothing,
and readers see whole records only. Replaying is idempotent, so any number of processes may replay
the same folder at once; a file is removed only after its record is in the store.

A record that the store refuses for ever, and a file that is none of ours, would be in the way of
all others: they are set aside, with the reason, until `runguard spool retry`. Nothing here takes
longer for more records, but for the counting.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

from .._clock import now, ticks
from .._errors import RecordRefused, RunguardError
from .._failure.introspection import printable
from .._models import SpooledAlert
from .private_folder import FILE_MODE, FOLDER_MODE, private_folder
from .reduction import record_less
from .spool_format import NewerRecord, Record, UnreadableRecord, decode, encode, store_of

if TYPE_CHECKING:
    from .repository import RunRepository

LOOK_EVERY_SECONDS: Final = 10.0
MOST_FAULTS_IN_A_ROW: Final = 3
MOST_BYTES: Final = 8 * 1024 * 1024  # of one record; the longest that a run makes has a tenth
BATCH: Final = 1_000
MOST_WRITES: Final = 3
SET_ASIDE: Final = "quarantine"
REASON: Final = ".why"
MOST_REASON: Final = 4_096

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would hold the job
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_REWRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


class Spool:
    """The folders of records that wait for one store."""

    def __init__(
        self,
        folder: Path,
        *,
        instead: Sequence[Path] = (),
        former: Sequence[Path] = (),
        label: str = "",
    ) -> None:
        """Take the folder of new records; it is made when the first one comes.

        `instead` are the folders to take where that one cannot be used, `former` those where an
        earlier release may have left some: all are replayed. `label` says which store they are for.
        """
        self.folder = folder
        self.label = label
        self._writable = (folder, *instead)
        self.folders = (folder, *instead, *former)
        self._look_again_at = 0.0

    def put(self, record: Record) -> Path:
        """Write a record durably; return its file.

        Raises:
            OSError: the disk is full, or no folder can be written.
        """
        content = encode(record, store=self.label)
        troubles: list[OSError] = []
        for folder in self._writable:
            try:
                return _write_durably(folder, _name_of(record), content)
            except OSError as trouble:
                troubles.append(trouble)
        raise troubles[0]

    def forget(self, key: UUID) -> None:
        """Remove what waits of a run that has reached the store by another way."""
        for folder in self.folders:
            for name in (f"{key}.start.json", f"{key}.end.json"):
                with suppress(OSError):
                    (folder / name).unlink(missing_ok=True)

    def is_due(self) -> bool:
        """Whether to look for waiting records now: at the first run, then every ten seconds."""
        now = ticks()
        if now < self._look_again_at:
            return False
        self._look_again_at = now + LOOK_EVERY_SECONDS
        return self.count(at_most=1) > 0

    def count(self, *, at_most: int | None = None) -> int:
        """Count the records that wait, and stop at `at_most`."""
        return sum(1 for _ in islice(self._names(), at_most))

    def waiting(self) -> list[Path]:
        """List the files that wait, the oldest run first."""
        return sorted((folder / name for folder, name in self._names()), key=lambda path: path.name)

    def waiting_since(self) -> datetime | None:
        """Return when the oldest of them began; None where none waits."""
        first = min(self._names(), key=lambda found: found[1], default=None)
        if first is None:
            return None
        folder, name = first
        if (began_at := _began_at(name)) is not None:
            return began_at
        with suppress(OSError):  # replayed meanwhile
            return datetime.fromtimestamp((folder / name).lstat().st_mtime, UTC)
        return datetime.now(UTC)

    def meant_for(self) -> str | None:
        """Read in one of the records which store they are for; None where none of them says it."""
        for folder in (*self.folders, *(folder / SET_ASIDE for folder in self.folders)):
            with suppress(OSError, UnreadableRecord), private_folder(folder) as handle:
                for name in islice(_scan(handle), 1):
                    return store_of(_content_of(handle, name))
        return None

    def set_aside(self) -> list[SetAside]:
        """List what was set aside, the oldest run first."""
        found = []
        for folder in self.folders:
            with suppress(OSError), private_folder(folder / SET_ASIDE) as handle:
                found += [
                    SetAside(folder / SET_ASIDE / name, _reason_of(handle, name))
                    for name in _scan(handle)
                ]
        return sorted(found, key=lambda aside: aside.path.name)

    def retry(self) -> int:
        """Let what was set aside wait again; return how many records that are."""
        moved = 0
        for folder in self.folders:
            with (
                suppress(FileNotFoundError),
                private_folder(folder) as target,
                private_folder(folder / SET_ASIDE) as source,
            ):
                for name in list(_scan(source)):
                    with suppress(FileNotFoundError):  # another process was faster
                        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
                        moved += 1
                        os.unlink(name + REASON, dir_fd=source)
        return moved

    def troubles(self) -> Iterator[OSError]:
        """Yield why each folder that is there cannot be used, or why none can be made."""
        for folder in self.folders:
            try:
                with private_folder(folder, write=folder in self._writable) as handle:
                    os.scandir(handle).close()
                    if not os.access(folder, os.W_OK | os.X_OK):
                        raise PermissionError(f"no right to write in {folder}")
            except FileNotFoundError:
                if folder == self.folder and not _can_be_made(folder):
                    yield PermissionError(f"{folder} cannot be made")
            except OSError as trouble:
                yield trouble

    def replay(self, store: RunRepository, *, seconds: float) -> Iterator[Replayed]:
        """Give the store what waits, one record a transaction; yield what became of each.

        Stops when the time is up, or when the store has failed three times in a row. A record that
        the store did not take goes to the end of the queue, so every call gets further.
        """
        deadline = ticks() + seconds
        faults = 0
        for folder in self.folders:
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

    def _names(self) -> Iterator[tuple[Path, str]]:
        for folder in self.folders:
            with suppress(OSError), private_folder(folder) as handle:
                for name in _scan(handle):
                    yield folder, name


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a waiting file: `trouble` is None where its record is in the store now.

    `is_set_aside` says that it waits no longer: it would be refused again. `changed` says what the
    store did not take of a record that is in it now.
    """

    path: Path
    trouble: Exception | None = None
    is_set_aside: bool = False
    changed: RecordRefused | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that was set aside, and why."""

    path: Path
    reason: str


def _write_durably(folder: Path, name: str, content: bytes) -> Path:
    with private_folder(folder, make=True) as handle:
        for writes in range(1, MOST_WRITES + 1):
            try:
                _write(handle, name, content)
                break
            except FileNotFoundError:  # taken for one that was left over; see `_drop_unfinished`
                if writes == MOST_WRITES:
                    raise
        os.fsync(handle)  # else a power cut may take the name of a file whose content is safe
    return folder / name


def _write(handle: int, name: str, content: bytes) -> None:
    beside = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=handle)  # of a process of this number that was killed
    file = os.open(beside, _WRITE, FILE_MODE, dir_fd=handle)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        with open(file, "wb", closefd=False) as stream:
            stream.write(content)
        os.fsync(file)
        os.rename(beside, name, src_dir_fd=handle, dst_dir_fd=handle)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside, dir_fd=handle)
        raise
    finally:
        os.close(file)


def _drop_unfinished(handle: int) -> None:
    """Remove what a killed process has left beside: its lock went with it."""
    for name in list(islice(_scan(handle, unfinished=True), BATCH)):
        with suppress(OSError), _opened(handle, name) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=handle)


def _in_turn(handle: int) -> Iterator[str]:
    """Yield the names that wait, in batches: in each, what was tried lately comes last."""
    seen: set[str] = set()
    while batch := list(islice((name for name in _scan(handle) if name not in seen), BATCH)):
        seen.update(batch)
        yield from sorted(batch, key=lambda name: (_written_at(handle, name), name))


def _written_at(handle: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime_ns
    except OSError:  # replayed meanwhile
        return 0


def _replay_file(handle: int, path: Path, store: RunRepository, *, timeout: float) -> Replayed:
    try:
        record = decode(_content_of(handle, path.name))
    except FileNotFoundError:
        return Replayed(path)  # another process was faster
    except (NewerRecord, OSError) as trouble:
        return _left(handle, path, trouble)
    except UnreadableRecord as trouble:
        return _put_aside(handle, path, trouble)
    try:
        changed = _store_record(handle, record, store, timeout)
        with suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=handle)
    except RecordRefused as trouble:
        return _put_aside(handle, path, trouble)
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
            _write(handle, _name_of(alert), encode(alert))
        return changed
    return None


def _content_of(handle: int, name: str) -> bytes:
    """Read a file of ours; never one that blocks, has no end, or is another user's."""
    with _opened(handle, name) as file:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableRecord("expected a file, found something else")
        if found.st_uid != os.fstat(handle).st_uid:
            raise UnreadableRecord(f"expected a file of the folder's owner, found {found.st_uid}'s")
        if found.st_size > MOST_BYTES:
            raise UnreadableRecord(f"expected at most {MOST_BYTES} bytes, found {found.st_size}")
        with open(file, "rb", closefd=False) as stream:
            content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnreadableRecord(f"expected at most {MOST_BYTES} bytes, found more")
    return content


@contextmanager
def _opened(handle: int, name: str) -> Iterator[int]:
    try:
        file = os.open(name, _READ, dir_fd=handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise UnreadableRecord("expected a file, found something else") from error
        if error.errno == errno.EACCES:
            raise UnreadableRecord("expected a file of this user's, found none to read") from error
        raise
    try:
        yield file
    finally:
        os.close(file)


def _left(handle: int, path: Path, trouble: Exception) -> Replayed:
    """Let a file wait on, behind the others."""
    moment = int(now().timestamp() * 1e9)  # the kernel's own may be that of the tick before
    with suppress(OSError):
        os.utime(path.name, ns=(moment, moment), dir_fd=handle, follow_symlinks=False)
    return Replayed(path, trouble)


def _put_aside(handle: int, path: Path, trouble: Exception) -> Replayed:
    """Move a file out of the way of the others, and note why."""
    try:
        with suppress(FileExistsError):
            os.mkdir(SET_ASIDE, FOLDER_MODE, dir_fd=handle)
        aside = path.parent / SET_ASIDE
        with private_folder(aside) as target:
            os.rename(path.name, path.name, src_dir_fd=handle, dst_dir_fd=target)
            _note_reason(target, path.name, trouble)
    except FileNotFoundError:
        return Replayed(path)  # another process was faster
    except OSError:
        return _left(handle, path, trouble)
    return Replayed(aside / path.name, trouble, is_set_aside=True)


def _note_reason(handle: int, name: str, trouble: Exception) -> None:
    with suppress(OSError):  # without, it is in the log only
        file = os.open(name + REASON, _REWRITE, FILE_MODE, dir_fd=handle)
        with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            stream.write(printable(str(trouble), MOST_REASON))


def _reason_of(handle: int, name: str) -> str:
    try:
        return _content_of(handle, name + REASON)[:MOST_REASON].decode(errors="replace")
    except (OSError, UnreadableRecord):
        return "unknown"


def _scan(handle: int, *, unfinished: bool = False) -> Iterator[str]:
    """Yield the names of the records in a folder, as it holds them; or of those half written."""
    with os.scandir(handle) as entries:
        for entry in entries:
            name = entry.name
            if unfinished:
                is_wanted = name.startswith(".") and ".json." in name
            else:
                is_wanted = name.endswith(".json") and not name.startswith(".")
            if is_wanted:
                yield name


def _can_be_made(folder: Path) -> bool:
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _began_at(name: str) -> datetime | None:
    """Read the time in a record's name: its key is a UUID of version 7."""
    with suppress(ValueError, OverflowError):
        key = UUID(name.partition(".")[0])
        if key.version == 7:
            return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)
    return None


def _name_of(record: Record) -> str:
    # Keys begin with the time, so names sort by it. A start and its end are two files: one that
    # is replayed and removed can then never be the other.
    if isinstance(record, SpooledAlert):
        return f"{record.draft.uuid}.alert.json"
    return f"{record.run.key}.{'start' if record.ending is None else 'end'}.json"
