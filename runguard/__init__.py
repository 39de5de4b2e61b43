"""Every run of a job leaves a trace; every kind of failure raises exactly one alert.

>>> from runguard import tracked_run
>>> @tracked_run("enrolment_sync")
... def enrolment_sync() -> None: ...
"""

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

__all__ = [
    "ConfigurationError",
    "ErrorGroup",
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
    "run_scope",
    "tracked_run",
]
