"""What changed since a job last worked: the code, the host, or neither."""

from __future__ import annotations

from datetime import datetime

from .._frozen import frozen


@frozen
class RanAs:
    """One run, as far as a change shows. Times are aware, in UTC; what is not known is None."""

    id: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    version: str | None = None
    host: str | None = None


@frozen
class Changed:
    """The first failure of a row of failures beside the success before it.

    `first_failure` is the oldest failure since `last_success`; it may be the run itself.
    `last_success` is None where none is found. `successes` counts those in a row that ended with
    it; `is_all` is False where counting stopped, so that there may be more. `code_changed` and
    `host_changed` say whether another version or host ran; None where one of both is not known.
    """

    first_failure: RanAs
    last_success: RanAs | None = None
    successes: int = 0
    is_all: bool = True
    code_changed: bool | None = None  # these two follow from the runs, whatever is given
    host_changed: bool | None = None

    def __post_init__(self) -> None:
        """Compare the two."""
        before, after = self.last_success, self.first_failure
        code = _differ(before.version, after.version) if before is not None else None
        host = _differ(before.host, after.host) if before is not None else None
        object.__setattr__(self, "code_changed", code)
        object.__setattr__(self, "host_changed", host)


def _differ(before: str | None, after: str | None) -> bool | None:
    return None if before is None or after is None else before != after
