"""Checked by mypy and basedpyright, never run: what an editor knows of the test kit."""

from __future__ import annotations

from typing import assert_type

from runguard.testing import (
    AlertRecord,
    Clock,
    FreshStore,
    NoteRecord,
    RecordedRuns,
    RunRecord,
    Simulate,
    ToldMessage,
    fresh_store,
    recorded,
)


def fixtures_are_typed(
    runguard_store: FreshStore,
    runguard_runs: RecordedRuns,
    runguard_clock: Clock,
    simulate: Simulate,
) -> None:
    assert_type(runguard_store.runs, RecordedRuns)
    assert_type(runguard_store.url, str)
    assert_type(
        runguard_runs.assert_run("sync", status="FAILED", error_group="TIMEOUT", total_records=3),
        RunRecord,
    )
    assert_type(runguard_runs.assert_alert("sync:TIMEOUT", severity="high"), AlertRecord)
    assert_type(runguard_runs.assert_told("oncall", contains="x"), ToldMessage)
    assert_type(runguard_runs.note_of(runguard_runs.runs[0]), NoteRecord)
    assert_type(simulate.http(503), Exception)
    assert_type(simulate.killed("sync"), int)
    runguard_clock.forward("31m")
    with simulate.lock_held("sync"), simulate.store_away():
        pass
    with runguard_runs.recorded() as new, recorded() as others, fresh_store() as store:
        assert_type(new, RecordedRuns)
        assert_type(others, RecordedRuns)
        assert_type(store, FreshStore)


def wrong_columns_are_told(runguard_runs: RecordedRuns) -> None:
    runguard_runs.assert_run("sync", total_record=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    runguard_runs.assert_run("sync", status="DONE")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
