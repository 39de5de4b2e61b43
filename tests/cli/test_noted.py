"""What is kept beside a run, as `show` and the lists print it."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.console import Console

from runguard._cli.output import pipe_text
from runguard._cli.tables import jobs_listing, run_sheet, runs_listing
from runguard._monitor.changes import Changed, RanAs
from runguard._monitor.health import describe
from runguard._monitor.records import NoteRecord, RunCell, RunDetails, RunRecord
from tests.cli.conftest import HOSTILE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COMMIT = "d4e5f60718293a4b5c6d7e8f901234567890abcd"
TRACEBACK = """\
Traceback (most recent call last):
  File "~/app/sync.py", line 41, in fetch
    page = client.get(url)
  File "/venv/lib/python3.12/site-packages/httpx/_client.py", line 914, in send
    raise exc
  File "/venv/lib/python3.12/site-packages/httpx/_transports.py", line 12, in handle
    raise ConnectTimeout
httpx.ConnectTimeout: timed out"""
RUN = RunRecord(
    id=7,
    run_key=UUID("0195533f-6c00-7000-8000-000000000001"),
    job_name="sync",
    trigger_type="SCHEDULER",
    status="FAILED",
    started_at=NOON - timedelta(minutes=5),
    finished_at=NOON - timedelta(minutes=4),
    total_records=0,
    changed_records=0,
    created_alerts=1,
    retry_count=0,
    error_group="TIMEOUT",
    http_status_code=None,
    error_type="httpx.ConnectTimeout",
    error_message="timed out",
    error_location="sync.py:41 in fetch",
    matched_by="type httpx.TimeoutException",
    alert_outcome="raised",
    covered_by=None,
    cooldown_seconds=1800,
    host="w1",
    pid=77,
    version=COMMIT,
    upstream="api.example.org:443",
    trace_id="0af7651916cd43dd8448eb211c80319c",
)
NOTE = NoteRecord(
    traceback=TRACEBACK,
    log_tail="12:00:01 INFO page 3 of 12\n12:00:06 WARNING slow answer",
    context={"term": "2026-1", "pages": [3, 4]},
    links=(("report", "https://reports.example/7"), ("grafana", "https://grafana.example/d/7")),
    done=60,
    total=240,
    progress_at=NOON - timedelta(minutes=4),
)
DETAILS = RunDetails(
    run=RUN,
    updated_at=None,
    heartbeat_at=None,
    lost_at=None,
    clock=None,
    alert=None,
    cooldown=None,
    previous_success=None,
    recovered=None,
    before=None,
    after=None,
    around=(),
    note=NOTE,
    changed=Changed(
        RanAs(7, version=COMMIT, host="w1"), RanAs(3, version="1.4", host="w1"), successes=42
    ),
)


def shown(details: RunDetails = DETAILS, *, width: int | None = None) -> list[str]:
    """A run as a pipe gets it, or a terminal of a width."""
    sheet = run_sheet(details, headline="sync failed.", cadence=None, now=NOON)
    if width is None:
        return pipe_text(sheet).splitlines()
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(sheet)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_run_shows_what_it_noted() -> None:
    lines = shown()
    told = [" ".join(line.split()) for line in lines]

    for line in (
        f"version {COMMIT}",
        "what changed the code changed in between",
        "progress 60 of 240 (25 %), 1/s",
        "context term: 2026-1",
        "pages: [3, 4]",
        "links report: https://reports.example/7",
        "grafana: https://grafana.example/d/7",
        "upstream api.example.org:443",
        "trace 0af7651916cd43dd8448eb211c80319c",
    ):
        assert line in told


def test_a_further_attempt_is_numbered_beside_what_started_it() -> None:
    third = replace(DETAILS, run=replace(RUN, trigger_type="RETRY", retry_count=2))

    assert "trigger RETRY, attempt 3" in [" ".join(line.split()) for line in shown(third)]


def test_the_traceback_stands_as_python_printed_it_and_the_log_below_it() -> None:
    lines = shown()
    place = lines.index("traceback")

    assert lines[place + 1 : place + 9] == [f"  {line}" for line in TRACEBACK.splitlines()]
    assert lines[place + 9 :] == [
        "",
        "last log lines",
        "  12:00:01 INFO page 3 of 12",
        "  12:00:06 WARNING slow answer",
    ]


def test_long_texts_take_no_more_memory_in_a_pipe_than_they_have_letters() -> None:
    long = replace(NOTE, traceback=f"{TRACEBACK}\n" * 20, log_tail="a line\n" * 50)

    tracemalloc.start()
    lines = shown(replace(DETAILS, note=long))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(lines) > 200
    assert peak < 16 * 1024 * 1024  # a pipe is as wide as the longest line, and has no other width


def test_a_terminal_folds_the_frames_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = shown(width=80)
    place = lines.index("traceback")

    assert lines[place + 1 : place + 6] == [
        "  Traceback (most recent call last):",
        '    File "~/app/sync.py", line 41, in fetch',
        "      page = client.get(url)",
        "    [2 frames of httpx]",
        "  httpx.ConnectTimeout: timed out",
    ]
    assert max(map(cell_len, lines)) <= 80


def test_a_run_without_a_note_shows_nothing_of_it() -> None:
    bare = replace(RUN, version=None, upstream=None, trace_id=None)
    text = "\n".join(shown(replace(DETAILS, run=bare, note=None, changed=None)))

    for label in ("version ", "what changed", "progress", "context", "links", "upstream", "trace"):
        assert label not in text


def test_hostile_notes_are_shown_and_never_obeyed() -> None:
    context: dict[str, Any] = {HOSTILE: HOSTILE, "deep": {"a": [HOSTILE]}}
    text = HOSTILE * 50
    note = NoteRecord(f"{TRACEBACK}\n{text}", text, context, ((HOSTILE, "https://a/"),), 5, -1)
    for lines in (shown(replace(DETAILS, note=note)), shown(replace(DETAILS, note=note), width=60)):
        together = "\n".join(lines)
        assert "\x1b[31m" not in together
        assert "\u202e" not in together
        assert "[bold]markup[/bold]" in together


def test_a_list_names_versions_and_upstreams_where_there_are_any() -> None:
    listing = runs_listing([RUN, replace(RUN, version=None, upstream=None)])
    bare = runs_listing([replace(RUN, version=None, upstream=None)])

    by_title = dict(zip(listing.columns, map(str, listing.rows[0]), strict=True))
    assert (by_title["version"], by_title["upstream"]) == ("d4e5f60", "api.example.org:443")
    assert str(listing.rows[1][listing.columns.index("upstream")]) == "-"
    assert not {"version", "upstream"} & set(bare.columns)


def test_a_running_job_says_how_far_it_is() -> None:
    began = NOON - timedelta(minutes=5)
    strip = [RunCell(9, "RUNNING", None, began, None)]
    note = NoteRecord(done=300, total=1200, progress_at=NOON)
    job = replace(
        describe("sync", strip, running=1, running_since=began - timedelta(hours=1)), progress=note
    )
    console = Console(file=io.StringIO(), width=80)

    listing = jobs_listing([job], now=NOON, console=console, shown=None)

    assert listing.notes == ["300 of 1,200 (25 %), 1/s, about 15 min left"]
