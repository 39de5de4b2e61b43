"""What the address of a page asks for, read as the JSON API reads it.

A form without a script sends its empty fields too, so an empty value asks for nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request

from .._monitor.records import AlertFilter, Cursor, RunFilter
from .api import ENDPOINTS, Parameter
from .problems import Problem

_PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    endpoint.name: {parameter.name: parameter for parameter in endpoint.parameters}
    for endpoint in ENDPOINTS
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for: `values` as read, `texts` as they stand in the address.

    `texts` leaves out where a page goes on: it belongs to the filters of the page before.
    """

    values: Mapping[str, Any]
    texts: Mapping[str, str]

    @property
    def page(self) -> Mapping[str, Cursor]:
        """The direction and the place where this page goes on; empty for the first."""
        page: Mapping[str, Cursor] = self.values.get("page", {})
        return page

    @property
    def filters(self) -> Mapping[str, str]:
        """What narrows the list, as texts."""
        return {name: text for name, text in self.texts.items() if name not in ("order", "limit")}

    def time(self, name: str, now: datetime) -> datetime | None:
        """Return `since` or `until`, which may be given as so long ago."""
        value: datetime | timedelta | None = self.values.get(name)
        if isinstance(value, timedelta):
            # Nobody looks for a run of more than a century ago, and no calendar goes on for ever.
            return now - min(value, timedelta(days=36_500))
        return value


def asked_of(request: Request, endpoint: str) -> Asked:
    """Read what the parameters of an endpoint of the JSON API ask for; others are passed over.

    Raises:
        Problem: a value cannot be read.
    """
    values: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for name, parameter in _PARAMETERS[endpoint].items():
        text = request.query_params.get(name, "").strip()
        if not text:
            continue
        try:
            values[name] = parameter.read(text)
        except ValueError as error:
            raise Problem(
                422,
                f"{name}: expected {error}, found {text!r}",
                title="This filter cannot be read",
                remedy="Correct it in the address, or choose the filters again.",
            ) from None
        if name != "page":
            texts[name] = text
    return Asked(values, texts)


def run_filter(asked: Asked, now: datetime, *, job_name: str | None = None) -> RunFilter:
    """Return which runs are asked for."""
    values = asked.values
    return RunFilter(
        job_name=values.get("job") if job_name is None else job_name,
        status=values.get("status"),
        error_group=values.get("group"),
        trigger_type=values.get("trigger"),
        since=asked.time("since", now),
        until=asked.time("until", now),
    )


def alert_filter(asked: Asked, now: datetime) -> AlertFilter:
    """Return which alerts are asked for."""
    values = asked.values
    return AlertFilter(
        job_name=values.get("job"),
        error_group=values.get("group"),
        alert_type=values.get("type"),
        severity=values.get("severity"),
        review_status=values.get("review_status"),
        resolved=values.get("resolved"),
        since=asked.time("since", now),
        until=asked.time("until", now),
    )
