"""Every run of a job leaves a trace; every kind of failure raises exactly one alert.

A program may import it before pytest does (PYTEST_DONT_REWRITE).

>>> from runguard import tracked_run
>>> @tracked_run("enrolment_sync")
... def enrolment_sync() -> None: ...
"""

import typing

from ._api import classify, configure, run_scope, tracked_run
from ._errors import (
    ConfigurationError,
    JobLockActive,
    RunguardError,
    SchemaOutOfDate,
    StoreUnavailable,
)
from ._models import ErrorGroup, Failure, Rule, RunStatus, Severity, TriggerType
from ._run.handle import Run, current_run
from ._run.scope import RunScope
from ._version import __version__ as __version__

if typing.TYPE_CHECKING:
    from ._run.declaring import expect
    from ._run.expecting import Expect
else:

    def __getattr__(name):
        """Load what only a job needs that expects something."""
        if name in ("Expect", "expect"):
            from ._run import declaring

            return globals().setdefault(name, getattr(declaring, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ConfigurationError",
    "ErrorGroup",
    "Expect",
    "Failure",
    "JobLockActive",
    "Rule",
    "Run",
    "RunScope",
    "RunStatus",
    "RunguardError",
    "SchemaOutOfDate",
    "Severity",
    "StoreUnavailable",
    "TriggerType",
    "classify",
    "configure",
    "current_run",
    "expect",
    "run_scope",
    "tracked_run",
]
