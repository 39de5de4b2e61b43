"""Records that the store could not take, kept on this machine until it can.

One file for each record, on the disk before the exception leaves the scope: written beside its
place, synced, renamed, and the folder synced. So a process that dies in the middle spoils nothing,
and readers see whole records only. Replaying is idempotent, so any number of processes may replay
the same folder at once; a file is removed only after its record is in the store.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from .._errors import RunguardError
from .._models import (
    AlertDraft,
    AlertKey,
    Counters,
    ErrorGroup,
    Failure,
    LockHolder,
    NewRun,
    RunEnding,
    Severity,
    SpooledAlert,
    SpooledRun,
    TriggerType,
)

if TYPE_CHECKING:
    from .repository import RunRepository

FORMAT: Final = 1
LOOK_EVERY_SECONDS: Final = 10.0
MOST_FAULTS_IN_A_ROW: Final = 3

Record = SpooledRun | SpooledAlert


class Spool:
    """A folder of records that wait for the store."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; it is made when the first record comes."""
        self.folder = folder
        self._look_again_at = 0.0

    def put(self, record: Record) -> Path:
        """Write a record durably; return its file.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = self.folder / _name_of(record)
        beside = self.folder / f".{place.name}.{os.getpid()}"
        try:
            with beside.open("x", encoding="utf-8") as file:
                json.dump(_encoded(record), file, ensure_ascii=True)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _sync(self.folder)
        return place

    def forget(self, key: UUID) -> None:
        """Remove what waits of a run that has reached the store by another way."""
        for name in (f"{key}.start.json", f"{key}.end.json"):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink(missing_ok=True)

    def is_due(self) -> bool:
        """Whether to look for waiting records now: at the first run, then every ten seconds."""
        now = time.monotonic()
        if now < self._look_again_at:
            return False
        self._look_again_at = now + LOOK_EVERY_SECONDS
        return bool(self.waiting())

    def waiting(self) -> list[Path]:
        """List the files that wait, the oldest run first."""
        try:
            return sorted(path for path in self.folder.iterdir() if _is_record(path))
        except OSError:
            return []

    def waiting_since(self) -> datetime | None:
        """Return when the oldest waiting file was written; None where none waits."""
        written = []
        for path in self.waiting():
            with contextlib.suppress(OSError):  # replayed meanwhile
                written.append(path.stat().st_mtime)
        return datetime.fromtimestamp(min(written), UTC) if written else None

    def replay(self, store: RunRepository, *, seconds: float) -> Iterator[Replayed]:
        """Give the store what waits, one record a transaction; yield what became of each.

        Stops when the time is up, or when the store has failed three times in a row.
        """
        deadline = time.monotonic() + seconds
        faults = 0
        for path in self.waiting():
            left = deadline - time.monotonic()
            if left <= 0 or faults == MOST_FAULTS_IN_A_ROW:
                return
            replayed = _replay_file(path, store, timeout=left)
            faults = faults + 1 if isinstance(replayed.trouble, RunguardError) else 0
            yield replayed


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a waiting file: `trouble` is None where its record is in the store now."""

    path: Path
    trouble: Exception | None


def _replay_file(path: Path, store: RunRepository, *, timeout: float) -> Replayed:
    try:
        record = _decoded(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Replayed(path, None)  # another process was faster
    except (OSError, ValueError, KeyError, TypeError) as trouble:
        return Replayed(path, trouble)
    try:
        if isinstance(record, SpooledAlert):
            store.raise_alert(record.draft, timeout=timeout)
        else:
            store.replay_run(record, timeout=timeout)
        path.unlink(missing_ok=True)
    except (RunguardError, OSError) as trouble:
        return Replayed(path, trouble)
    return Replayed(path, None)


def _sync(folder: Path) -> None:
    # Without this a power cut may take the name of a file whose content is safe.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_record(path: Path) -> bool:
    return path.suffix == ".json" and not path.name.startswith(".")


def _name_of(record: Record) -> str:
    # Keys begin with the time, so names sort by it. A start and its end are two files: one that
    # is replayed and removed can then never be the other.
    if isinstance(record, SpooledAlert):
        return f"{record.draft.uuid}.alert.json"
    return f"{record.run.key}.{'start' if record.ending is None else 'end'}.json"


def _encoded(record: Record) -> dict[str, Any]:
    return {"format": FORMAT, "kind": type(record).__name__, **_plain(record._asdict())}


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return _plain(asdict(value))
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, UUID) else value


def _decoded(data: Mapping[str, Any]) -> Record:
    if data["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, found {data['format']}")
    if data["kind"] == SpooledAlert.__name__:
        return SpooledAlert(_draft(data["draft"]))
    ending = data["ending"]
    finished_at = data["finished_at"]
    return SpooledRun(
        run=NewRun(
            key=UUID(data["run"]["key"]),
            job_name=data["run"]["job_name"],
            trigger_type=TriggerType(data["run"]["trigger_type"]),
            host=data["run"]["host"],
            pid=data["run"]["pid"],
            lost_after=_seconds(data["run"].get("lost_after")),
        ),
        started_at=_instant(data["started_at"]),
        finished_at=None if finished_at is None else _instant(finished_at),
        ending=None if ending is None else _ending(ending),
    )


def _ending(data: Mapping[str, Any]) -> RunEnding:
    failure, alert, refused_by = data["failure"], data["alert"], data.get("refused_by")
    return RunEnding(
        key=UUID(data["key"]),
        counters=Counters(**data["counters"]),
        failure=None if failure is None else _failure(failure),
        error_location=data["error_location"],
        alert=None if alert is None else _draft(alert),
        refused_by=None if refused_by is None else _holder(refused_by),
    )


def _holder(data: Mapping[str, Any]) -> LockHolder:
    until = data["lock_expires_at"]
    return LockHolder(data["locked_by"], None if until is None else _instant(until))


def _failure(data: Mapping[str, Any]) -> Failure:
    return Failure(
        **{
            **data,
            "error_group": ErrorGroup(data["error_group"]),
            "severity": Severity(data["severity"]),
        }
    )


def _draft(data: Mapping[str, Any]) -> AlertDraft:
    return AlertDraft(
        uuid=UUID(data["uuid"]),
        key=AlertKey(**data["key"]),
        severity=Severity(data["severity"]),
        title=data["title"],
        message=data["message"],
        detail=data["detail"],
        cooldown=timedelta(seconds=data["cooldown"]),
    )


def _seconds(length: float | None) -> timedelta | None:
    return None if length is None else timedelta(seconds=length)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
