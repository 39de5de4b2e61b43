"""What an operator does about alerts: the only writes of an operator's role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, false, null, or_, select, true, update

from ..._errors import ConfigurationError, did_you_mean
from ..._monitor.records import AlertFilter, AlertRecord, ChangedAlerts, ReviewStatus
from ..schema.clock import db_now
from ..schema.tables import alert
from .pages import PageQueries
from .terms import ALERT_COLUMNS, ALERT_PLACE, LARGEST_ID, storable

MOST_MATCHING: Final = 10_000  # alerts that one action changes

_AT_ONCE: Final = 500  # ids in one statement
_IS_OPEN: Final = alert.c.resolved.is_not(True)
_IS_RESOLVED: Final = alert.c.resolved.is_(True)
_REOPENED: Final[Mapping[str, Any]] = {
    "resolved": false(),
    "resolved_at": null(),
    "resolved_by": null(),
}


class Triage(PageQueries):
    """What operators do about alerts, for both databases. Each statement is its own transaction."""

    def resolve_alerts(
        self,
        alert_ids: Sequence[int],
        *,
        by: str,
        resolved: bool = True,
        at: datetime | None = None,
    ) -> Sequence[AlertRecord]:
        """Mark alerts resolved, `at` a time by which they can be found again; or open again."""
        if resolved:
            return self._change(alert_ids, _IS_OPEN, _resolution(by, at or db_now()))
        return self._change(alert_ids, _IS_RESOLVED, _REOPENED)

    def review_alerts(
        self, alert_ids: Sequence[int], *, by: str, review_status: str
    ) -> Sequence[AlertRecord]:
        """Set the review status of alerts."""
        status = _known_status(review_status)
        values = {"review_status": status, "reviewed_at": db_now(), "reviewed_by": _who(by)}
        return self._change(alert_ids, _is_not(status), values)

    def resolve_matching(
        self,
        wanted: AlertFilter,
        *,
        by: str,
        resolved: bool = True,
        most: int = MOST_MATCHING,
        at: datetime | None = None,
    ) -> ChangedAlerts:
        """Mark all alerts that match resolved, or open again: `most` at once, the newest first.

        All get one time of resolution, `at` or now, by which `undo_resolution` finds them.
        """
        at = at or self.now()
        matching = replace(wanted, resolved=not resolved)
        if wanted.resolved is resolved:
            return ChangedAlerts(0, at, is_all=True)
        differs = _IS_OPEN if resolved else _IS_RESOLVED
        values = _resolution(by, at) if resolved else _REOPENED
        return self._change_matching(matching, differs, values, at=at, most=most)

    def review_matching(
        self, wanted: AlertFilter, *, by: str, review_status: str, most: int = MOST_MATCHING
    ) -> ChangedAlerts:
        """Set the review status of all alerts that match: of `most` at once, the newest first."""
        status, at = _known_status(review_status), self.now()
        values = {"review_status": status, "reviewed_at": at, "reviewed_by": _who(by)}
        return self._change_matching(wanted, _is_not(status), values, at=at, most=most)

    def undo_resolution(self, resolved_at: datetime, *, count: int) -> ChangedAlerts:
        """Open again what one action resolved at this time, `count` alerts."""
        wanted = AlertFilter(resolved=True, resolved_at=resolved_at)
        return self._change_matching(
            wanted, _IS_RESOLVED, _REOPENED, at=self.now(), most=max(1, count)
        )

    def _change_matching(
        self,
        wanted: AlertFilter,
        differs: ColumnElement[bool],
        values: Mapping[str, Any],
        *,
        at: datetime,
        most: int,
    ) -> ChangedAlerts:
        """Change what matches, page by page: no statement looks through more than a page does."""
        seen, changed, cursor = 0, 0, None
        while True:
            rows, _, cursor = self._page(
                ALERT_PLACE,
                ALERT_PLACE,
                *self._alert_conditions(wanted),
                limit=min(_AT_ONCE, most - seen),
                ascending=False,
                following=cursor,
                preceding=None,
            )
            if rows:
                there = alert.c.id.in_([row.id for row in rows])
                change = update(alert).where(there, differs).values(values).returning(alert.c.id)
                changed += len(self._rows(change))
            seen += len(rows)
            if cursor is None or seen >= most:
                return ChangedAlerts(changed, at, is_all=cursor is None)

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


def _is_not(review_status: str) -> ColumnElement[bool]:
    return or_(alert.c.review_status != review_status, alert.c.review_status.is_(None))


def _resolution(by: str, at: Any) -> Mapping[str, Any]:
    return {"resolved": true(), "resolved_at": at, "resolved_by": _who(by)}


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
