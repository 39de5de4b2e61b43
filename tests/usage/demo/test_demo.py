"""`runguard demo`: six failures for real, and a story that is true on a second call as well."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import make_url

from runguard import ErrorGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer
    from tests.support.postgres import PostgresAddress

    Cli = Callable[..., Answer]

VIEWS = [
    "Recent failed runs",
    "Failure alerts",
    "Failures by group, over 24 hours",
    "Failed runs and their alerts",
]

# What the environment of a reader may hold, and the story must not follow.
FOREIGN = {
    "ALERT_COOLDOWN_MINUTES": "0",
    "RUNGUARD_TRIGGER_TYPE": "SCHEDULER",
    "http_proxy": "http://127.0.0.1:1",
}


def rows(cli: Cli, command: str, url: str) -> list[dict[str, Any]]:
    return cli(command, "--json", "--limit", "100", "--database-url", url).json


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store without any schema."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'demo.db'}"
    found: str = request.getfixturevalue("pg_url")
    return found


def test_it_plays_one_success_all_six_groups_and_suppressed_repeats(cli: Cli, url: str) -> None:
    done = cli("demo", "--no-mail", "--database-url", url)

    assert done.exit_code == 0, done.stderr
    runs = list(reversed(rows(cli, "runs", url)))
    failed = [run for run in runs if run["status"] == "FAILED"]
    assert (runs[0]["status"], runs[0]["total_records"]) == ("SUCCESS", 512)
    assert {run["error_group"] for run in failed[:6]} == set(ErrorGroup)
    assert [run["alert_outcome"] for run in failed] == ["raised"] * 6 + ["suppressed"] * 6
    assert len(rows(cli, "alerts", url)) == 6
    assert all(run["job_name"].startswith("demo.") for run in runs)


def test_it_shows_the_four_views_and_what_to_do_next(cli: Cli, url: str) -> None:
    shown = cli("demo", "--no-mail", "--database-url", url).stdout

    places = [shown.find(view) for view in VIEWS]
    assert -1 not in places
    assert places == sorted(places)
    assert "6 alerts raised" in shown
    assert "6 failures recorded, 0 new alerts" in shown
    assert "@tracked_run(" in shown[places[-1] :]


def test_it_shows_one_failure_in_full(cli: Cli) -> None:
    shown = cli("demo", "--no-mail").stdout.partition("5. One failure in full")[2]

    assert "HTTPError: HTTP Error 503: Service Unavailable, at " in shown
    assert "Same code, same host: look upstream, at 127.0.0.1:" in " ".join(shown.split())
    assert "in enrolment_sync\n" in shown
    assert "frames of Python]" in shown
    assert "INFO demo: asking http://127.0.0.1:" in shown


def test_on_an_empty_server_it_says_that_it_makes_the_schema(cli: Cli, pg_url: str) -> None:
    done = cli("demo", "--no-mail", "--database-url", pg_url)

    assert "Making runguard's schema" in done.stderr


def test_a_second_demo_on_a_store_explains_why_nothing_alerts(cli: Cli, url: str) -> None:
    cli("demo", "--no-mail", "--database-url", url)
    done = cli("demo", "--no-mail", "--database-url", url)

    assert done.exit_code == 0, done.stderr
    assert "alerts of an earlier demo on this store still cover them" in done.stdout
    assert "6 alerts raised" not in done.stdout
    assert len(rows(cli, "alerts", url)) == 6


def test_without_a_url_each_demo_begins_on_a_fresh_file_that_stays(cli: Cli) -> None:
    first = cli("demo", "--no-mail")
    second = cli("demo", "--no-mail")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "6 alerts raised" in second.stdout
    file = Path(os.environ["XDG_STATE_HOME"]) / "runguard" / "demo.db"
    assert f"--database-url sqlite:///{file}" in second.stdout
    assert len(rows(cli, "alerts", f"sqlite:///{file}")) == 6


def test_the_store_of_the_environment_is_left_alone(cli: Cli, migrated_pg_url: str) -> None:
    done = cli("demo", "--no-mail", RUNGUARD_DATABASE_URL=migrated_pg_url)

    assert done.exit_code == 0
    assert "RUNGUARD_DATABASE_URL is not used" in done.stderr
    assert rows(cli, "runs", migrated_pg_url) == []


def test_settings_and_proxies_of_the_environment_do_not_change_the_story(cli: Cli) -> None:
    done = cli("demo", "--no-mail", **FOREIGN)

    assert done.exit_code == 0, done.stderr
    assert "6 failures recorded, 0 new alerts" in done.stdout


def test_tables_of_another_program_are_not_touched_without_being_asked_to(
    cli: Cli, pg_url: str, postgres: PostgresAddress
) -> None:
    with postgres.connect(make_url(pg_url).database) as connection:
        connection.execute("create table run_log (id bigint primary key)")
    done = cli("demo", "--no-mail", "--database-url", pg_url)

    assert (done.exit_code, done.stdout) == (4, "")
    assert "runguard db upgrade" in done.stderr


def test_the_program_alone_tells_the_story_without_log_lines_and_quickly() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).with_name("runguard"), "demo", "--no-mail"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "6 alerts raised" in done.stdout
    assert "runguard.alert" not in done.stdout
    assert time.monotonic() - began < 15  # one on an idle machine


def test_it_ends_by_offering_the_pages_of_its_store(cli: Cli, tmp_path: Path) -> None:
    done = cli(
        "demo", "--no-mail", "--database-url", f"sqlite:///{tmp_path / 'a folder' / 'demo.db'}"
    )

    offered = next(line for line in done.stdout.splitlines() if " web " in line)
    assert shlex.split(offered) == [
        *("runguard", "web", "--database-url"),
        f"sqlite:///{tmp_path / 'a folder' / 'demo.db'}",
    ]


def test_called_by_a_path_it_offers_commands_that_can_be_called() -> None:
    program = Path(sys.executable).with_name("runguard")
    done = subprocess.run(
        [program, "demo", "--no-mail"],
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"    {program} web --database-url sqlite:///" in done.stdout


def test_with_web_it_then_serves_what_it_played_until_ctrl_c() -> None:
    with subprocess.Popen(
        [Path(sys.executable).with_name("runguard"), "demo", "--no-mail", "--web"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as playing:
        try:
            assert playing.stderr is not None
            said = playing.stderr.readline()
            address = next(word for word in said.split() if word.startswith("http://"))
            page = httpx.get(address, timeout=60).text
        finally:
            playing.send_signal(signal.SIGINT)
        assert playing.wait(timeout=30) == 0

    for job_name in ("demo.enrolment_sync", "demo.invoice_import", "demo.nightly_report"):
        assert job_name in page


def test_a_script_that_fails_is_told_by_mail_once_and_so_is_its_recovery(cli: Cli) -> None:
    elsewhere = "smtp://127.0.0.1:1/?from=a@localhost&to=b@localhost"
    done = cli("demo", RUNGUARD_NOTIFY=elsewhere, **FOREIGN)

    assert done.exit_code == 0, done.stderr
    scene = done.stdout.partition("6. Somebody is told")[2]
    subjects = ["TIMEOUT demo.invoice_mailer failed (high)", "OK demo.invoice_mailer: recovered"]
    places = [scene.find(subject) for subject in subjects]
    assert -1 not in places
    assert places == sorted(places)
    assert "TimeoutError: the mail server did not answer within 5 s" in scene
    assert "No further mail: it is the same incident." in scene
    assert scene.count("A mail to you@localhost") == 2
