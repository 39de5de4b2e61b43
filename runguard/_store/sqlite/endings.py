"""The end of a run, inside a transaction."""

from __future__ import annotations

from typing import Any, Final

from ..._models import AlertOutcome, AlertVerdict, FinishedRun, RunEnding
from ..rows import FAILURE_COLUMNS, NOTES, Lacking, failure_values, note_values, parameters, present
from . import statements as sql
from .cooldown import find_covering, write_alert
from .direct import RunConnection, core_of

_QUIET_OUTCOMES: Final = {True: AlertOutcome.NONE, False: AlertOutcome.EXCLUDED}
_NO_FAILURE: Final = dict.fromkeys(FAILURE_COLUMNS)


def end_run(connection: RunConnection, lacking: Lacking, ending: RunEnding) -> FinishedRun | None:
    """Write how a run ended, and raise its alert if the cooldown allows; None if it is not open.

    The alert comes last, since it names the run.
    """
    verdict = verdict_before(connection, lacking, ending)
    values = ended_values(ending, verdict, lacking) | ending.counters._asdict()
    values["created_alerts"] += verdict is None
    ended = connection.execute(sql.end(lacking), parameters(values, {"run_key": ending.key}))
    run_id: int | None = ended.scalar_one_or_none()
    if run_id is None:
        return None
    if verdict is None:
        verdict = write_alert_of(connection, lacking, ending, run_id)
    if ending.note is not None and NOTES not in lacking:
        note = parameters(note_values(ending.note), {"run_key": ending.key})
        connection.execute(sql.keep_note(), note)
    return FinishedRun(recorded=True, run_id=run_id, verdict=verdict)


def verdict_before(
    connection: RunConnection, lacking: Lacking, ending: RunEnding
) -> AlertVerdict | None:
    """Say why an ending raises no alert; None where its alert is to be written."""
    if ending.alert is None:
        return AlertVerdict(_QUIET_OUTCOMES[ending.failure is None])
    if ending.alert.failures_to_alert > 1:
        from ..waiting import verdict_if_waiting

        if (verdict := verdict_if_waiting(core_of(connection), lacking, ending)) is not None:
            return verdict
    return find_covering(connection, ending.alert)


def write_alert_of(
    connection: RunConnection, lacking: Lacking, ending: RunEnding, run_id: int
) -> AlertVerdict:
    """Raise the alert of an ending that has one."""
    assert ending.alert is not None  # noqa: S101 - see `verdict_before`
    return write_alert(connection, lacking, ending.alert, run_id=run_id)


def ended_values(
    ending: RunEnding, verdict: AlertVerdict | None, lacking: Lacking
) -> dict[str, Any]:
    """Return the columns that say how a run ended, but for what it counted."""
    return {
        **present(_NO_FAILURE, lacking),
        **failure_values(ending, lacking),
        "status": ending.status,
        "alert_outcome": AlertOutcome.RAISED if verdict is None else verdict.outcome,
        "covered_by": None if verdict is None else verdict.alert_id,
    }
