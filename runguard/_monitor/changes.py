"""What changed since a job last worked: the code, the host, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RanAs:
    """One run, as far as a change shows. Times are aware, in UTC; what is not known is None."""

    id: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    version: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """The first failure of a row of failures beside the success before it.

    `first_failure` is the oldest failure since `last_success`; it may be the run itself.
    `last_success` is None where none is found. `successes` counts those in a row that ended with
    it; `is_all` is False where counting stopped, so that there may be more.
    """

    first_failure: RanAs
    last_success: RanAs | None = None
    successes: int = 0
    is_all: bool = True

    @property
    def code_changed(self) -> bool | None:
        """Whether another version ran; None where one of both is not known."""
        if self.last_success is None:
            return None
        before, after = self.last_success.version, self.first_failure.version
        return None if before is None or after is None else before != after

    @property
    def host_changed(self) -> bool | None:
        """Whether it ran on another host; None where one of both is not known."""
        if self.last_success is None:
            return None
        before, after = self.last_success.host, self.first_failure.host
        return None if before is None or after is None else before != after
