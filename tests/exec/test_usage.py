"""What is refused before anything is started: exit code 2, one line that says how it is right."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Refused = Callable[..., str]

SECRET = "hunter2geheim"


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Run `runguard exec` in this process, which must not get as far as to make another one."""
    from runguard._cli.app import app

    def refuse(*arguments: str, **environ: str) -> str:
        monkeypatch.chdir(tmp_path)
        done = CliRunner().invoke(app, ["exec", *arguments], env=environ, prog_name="runguard")
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert list(tmp_path.iterdir()) == [tmp_path / "home"], "something was started"
        return done.stderr

    return refuse


@pytest.mark.parametrize(
    "arguments",
    [
        ["nightly", "touch", "begun"],
        ["nightly", "rm", "-rf", "begun"],
        ["nightly", "touch", "begun", "--timeout", "15m"],
        ["--lock"],
    ],
)
def test_without_the_two_dashes_the_form_is_shown(refused: Refused, arguments: list[str]) -> None:
    assert "expected -- before the command" in refused(*arguments)


@pytest.mark.parametrize(
    "arguments", [["nightly", "touch", "--", "begun"], ["--", "touch", "begun"]]
)
def test_one_job_stands_before_the_two_dashes(refused: Refused, arguments: list[str]) -> None:
    assert "expected one JOB before --" in refused(*arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nightly", "--"], "COMMAND"),
        (["nightly", "--timeout", "soon", "--", "true"], "expected a duration"),
        (["nightly", "--timeout", "0s", "--", "true"], "expected a duration"),
        (["nightly", "--kill-after", "-1s", "--", "true"], "expected a duration"),
        (["nightly", "--lock-ttl", "0m", "--", "true"], "expected a duration"),
        (["nightly", "--cooldown", "often", "--", "true"], "expected a duration"),
        (["nightly", "--cooldown", "900w", "--", "true"], "'--cooldown': expected at most ten"),
        (["nightly", "--lock-ttl", "900w", "--", "true"], "'--lock-ttl': expected at most ten"),
        (["nightly", "--trigger", "sheduler", "--", "true"], "did you mean 'SCHEDULER'?"),
        (["nightly", "--trigger", "cron", "--", "true"], "RETRY, found 'cron'"),
        (["nightly", "--note", "term", "--", "true"], "--note: expected NAME=VALUE"),
        ([" ", "--", "true"], "job_name: expected a name"),
        (["a\nb", "--", "true"], "job_name: expected printable characters"),
        (
            ["nightly", "--database-url", f"postgresql://a:{SECRET}@h:x/d", "--", "true"],
            "--database-url: expected",
        ),
    ],
)
def test_a_value_that_cannot_be_used_is_named(
    refused: Refused, arguments: list[str], told: str
) -> None:
    said = refused(*arguments)

    assert told in " ".join(said.replace("│", " ").split())
    assert SECRET not in said


def test_an_environment_that_cannot_be_used_is_named(refused: Refused) -> None:
    assert "ALERT_COOLDOWN_MINUTES" in refused("x", "--", "true", ALERT_COOLDOWN_MINUTES="often")


def test_a_system_without_fork_is_told_so(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "fork")

    assert "expected a POSIX system" in refused("nightly", "--", "true")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cron", "0 2 * *", "--tz", "UTC"), "--cron: expected five fields, such as '0 2 * * *'"),
        (
            ("--every", "1h", "--cron", "0 2 * * *"),
            "--every: expected one of every, cron, calendar",
        ),
        (("--tz", "UTC"), "--tz: expected cron or calendar beside it, found none"),
        (("--every", "soon"), "expected a duration such as 90s, 15m, 24h or 7d, found 'soon'"),
    ],
)
def test_what_cannot_be_expected_is_refused(
    refused: Refused, options: tuple[str, ...], said: str
) -> None:
    assert said in " ".join(refused("job", *options, "--", "touch", "begun").split())
