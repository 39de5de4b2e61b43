"""Log events: what they say, where they go, and what they cost."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import LogCapture

import runguard
import runguard.testing
from runguard import _events, run_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def host_structlog() -> Iterator[LogCapture]:
    """A host that has configured structlog as its documentation shows."""
    captured = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, captured])
    yield captured
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail() -> None:
    with pytest.raises(ValueError, match="bad input"), run_scope("enrolment_sync"):
        raise ValueError("bad input")


def test_the_events_of_a_failure_and_its_repeat(sqlite_url: str, events: Events) -> None:
    fail()
    fail()

    assert [event for event, _ in events()] == [
        "runguard.run_started",
        "runguard.run_finished",
        "runguard.alert_created",
        "runguard.run_started",
        "runguard.run_finished",
        "runguard.alert_suppressed",
    ]
    fields = dict(events())
    assert fields["runguard.run_finished"]["status"] == "FAILED"
    assert fields["runguard.run_finished"]["error_group"] == "UNKNOWN"
    assert fields["runguard.alert_suppressed"]["covered_by"] == 1
    assert fields["runguard.alert_suppressed"]["window_ends_at"] is not None
    assert {f["job_name"] for _, f in events()} == {"enrolment_sync"}


def test_an_event_below_the_level_is_not_even_put_together(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fail()
    put_together: list[object] = []
    monkeypatch.setattr(_events, "printable", lambda value, *_: put_together.append(value) or value)
    caplog.set_level(logging.WARNING, logger="runguard")
    fail()
    with run_scope("enrolment_sync"):
        pass
    assert put_together == []

    caplog.set_level(logging.INFO, logger="runguard")
    with run_scope("enrolment_sync"):
        pass
    assert put_together != []


def test_a_hosts_structlog_is_used(sqlite_url: str, host_structlog: LogCapture) -> None:
    fail()

    assert [entry["event"] for entry in host_structlog.entries] == [
        "runguard.run_started",
        "runguard.run_finished",
        "runguard.alert_created",
    ]


def test_run_id_and_job_name_are_bound_inside_and_restored_after(
    sqlite_url: str, host_structlog: LogCapture
) -> None:
    log = structlog.get_logger()
    structlog.contextvars.bind_contextvars(job_name="the host's", request="r-1")
    with run_scope("outer") as outer:
        with run_scope("inner") as inner:
            log.info("inside")
        log.info("between")
    log.info("after")

    mine = {e["event"]: e for e in host_structlog.entries if not e["event"].startswith("runguard")}
    assert (mine["inside"]["run_id"], mine["inside"]["job_name"]) == (inner.id, "inner")
    assert (mine["between"]["run_id"], mine["between"]["job_name"]) == (outer.id, "outer")
    assert mine["after"]["job_name"] == "the host's"
    assert "run_id" not in mine["after"]
    assert {entry["request"] for entry in mine.values()} == {"r-1"}


def test_the_runs_own_logger_is_bound(sqlite_url: str, host_structlog: LogCapture) -> None:
    with run_scope("enrolment_sync") as run:
        run.log.info("pulled", pages=3)

    [entry] = [e for e in host_structlog.entries if e["event"] == "pulled"]
    assert (entry["run_id"], entry["job_name"], entry["pages"]) == (run.id, "enrolment_sync", 3)


def test_the_runs_own_logger_without_structlog_configured(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="runguard")
    with run_scope("enrolment_sync") as run:
        run.log.info("pulled", pages=3)

    assert f"event='pulled' run_id={run.id} job_name='enrolment_sync' pages=3" in caplog.text


SCRIPT = """
import runguard
try:
    with runguard.run_scope("enrolment_sync") as run:
        run.log.info("not seen")
        raise ValueError("bad input")
except ValueError:
    pass
