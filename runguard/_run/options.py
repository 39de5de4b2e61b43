"""What is said of a run in the code, and checked where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from .._errors import ConfigurationError
from .._frozen import frozen
from .._models import TriggerType, TriggerTypeName
from .._settings import MOST_FAILURES_TO_ALERT, check_count, check_duration, trigger_type_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from .expecting import Expect

LONGEST_JOB_NAME: Final = 255
EXPECTED: Final[dict[str, Expect]] = {}  # by `runguard.expect`, for runs whose options say nothing


@frozen
class RunOptions:
    """What is said of a run in the code. Immutable, so a decorated function may share it."""

    job_name: str
    trigger_type: TriggerType | None = None
    lock: bool = False
    lock_ttl: timedelta | None = None
    cooldown: timedelta | None = None
    failures_to_alert: int | None = None
    no_alert_on: tuple[type[BaseException], ...] = ()
    expect: Expect | None = None
    key: UUID | None = None  # of an integration that ends the run in another process too
    keep: tuple[str, ...] = ()
    context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be used, where it was written."""
        check_job_name(self.job_name)
        if self.lock_ttl is not None:
            check_duration("lock_ttl", self.lock_ttl)
        if self.cooldown is not None:
            check_duration("cooldown", self.cooldown, zero=True)
        if self.failures_to_alert is not None:
            check_count("failures_to_alert", self.failures_to_alert, most=MOST_FAILURES_TO_ALERT)
        if not isinstance(self.context, Mapping | None):
            raise TypeError(f"context: expected a mapping, found {self.context!r}")
        for excluded in self.no_alert_on:
            if not (isinstance(excluded, type) and issubclass(excluded, BaseException)):
                raise TypeError(f"no_alert_on: expected exception types, found {excluded!r}")


def make_options(
    job_name: str,
    *,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    expect: Expect | Literal["learn"] | None = None,
    keep: Sequence[str] = (),
    **others: Any,
) -> RunOptions:
    """Read the options of `run_scope` and `tracked_run`; `others` are taken as they are."""
    if expect is not None:
        from .expecting import as_expect

        expect = as_expect(expect)
    return RunOptions(
        job_name=job_name,
        trigger_type=None if trigger_type is None else trigger_type_of(trigger_type),
        no_alert_on=no_alert_on if isinstance(no_alert_on, tuple) else (no_alert_on,),
        expect=expect,
        keep=(keep,) if isinstance(keep, str) else tuple(keep),
        **others,
    )


def check_job_name(job_name: object) -> None:
    """Raise unless the name can be stored, indexed and read: 1 to 255 printable characters."""
    if not isinstance(job_name, str):
        hint = ": write @tracked_run('name')" if callable(job_name) else ""
        raise TypeError(f"job_name: expected a str, found {type(job_name).__name__}{hint}")
    if not job_name.strip():
        raise ConfigurationError("job_name: expected a name, found an empty one")
    if len(job_name) > LONGEST_JOB_NAME:
        raise ConfigurationError(
            f"job_name: expected at most {LONGEST_JOB_NAME} characters, found {len(job_name)}"
        )
    if not job_name.isprintable():
        raise ConfigurationError(
            f"job_name: expected printable characters only, found {job_name!a}"
        )
