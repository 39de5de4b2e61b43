"""What an operator does about alerts: the only writes of an operator's role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, false, null, or_, select, true, update

from ..._errors import ConfigurationError, did_you_mean
from ..._models import ReviewStatus
from ..._monitor.records import AlertRecord
from ..schema.tables import alert
from ..schema.types import db_now
from .reports import Reports
from .terms import ALERT_COLUMNS, LARGEST_ID, storable

_AT_ONCE: Final = 500  # ids in one statement


class Triage(Reports):
    """What operators do about alerts, for both databases. Each statement is its own transaction."""

    def resolve_alerts(
        self, alert_ids: Sequence[int], *, by: str, resolved: bool = True
    ) -> Sequence[AlertRecord]:
        """Mark alerts resolved, or open again."""
        who = _who(by)
        if resolved:
            values = {"resolved": true(), "resolved_at": db_now(), "resolved_by": who}
            return self._change(alert_ids, alert.c.resolved.is_not(True), values)
        values = {"resolved": false(), "resolved_at": null(), "resolved_by": null()}
        return self._change(alert_ids, alert.c.resolved.is_(True), values)

    def review_alerts(
        self, alert_ids: Sequence[int], *, by: str, review_status: str
    ) -> Sequence[AlertRecord]:
        """Set the review status of alerts."""
        status = _known_status(review_status)
        values = {"review_status": status, "reviewed_at": db_now(), "reviewed_by": _who(by)}
        differs = or_(alert.c.review_status != status, alert.c.review_status.is_(None))
        return self._change(alert_ids, differs, values)

    def _change(
        self,
        alert_ids: Sequence[int],
        differs: ColumnElement[bool],
        values: Mapping[str, Any],
    ) -> list[AlertRecord]:
        """Change those that differ; return all that exist, in the order they were asked for."""
        ids = [one for one in dict.fromkeys(alert_ids) if 0 < one <= LARGEST_ID]
        found: dict[int, AlertRecord] = {}
        for start in range(0, len(ids), _AT_ONCE):
            asked = alert.c.id.in_(ids[start : start + _AT_ONCE])
            self._rows(update(alert).where(asked, differs).values(values).returning(alert.c.id))
            for row in self._rows(select(*ALERT_COLUMNS).where(asked)):
                record = AlertRecord(*row)
                found[record.id] = record
        return [found[one] for one in ids if one in found]


def _known_status(word: str) -> str:
    if word not in set(ReviewStatus):
        raise ConfigurationError(
            f"review_status: expected one of {', '.join(ReviewStatus)}; found {word!r}"
            f"{did_you_mean(word.upper(), ReviewStatus)}"
        )
    return str(word)


def _who(by: str) -> str:
    if not by.strip():
        raise ConfigurationError("by: expected a name, found an empty one")
    return storable(by.strip())
