"""Where the version of a job changed, among its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol


class RunOfVersion(Protocol):
    """A run, and which version of the job it ran; None where that is not known."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def version(self) -> str | None:
        """Its version."""


class NewVersion(NamedTuple):
    """A version, and the one that ran before it."""

    before: str
    now: str


def new_versions(runs: Iterable[RunOfVersion]) -> Mapping[int, NewVersion]:
    """Return which runs were the first of another version, by their ids, the newest first.

    `runs` are of one job, the newest first. A run whose version is not known changes nothing.
    """
    found: dict[int, NewVersion] = {}
    later: RunOfVersion | None = None
    for run in runs:
        if run.version is None:
            continue
        if later is not None and later.version is not None and later.version != run.version:
            found[later.id] = NewVersion(run.version, later.version)
        later = run
    return found
