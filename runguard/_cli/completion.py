"""What a shell completes: words that are known, and names that are in the store.

A completion that fails says nothing: nobody wants a traceback in the middle of a line. It makes
no embedded file where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .._models import ErrorGroup, RunStatus, TriggerType
from .._reasons import ErrorReason

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

MOST = 50
Found = TypeVar("Found")


def statuses(incomplete: str) -> list[str]:
    """Complete the status of a run."""
    return _in_its_case(incomplete, RunStatus)


def groups(incomplete: str) -> list[str]:
    """Complete the group of a failure."""
    return _in_its_case(incomplete, ErrorGroup)


def reasons(incomplete: str) -> list[str]:
    """Complete the reason of a failure."""
    return _in_its_case(incomplete, ErrorReason)


def triggers(incomplete: str) -> list[str]:
    """Complete what started a run."""
    return _in_its_case(incomplete, TriggerType)


def job_names(ctx: Any, incomplete: str) -> list[str]:
    """Complete the name of a job."""
    return _starting(incomplete, _asked(ctx, _jobs_of))


def expected_jobs(ctx: Any, incomplete: str) -> list[str]:
    """Complete the name of a job that ran, or of which something is expected."""
    return _starting(incomplete, _asked(ctx, _expected_jobs))


def runs(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Complete a run: by a word, by its job, or by the id of a recent one."""
    word, colon, beginning = incomplete.partition(":")
    if colon:
        names = _starting(beginning, _asked(ctx, _jobs_of))
        return [(f"{word}:{name}", f"the newest of {name}") for name in names]
    known = [
        ("last", "the newest run"),
        ("failed", "the newest failure"),
        *_asked(ctx, _recent_runs),
    ]
    return [(name, says) for name, says in known if name.startswith(incomplete)]


def open_alerts(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Complete the id of an alert that nobody has resolved."""
    return [found for found in _asked(ctx, _open_alerts) if found[0].startswith(incomplete)]


def _in_its_case(beginning: str, known: Any) -> list[str]:
    """Complete a word that may be typed in any case: in the one it was begun in."""
    words = [str(word).lower() if beginning.islower() else str(word) for word in known]
    return _starting(beginning, words)


def _starting(beginning: str, known: Any) -> list[str]:
    return [str(word) for word in known if str(word).startswith(beginning)]


def environments(ctx: Any, incomplete: str) -> list[str]:
    """Complete the name of an environment."""
    return _starting(incomplete, (*_asked(ctx, _environments), "none"))


def _environments(store: OperatorStore) -> list[str]:
    return list(store.environments())


def _jobs_of(store: OperatorStore) -> list[str]:
    return list(store.job_names())


def _expected_jobs(store: OperatorStore) -> list[str]:
    expected = (one.job_name for one in store.expected_jobs(with_retired=True))
    return sorted({*store.job_names(), *expected})


def _recent_runs(store: OperatorStore) -> list[tuple[str, str]]:
    from .._monitor.records import RunFilter

    runs = store.run_page(RunFilter(), limit=MOST).runs
    return [(str(run.id), f"{run.job_name} {run.status}") for run in runs]


def _open_alerts(store: OperatorStore) -> list[tuple[str, str]]:
    from .._monitor.records import AlertFilter

    alerts = store.alert_page(AlertFilter(resolved=False), limit=MOST).alerts
    return [(str(alert.id), alert.source_id) for alert in alerts]


def _asked(ctx: Any, question: Callable[[OperatorStore], list[Found]]) -> list[Found]:
    """Ask the store that the line names so far; nothing where that fails."""
    from .stores import opened_store, quiet_log

    # What cannot be written is dropped: even a warning would stand in the middle of the line.
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere), quiet_log():
        try:
            url = ctx.params.get("database_url")
            if not _is_there(url):
                return []
            with opened_store(url) as store:
                return question(store)
        except Exception:
            return []


def _is_there(url: str | None) -> bool:
    """Whether a store can be asked without making its file."""
    from .._run.embedded import embedded_file
    from .._settings import settings_from

    named = url or settings_from({}, os.environ).database_url
    if not named:
        return Path(embedded_file()).exists()
    scheme, _, file = named.partition(":///")
    return not scheme.startswith("sqlite") or Path(file.partition("?")[0]).exists()
