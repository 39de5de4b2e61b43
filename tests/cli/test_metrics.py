"""`metrics`: to stdout, or into a file that is never seen half-written."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def names_in(text: str) -> set[str]:
    return {
        sample.name for family in text_string_to_metric_families(text) for sample in family.samples
    }


def test_metrics_are_printed(cli: Cli, filled_url: str) -> None:
    answer = cli("metrics", "--database-url", filled_url)

    assert answer.exit_code == 0
    assert 'runguard_job_last_status{environment="",job="payments",status="FAILED"} 1.0' in (
        answer.lines
    )
    assert "runguard_spool_records" in names_in(answer.stdout)


def test_a_textfile_is_replaced_and_readable_by_the_exporter(
    cli: Cli, filled_file: str, tmp_path: Path
) -> None:
    file = tmp_path / "runguard.prom"
    file.write_text("old")
    file.chmod(0o644)

    answer = cli("metrics", "--textfile", str(file), "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "runguard_job_running" in names_in(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert [one.name for one in tmp_path.glob("*runguard.prom*")] == ["runguard.prom"]


def test_a_store_that_is_away_leaves_the_textfile_alone(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "runguard.prom"
    file.write_text("old")

    answer = cli(
        *("metrics", "--textfile", str(file)),
        *("--database-url", "postgresql://127.0.0.1:1/nothing?connect_timeout=1"),
        RUNGUARD_STORE_TIMEOUT_SECONDS="0.5",
    )

    assert answer.exit_code == 3
    assert file.read_text() == "old"


def test_a_file_that_cannot_be_written_is_named(cli: Cli, filled_file: str, tmp_path: Path) -> None:
    place = tmp_path / "nowhere" / "runguard.prom"

    answer = cli("metrics", "--textfile", str(place), "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "--textfile: expected a file that can be written" in answer.stderr


def test_without_the_library_it_says_what_to_install(
    cli: Cli, filled_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)

    answer = cli("metrics", "--database-url", filled_file)

    assert answer.exit_code == 2
    assert "runguard-runlog[metrics]" in answer.stderr
