"""What could be expected of jobs: TOML with the evidence, for somebody to read and to keep."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import typer

from .._errors import did_you_mean
from .._monitor import cadence
from .._monitor.filters import fits
from .._monitor.visible import visible
from .._monitor.wording import counted
from .output import write_json
from .talk import one_line, say

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

_NAMES_OF_UTC: Final = frozenset({"UTC", "Etc/UTC", "UCT", "Zulu", "Universal"})
LOCAL_TIME: Final = "/etc/localtime"


def write_suggestions(
    store: OperatorStore,
    names: Sequence[str] | None,
    *,
    environment: str | None = None,
    as_json: bool = False,
) -> None:
    """Print what the history of jobs proves, and how many have none or have a schedule already.

    Of a job that has one in some environments, its runs in the others count.

    Args:
        store: Where the history is.
        names: The jobs that are asked for, also by patterns; all where there are none.
        environment: The only one that is asked for, `none` for runs without one.
        as_json: Whether to print JSON.

    Raises:
        Exit: no run of a job that was named is recorded.
    """
    ran = store.job_names()
    for name in names or ():
        if not any(fits(job, name) for job in ran):
            say(f"No run of {one_line(name)} was ever recorded{did_you_mean(name, ran)}.")
            raise typer.Exit(1)
    now, declared = store.now(), store.expected_jobs(with_retired=True)
    known = {
        (one.job_name, one.environment)
        for one in declared
        if one.expectation.has_schedule or one.retired_at is not None
    }
    wanted: dict[str, list[str | None]] = {}
    asked: dict[str, list[str | None]] = {}
    for one in store.overview(strip=1, jobs=names or (), environment=environment):
        if one.last_start_at is None:
            continue
        wanted.setdefault(one.job_name, []).append(one.environment)
        if (one.job_name, one.environment) not in known:
            asked.setdefault(one.job_name, []).append(one.environment)
    zones = _zones(one.expectation.tz for one in declared)
    since = now - cadence.LOOKS_BACK
    suggested = (
        cadence.suggest(
            job,
            [
                start
                for place in environments
                for start in store.starts(job, since=since, environment=place)
            ],
            now=now,
            zones=zones,
        )
        for job, environments in asked.items()
    )
    found = [one for one in suggested if one is not None]
    if as_json:
        write_json({**asdict(one), "expectation": one.expectation.as_document()} for one in found)
    else:
        sys.stdout.write(visible("\n".join(map(cadence.as_toml, found)), lines=True))
    if left_out := _left_out(unproven=len(asked) - len(found), known=len(wanted) - len(asked)):
        say(left_out)


def _left_out(*, unproven: int, known: int) -> str:
    """Say why jobs got no suggestion; nothing where all got one."""
    whose = []
    if unproven:
        whose.append(f"{counted(unproven, 'job')} whose history proves no rule")
    if known:
        whose.append(f"{counted(known, 'job')} with a schedule already, or retired")
    return f"Left out: {'; '.join(whose)}." if whose else ""


def _zones(declared: Iterable[str | None]) -> tuple[tzinfo, ...]:
    """Return the zones in which times of day are looked for, the likeliest first.

    This machine's own is that of its scheduler, most likely; then UTC, and those of other jobs.
    """
    zones: dict[str, tzinfo] = {}
    for name in (_machine_zone(), "UTC", *declared):
        with suppress(LookupError, ValueError, OSError):
            if name:
                zones[name] = UTC if name == "UTC" else ZoneInfo(name)
    return tuple(zones.values())


def _machine_zone() -> str | None:
    """Return the name of this machine's zone; None where it is not known."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        _, _, name = os.path.realpath(LOCAL_TIME).partition("/zoneinfo/")
    return "UTC" if name in _NAMES_OF_UTC else name or None