"""


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )


def test_an_unconfigured_script_shows_warnings_on_stderr_and_nothing_on_stdout() -> None:
    result = run_script(SCRIPT)

    assert result.stdout == ""
    [embedded, alert] = result.stderr.splitlines()
    assert embedded.startswith("runguard.embedded_store file=")
    assert alert.startswith("runguard.alert_created ")
    assert "job_name=enrolment_sync" in alert


def test_a_run_does_not_import_structlog_for_a_host_without_it(tmp_path: Path) -> None:
    result = run_script(
        "import sys, runguard\n"
        f"runguard.configure(database_url='sqlite:///{tmp_path}/x.db')\n"
        "with runguard.run_scope('enrolment_sync'): pass\n"
        "print('structlog' in sys.modules, 'alembic' in sys.modules, 'asyncio' in sys.modules)"
    )

    assert result.stdout.split()[:2] == ["False", "False"]


DISABLED_BY_THE_HOST = """
import logging.config
logging.config.dictConfig({
    "version": 1,
    "formatters": {"short": {"format": "host %(message).26s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "short"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
})
try:
    with runguard.run_scope("enrolment_sync") as run:
        run.log.warning("seen")
        raise ValueError("bad input")
except ValueError:
    pass
"""


@pytest.mark.parametrize("first", ["import logging, runguard", "import runguard"])
def test_a_hosts_dictconfig_that_disables_all_loggers_does_not_silence_runguard(first: str) -> None:
    result = run_script(f"{first}\n{DISABLED_BY_THE_HOST}")

    assert result.stderr.splitlines() == [
        "host runguard.embedded_store fi",
        "host event='seen' run_id=1 job_",
        "host runguard.alert_created ale",
    ]


def test_a_host_that_disables_the_logger_by_name_is_obeyed() -> None:
    result = run_script(
        f"import logging, runguard\nlogging.getLogger('runguard').disabled = True\n{SCRIPT}"
    )

    assert result.stderr == ""


class PickyWrapper(structlog.BoundLogger):
    """A wrapper of the host's own that knows other methods."""

    def warning(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


class AsyncWrapper(structlog.BoundLogger):
    """A wrapper whose methods have to be awaited."""

    async def warning(self, event: str, **_: Any) -> Any:  # type: ignore[override]
        raise NotImplementedError(event)


@pytest.mark.parametrize("wrapper", [PickyWrapper, AsyncWrapper])
def test_events_that_a_hosts_structlog_cannot_take_go_to_the_standard_logger(
    sqlite_url: str,
    host_structlog: LogCapture,
    caplog: pytest.LogCaptureFixture,
    wrapper: type[Any],
) -> None:
    structlog.configure(wrapper_class=wrapper)
    fail()

    assert "runguard.alert_created" in caplog.text


def test_events_reach_a_hosts_structlog_with_a_generic_wrapper(
    sqlite_url: str, host_structlog: LogCapture
) -> None:
    structlog.configure(wrapper_class=structlog.BoundLogger)
    fail()

    assert "runguard.alert_created" in [entry["event"] for entry in host_structlog.entries]


async def test_events_reach_a_hosts_structlog_whose_loggers_are_asynchronous(
    host_structlog: LogCapture,
) -> None:
    structlog.configure(wrapper_class=structlog.stdlib.AsyncBoundLogger)
    _events.Events().emit(_events.LOCK_LOST, job_name="enrolment_sync")

    assert [entry["event"] for entry in host_structlog.entries] == ["runguard.lock_lost"]


def test_without_a_loop_such_a_host_finds_the_events_in_the_standard_log(
    host_structlog: LogCapture, caplog: pytest.LogCaptureFixture
) -> None:
    structlog.configure(wrapper_class=structlog.stdlib.AsyncBoundLogger)
    _events.Events().emit(_events.LOCK_LOST, job_name="enrolment_sync")

    assert "runguard.lock_lost" in caplog.text


def test_a_level_that_is_off_costs_no_formatting(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("runguard").setLevel(logging.CRITICAL)
    made = []
    monkeypatch.setattr(_events, "_Line", lambda *args: made.append(args))
    try:
        fail()
    finally:
        logging.getLogger("runguard").setLevel(logging.NOTSET)

    assert made == []


def test_every_event_has_a_level() -> None:
    names = {
        value
        for name, value in vars(_events).items()
        if re.fullmatch(r"[A-Z][A-Z_]+", name) and isinstance(value, str)
    }

    assert names == set(_events.LEVELS)


PATTERNS = [r"member-\d+", r"(?i)room (?P<secret>\w+)"]


def fail_with_own_patterns(url: str) -> None:
    """Make every field of several events hold something that only the own patterns know."""
    runguard.testing.reset()
    runguard.configure(database_url=url, redact=PATTERNS)
    with pytest.raises(ValueError, match="bad input"), run_scope("sync-member-900101") as run:
        run.emit_alert(
            "NEW member-900102",
            source_type="room lilac",
            source_id="member-900103",
            severity="member-900104",
            title="t",
            message="m",
        )
        run.total_records = "member-900105"  # type: ignore[assignment]
        raise ValueError("bad input")


def test_own_patterns_reach_every_field_of_the_standard_log(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="runguard")

    fail_with_own_patterns(sqlite_url)

    said = caplog.text + repr([getattr(record, "runguard", {}) for record in caplog.records])
    assert {"runguard.run_started", "runguard.alert_created", "runguard.internal_error"} <= {
        record.getMessage().split()[0] for record in caplog.records
    }
    assert "job_name=sync-[redacted]" in caplog.text
    assert "severity: expected one of low, medium, high, found '[redacted]'" in caplog.text
    assert re.findall(r"member-\d+|lilac", said) == []


def test_own_patterns_reach_every_field_of_a_hosts_structlog(
    sqlite_url: str, host_structlog: LogCapture
) -> None:
    fail_with_own_patterns(sqlite_url)

    entries = [e for e in host_structlog.entries if e["event"].startswith("runguard.")]
    assert {entry["job_name"] for entry in entries} == {"sync-[redacted]"}
    assert re.findall(r"member-\d+|lilac", repr(entries)) == []


def test_own_patterns_reach_events_from_before_the_settings_are_fixed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.testing.reset()
    monkeypatch.setenv("RUNGUARD_MEMBER_900101", "x")
    runguard.configure(
        database_url=f"sqlite:///{tmp_path / 'runguard.db'}",
        redact=[r"MEMBER_\d+", "member_900102"],
    )

    with run_scope("sync"):
        pass

    assert "RUNGUARD_[redacted]" in caplog.text


def test_own_patterns_reach_events_of_a_store_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runguard.testing.reset()
    blocked = tmp_path / "member-900101"
    blocked.write_text("a file where a folder should be")
    runguard.configure(
        database_url=f"sqlite:///{blocked / 'x.db'}",
        spool_dir=blocked / "spool",
        redact=PATTERNS,
    )

    with run_scope("sync"):
        pass

    assert "runguard.record_lost" in caplog.text
    assert "member-900101" not in caplog.text


def test_built_in_rules_reach_every_field_too(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="runguard")
    with run_scope("sync password=hunter2"):
        pass

    assert "hunter2" not in caplog.text


@pytest.mark.usefixtures("url")
def test_what_the_pools_of_connections_log_is_said_to_be_sqlalchemys(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="runguard")
    caplog.set_level("DEBUG", logger="sqlalchemy.pool")
    with runguard.run_scope("job"):
        pass
    runguard.testing.reset()

    said = {record.name for record in caplog.records if "onnection" in record.getMessage()}
    assert said == {"sqlalchemy.pool.impl.QueuePool"}
