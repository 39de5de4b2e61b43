"""An alert of a job's own."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, exists, select

from ..._models import AlertDraft, AlertOutcome, AlertVerdict
from ..retry import Attempt
from ..rows import Lacking
from ..schema.tables import alert
from .answers import alert_parameters, how_of, verdict_of
from .cooldown import How, claim_alert
from .statements import ONE, given, verdict, write_alert


def raise_own(attempt: Attempt, lacking: Lacking, draft: AlertDraft) -> AlertVerdict:
    """Write an alert, if its key's cooldown allows."""
    parameters = alert_parameters(draft)
    row = attempt.connection.execute(raise_alert(how_of(draft, lacking)), parameters).one()
    if row.raised_id is None and attempt.answer_lost:
        written = attempt.connection.execute(read_back_alert(), parameters).scalar_one_or_none()
        if written is not None:
            return AlertVerdict(AlertOutcome.RAISED, written)
    return verdict_of(row, draft)


@cache
def raise_alert(how: How) -> Executable:
    """Write an alert of a job's own if its cooldown allows."""
    known = select(ONE).select_from(alert).where(alert.c.alert_key == given(alert.c.alert_key))
    new_alert = select(ONE.label("one")).where(~exists(known)).cte("new_alert")
    claim = claim_alert(new_alert, how)
    return verdict(claim, write_alert(claim, None), None)


@cache
def read_back_alert() -> Executable:
    """Find an alert whose answer was lost."""
    return select(alert.c.id).where(alert.c.alert_key == given(alert.c.alert_key))
