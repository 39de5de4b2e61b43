"""The reason of a failure, where a user meets it on the command line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

import runguard
from runguard import run_scope, testing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


@pytest.fixture
def url(store_url: str) -> str:
    """Failures of one group for two reasons, and one for none."""
    runguard.configure(database_url=store_url)
    for failure in (
        ConnectionRefusedError(111, "Connection refused"),
        OSError(28, "No space left on device"),
        ConnectionRefusedError(111, "Connection refused"),
    ):
        with contextlib.suppress(OSError), run_scope("sync"):
            raise failure
    with run_scope("sync"):
        pass
    testing.reset()
    return store_url


def test_runs_tell_the_reason(cli: Cli, url: str) -> None:
    runs = cli("runs", "--json", "--database-url", url).json

    assert [run["error_reason"] for run in runs] == [None, "refused", "disk_full", "refused"]
    assert "disk_full" in cli("runs", "--database-url", url).stdout


def test_runs_are_found_by_their_reason(cli: Cli, url: str) -> None:
    runs = cli("runs", "--reason", "disk_full", "--json", "--database-url", url).json

    assert [run["id"] for run in runs] == [2]


def test_a_mistyped_reason_is_refused_with_the_nearest(cli: Cli, url: str) -> None:
    answer = cli("runs", "--reason", "refuesd", "--database-url", url)

    assert answer.exit_code == 2
    assert "refused" in answer.stderr


def test_the_report_counts_each_reason(cli: Cli, url: str) -> None:
    counts = cli("report", "--json", "--database-url", url).json

    assert [(one["error_group"], one["error_reason"], one["failures"]) for one in counts] == [
        ("UNKNOWN", "refused", 2),
        ("UNKNOWN", "disk_full", 1),
    ]


def test_explain_tells_the_reason(cli: Cli, url: str) -> None:
    told = cli("explain", "2", "--database-url", url).stdout

    assert "UNKNOWN (disk full)" in told
    assert "The reason: disk full." in told
