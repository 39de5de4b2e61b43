"""Every run of a job leaves a trace; every kind of failure raises exactly one alert.

>>> from runguard import tracked_run
>>> @tracked_run("enrolment_sync")
... def enrolment_sync() -> None: ...
"""

from ._errors import (
    ConfigurationError,
    JobLockActive,
    RunguardError,
    SchemaOutOfDate,
    StoreUnavailable,
)
from ._models import ErrorGroup, Failure, Rule, RunStatus, Severity, TriggerType
from ._run.decorator import tracked_run
from ._run.handle import Run, current_run
from ._run.runtime import classify, configure
from ._run.scope import RunScope, run_scope

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
