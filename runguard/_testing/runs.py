"""`RecordedRuns`: what a test asserts of runs, alerts and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any, Final, Unpack

from .._errors import ConfigurationError, did_you_mean
from .._failure.alert import FAILURE_ALERT_TYPE
from .._frozen import frozen
from .._models import AlertOutcome
from .._monitor.records import AlertRecord, NoteRecord, RunRecord
from .columns import AlertColumns, RunColumns
from .view import Rows, StoreView, ToldMessage
from .wording import check_columns, differences, listed, nearest, spelled

_ANOTHER_NAME: Final = 1_000  # is further away than any number of columns


@frozen
class _Marks:
    """How far the rows had come at some moment: the highest ids, and the number of messages."""

    run: float = 0
    alert: float = 0
    delivery: float = 0
    told: int = 0


_BEGINNING: Final = _Marks()
_END: Final = _Marks(inf, inf, inf, 2**62)


class RecordedRuns:
    """The runs that were recorded, their alerts, and what people are told.

    Each assertion that fails prints what it expected, what comes nearest, and all that is there.

    Added in 0.2.
    """

    def __init__(
        self,
        view: StoreView,
        *,
        waiting: Callable[[], int] = lambda: 0,
        since: _Marks = _BEGINNING,
    ) -> None:
        """Made by the fixtures and by `recorded`."""
        self._view = view
        self._waiting = waiting
        self._since = since
        self._until = _END

    @property
    def runs(self) -> Sequence[RunRecord]:
        """The runs, the oldest first."""
        return self._rows().runs

    @property
    def alerts(self) -> Sequence[AlertRecord]:
        """The alerts, the oldest first."""
        return self._rows().alerts

    @property
    def told(self) -> Sequence[ToldMessage]:
        """The messages, the oldest first. What is due is delivered to the captured channels.

        Raises:
            ConfigurationError: The store is not a test's own, so that nothing is captured.
        """
        if not self._view.captures:
            raise ConfigurationError(
                "told: expected a store of the test's own, found one that others may be told from:"
                " use the fixture runguard_store, or fresh_store()"
            )
        if self._until is _END:
            self._view.deliver()
        return self._told()

    @property
    def waiting(self) -> int:
        """How many records wait in the spool for a store that is away."""
        return self._waiting()

    def note_of(self, run: RunRecord, /) -> NoteRecord:
        """Return what is kept beside a run: context, links, progress, traceback, log lines."""
        with self._view.reader() as store:
            return store.run_notes([run.id]).get(run.id) or NoteRecord()

    def assert_run(
        self,
        job_name: str,
        /,
        *,
        contains: str = "",
        count: int | None = None,
        **columns: Unpack[RunColumns],
    ) -> RunRecord:
        """Assert that a run was recorded, and return it; the newest of several.

        Args:
            job_name: The job's name.
            contains: A part of its error message.
            count: How many such runs there are. None: at least one.
            columns: Columns of `run_log`, such as `status="FAILED"`.
        """
        __tracebackhide__ = True
        rows = self._rows()
        found = self._runs(rows, job_name, columns, contains)
        if found and count in (None, len(found)):
            return found[-1]
        asked = _asked(columns, contains)
        raise self._failed(
            rows,
            f"expected {_number(count)} of {job_name}{asked}, found {_found(len(found))}",
            "" if found else _nearest_run(rows, job_name, columns, contains),
        )

    def assert_no_run(
        self, job_name: str | None = None, /, *, contains: str = "", **columns: Unpack[RunColumns]
    ) -> None:
        """Assert that no such run was recorded; without a name, none of any job."""
        __tracebackhide__ = True
        rows = self._rows()
        if found := self._runs(rows, job_name, columns, contains):
            of = "" if job_name is None else f" of {job_name}"
            asked = _asked(columns, contains)
            raise self._failed(rows, f"expected no run{of}{asked}, found {_found(len(found))}")

    def assert_alert(
        self,
        source_id: str,
        /,
        *,
        contains: str = "",
        count: int | None = None,
        **columns: Unpack[AlertColumns],
    ) -> AlertRecord:
        """Assert that an alert was raised, and return it; the newest of several.

        Args:
            source_id: What it is about: `sync:TIMEOUT` for a failure, a job's own word else.
            contains: A part of its title or its message.
            count: How many such alerts there are. None: at least one.
            columns: Columns of `alert`, such as `severity="high"`.
        """
        __tracebackhide__ = True
        rows = self._rows()
        found = self._alerts(rows, source_id, columns, contains)
        if found and count in (None, len(found)):
            return found[-1]
        asked = _asked(columns, contains)
        raise self._failed(
            rows,
            f"expected {_number(count, 'alert')} {source_id}{asked}, found {_found(len(found))}",
            "" if found else _nearest_alert(rows, source_id, columns, contains),
        )

    def assert_no_alert(
        self,
        source_id: str | None = None,
        /,
        *,
        contains: str = "",
        **columns: Unpack[AlertColumns],
    ) -> None:
        """Assert that no such alert was raised; without a source, none at all."""
        __tracebackhide__ = True
        rows = self._rows()
        if found := self._alerts(rows, source_id, columns, contains):
            about = "" if source_id is None else f" {source_id}"
            asked = _asked(columns, contains)
            raise self._failed(rows, f"expected no alert{about}{asked}, found {_found(len(found))}")

    def assert_suppressed(self, source_id: str, /) -> RunRecord:
        """Assert that a failure raised no alert since an earlier one covers it; return its run.

        Args:
            source_id: `sync:TIMEOUT`, or the job's name for a failure of any group.
        """
        __tracebackhide__ = True
        rows = self._rows()
        suppressed = AlertOutcome.SUPPRESSED.value
        its = [run for run in rows.runs if source_id in (run.job_name, _source_of(run))]
        found = [run for run in its if run.alert_outcome == suppressed]
        if found:
            return found[-1]
        near = (
            f"nearest: run {its[-1].id}, but its alert was {its[-1].alert_outcome}" if its else ""
        )
        raise self._failed(rows, f"expected a suppressed failure {source_id}, found none", near)

    def assert_told(
        self,
        channel: str,
        /,
        *,
        contains: str = "",
        count: int | None = None,
        kind: str | None = None,
    ) -> ToldMessage:
        """Assert that a channel got a message, and return it; the newest of several.

        What is due is routed and written as it really would be, then captured instead of sent.

        Args:
            channel: Its name in the project's configuration; `oncall` where there is none.
            contains: A part of its subject or its text.
            count: How many such messages there are. None: at least one.
            kind: `opened`, `reminder`, `raised`, `recovered` or `digest`. None: any.
        """
        __tracebackhide__ = True
        known = self._view.channels()
        if channel not in known:
            raise AssertionError(
                f"expected a channel that is configured here ({', '.join(known)}),"
                f" found {channel!r}{did_you_mean(channel, known)}"
            )
        told = self.told
        found = [one for one in told if _says(one, channel, contains, kind)]
        if found and count in (None, len(found)):
            return found[-1]
        its = [] if found else [one for one in told if one.channel == channel]
        near = f"nearest: {its[-1].subject}\n{its[-1].text}" if its else ""
        asked = _asked({} if kind is None else {"kind": kind}, contains)
        raise self._failed(
            self._rows(),
            f"expected {_number(count, 'message')} to {channel}{asked}, found {_found(len(found))}",
            near,
        )

    def assert_not_told(
        self, channel: str | None = None, /, *, contains: str = "", kind: str | None = None
    ) -> None:
        """Assert that a channel got no such message; without a name, none of them."""
        __tracebackhide__ = True
        found = [one for one in self.told if _says(one, channel, contains, kind)]
        if found:
            to = "" if channel is None else f" to {channel}"
            asked = _asked({} if kind is None else {"kind": kind}, contains)
            raise self._failed(
                self._rows(), f"expected no message{to}{asked}, found {_found(len(found))}"
            )

    @contextmanager
    def recorded(self) -> Iterator[RecordedRuns]:
        """Give what is recorded inside the block, and nothing from before or after it."""
        self._view.deliver()  # what is told inside is of the block alone
        new = RecordedRuns(self._view, waiting=self._waiting, since=self._marks())
        try:
            yield new
        finally:
            new._end()

    def _end(self) -> None:
        self._view.deliver()
        self._until = self._marks()

    def _marks(self) -> _Marks:
        rows = self._view.rows()
        its = (rows.runs, rows.alerts, rows.deliveries)
        run, alert, delivery = (max((row.id for row in rows), default=0) for rows in its)
        return _Marks(run, alert, delivery, len(self._view.told))

    def _rows(self) -> Rows:
        rows, since, until = self._view.rows(), self._since, self._until
        return Rows(
            [one for one in rows.runs if since.run < one.id <= until.run],
            [one for one in rows.alerts if since.alert < one.id <= until.alert],
            [one for one in rows.deliveries if since.delivery < one.id <= until.delivery],
        )

    def _told(self) -> Sequence[ToldMessage]:
        return self._view.told[self._since.told : self._until.told]

    def _runs(
        self, rows: Rows, job_name: str | None, columns: Mapping[str, Any], contains: str
    ) -> list[RunRecord]:
        check_columns(columns, list(RunColumns.__annotations__))
        return [
            run
            for run in rows.runs
            if job_name in (None, run.job_name)
            and not differences(run, columns)
            and contains in (run.error_message or "")
        ]

    def _alerts(
        self, rows: Rows, source_id: str | None, columns: Mapping[str, Any], contains: str
    ) -> list[AlertRecord]:
        check_columns(columns, list(AlertColumns.__annotations__))
        return [
            alert
            for alert in rows.alerts
            if source_id in (None, alert.source_id, _finding_of(alert))
            and not differences(alert, columns)
            and contains in f"{alert.title}\n{alert.message or ''}"
        ]

    def _failed(self, rows: Rows, expected: str, near: str = "") -> AssertionError:
        there = listed(rows, self._told(), self.waiting)
        return AssertionError("\n".join(filter(None, (expected, near, there))))


def _nearest_run(rows: Rows, job_name: str, columns: Mapping[str, Any], contains: str) -> str:
    def distance(run: RunRecord) -> int:
        another = 0 if run.job_name == job_name else _ANOTHER_NAME
        return another + len(differences(run, columns))

    def differing(run: RunRecord) -> str:
        its: dict[str, object] = {}
        if run.job_name != job_name:
            its["job_name"] = run.job_name
        its |= differences(run, columns)
        return spelled(its) or f"error_message={run.error_message!r} has no {contains!r}"

    hint = did_you_mean(job_name, {run.job_name for run in rows.runs} - {job_name})
    return nearest(rows.runs, distance, differing, "run") + hint


def _nearest_alert(rows: Rows, source_id: str, columns: Mapping[str, Any], contains: str) -> str:
    def is_another(alert: AlertRecord) -> bool:
        return source_id not in (alert.source_id, _finding_of(alert))

    def distance(alert: AlertRecord) -> int:
        return _ANOTHER_NAME * is_another(alert) + len(differences(alert, columns))

    def differing(alert: AlertRecord) -> str:
        its: dict[str, object] = {"source_id": alert.source_id} if is_another(alert) else {}
        its |= differences(alert, columns)
        return spelled(its) or f"neither title nor message has {contains!r}"

    return nearest(rows.alerts, distance, differing, "alert")


def _says(message: ToldMessage, channel: str | None, contains: str, kind: str | None) -> bool:
    return (
        channel in (None, message.channel)
        and kind in (None, message.kind)
        and contains in f"{message.subject}\n{message.text}"
    )


def _source_of(run: RunRecord) -> str:
    at = "" if run.environment is None else f"@{run.environment}"
    return f"{run.job_name}:{run.error_group}{at}"


def _finding_of(alert: AlertRecord) -> str | None:
    """Name what was found of a job as its failures are named: `sync:MISSED`."""
    is_failure = alert.alert_type == FAILURE_ALERT_TYPE
    return None if is_failure else f"{alert.source_id}:{alert.alert_type}"


def _asked(columns: Mapping[str, Any], contains: str) -> str:
    its = f" with {spelled(columns)}" if columns else ""
    return f"{its} that contains {contains!r}" if contains else its


def _number(count: int | None, what: str = "run") -> str:
    if count is None:
        return f"an {what}" if what == "alert" else f"a {what}"
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _found(count: int) -> str:
    return str(count) if count else "none"
