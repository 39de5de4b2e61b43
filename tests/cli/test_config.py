"""`runguard config`: what is configured, what is wrong with it, and no secret of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

SECRET = "hunter2-and-more"
FILE = f"""
[notify]
web_url = "https://ops.example/runguard"
[channels.oncall]
url = "env:ONCALL_URL"
[channels.mail]
url = "smtp://me:{SECRET}@mail.example/?from=a@x.example&to=b@x.example"
[channels.hook]
webhook = "https://hooks.example/rg/{SECRET}"
secret = "env:HOOK_SECRET"
[channels.pager]
command = ["/bin/true", "--token", "{SECRET}"]
[[routes]]
job = "billing.*"
severity = ["high"]
to = ["oncall"]
continue = true
[[quiet]]
cron = "0 2 * * 0"
for = "2h"
reason = "upgrade"
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runguard.toml").write_text(FILE)
    return tmp_path


def test_check_names_each_mistake_and_no_secret(cli: Cli, here: Path) -> None:
    (here / "runguard.toml").write_text(FILE + f"[channels.x]\nurl = 'smtp://{SECRET}'\n[other]\n")

    answer = cli(
        *("config", "check"),
        RUNGUARD_NOTFY="x",
        ALERT_COOLDOWN_MINUTES="soon",
        RUNGUARD_DISABLED="si",
    )

    assert answer.exit_code == 1
    for mistake in (
        "ALERT_COOLDOWN_MINUTES: expected a number of minutes",
        "RUNGUARD_DISABLED: expected true or false, found 'si'",
        "RUNGUARD_NOTFY is not a setting (did you mean 'RUNGUARD_NOTIFY'?)",
        "other: unknown",
        "channels.oncall: env:ONCALL_URL: expected a value in the variable ONCALL_URL, found none",
        "channels.hook: env:HOOK_SECRET: expected a value in the variable HOOK_SECRET",
    ):
        assert mistake in answer.stdout
    assert SECRET not in answer.stdout + answer.stderr
    assert f"{len(answer.lines)} mistakes found." in answer.stderr


def test_check_names_a_program_that_is_not_there(cli: Cli, here: Path) -> None:
    (here / "runguard.toml").write_text("[channels.pager]\ncommand = ['./no-such-program']\n")

    answer = cli("config", "check")

    assert answer.exit_code == 1
    assert answer.lines == [
        "channels.pager: expected a program that can be executed, found none: ./no-such-program"
    ]


def test_check_says_what_a_configuration_without_mistakes_holds(cli: Cli) -> None:
    answer = cli(
        "config",
        "check",
        ONCALL_URL="webhook+https://hooks.example/x",
        HOOK_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "4 channels (oncall, mail, hook, pager), 1 route, 1 maintenance window" in answer.stderr


def test_check_says_where_nobody_is_told(cli: Cli, here: Path) -> None:
    (here / "runguard.toml").unlink()

    answer = cli("config", "check")

    assert answer.exit_code == 0
    assert "No channel is configured: nobody is told" in answer.stderr


def test_show_says_where_each_value_comes_from_and_hides_secrets(cli: Cli, here: Path) -> None:
    answer = cli(
        "config",
        "show",
        "--json",
        RUNGUARD_DATABASE_URL=f"postgresql://app:{SECRET}@db/sales",
        RUNGUARD_NOTIFY=f"slack://{SECRET}/x/y",
        RUNGUARD_WEB_TOKEN=f"{SECRET}-{SECRET}",
        RUNGUARD_PING_URL=f"https://hc-ping.com/{SECRET}",
    )

    shown = {one["name"]: (one["value"], one["source"]) for one in answer.json}
    file = str(here / "runguard.toml")
    assert SECRET not in answer.stdout
    assert shown["database_url"][1] == "RUNGUARD_DATABASE_URL"
    assert shown["cooldown"] == ("30 min", "default")
    assert shown["environment"] == ("none", "default")
    assert shown["spool_dir"] == ("the user's state directory", "default")
    assert shown["web_token"] == ("[hidden]", "RUNGUARD_WEB_TOKEN")
    assert shown["ping_url"] == ("[hidden]", "RUNGUARD_PING_URL")
    assert shown["notify.web_url"] == ("https://ops.example/runguard", file)
    assert shown["notify.remind_every"] == ("4 h", "default")
    assert shown["channels.oncall"] == ("env:ONCALL_URL", file)
    assert shown["channels.slack"] == ("slack://[hidden]", "RUNGUARD_NOTIFY")
    assert shown["channels.pager"] == ("/bin/true and 2 arguments", file)
    assert shown["routes[1]"][0] == "job billing.*, severity high → oncall, then the next route"


def test_show_is_a_table_for_people(cli: Cli, here: Path) -> None:
    answer = cli("config", "show")

    assert answer.lines[0].split() == ["name", "source", "value"]
    assert "https://[hidden], signed with env:HOOK_SECRET" in answer.stdout
    assert SECRET not in answer.stdout


def test_show_says_which_version_is_found_here(cli: Cli, here: Path) -> None:
    found = cli("config", "show", "--json", GIT_SHA="0123456789abcdef0123456789abcdef01234567")
    said = cli("config", "show", "--json", GIT_SHA="1.4", RUNGUARD_VERSION="1.5")

    value = "each process finds its own; here 0123456"
    assert {"name": "version", "value": value, "source": "default"} in found.json
    assert {"name": "version", "value": "1.5", "source": "RUNGUARD_VERSION"} in said.json


def test_show_names_each_value_once(cli: Cli, here: Path) -> None:
    shown = cli("config", "show", "--json", RUNGUARD_DELIVER="off", RUNGUARD_DISABLED="1").json

    names = [one["name"] for one in shown]
    assert sorted({*names}) == sorted(names)
    assert {"name": "deliver", "value": "off", "source": "RUNGUARD_DELIVER"} in shown
    assert {"name": "disabled", "value": "True", "source": "RUNGUARD_DISABLED"} in shown


def test_show_of_a_file_with_a_mistake_is_wrong_usage(cli: Cli, here: Path) -> None:
    (here / "runguard.toml").write_text("[notfy]")

    answer = cli("config", "show")

    assert answer.exit_code == 2
    assert "notfy: unknown (did you mean 'notify'?)" in answer.stderr


def test_an_address_for_pings_that_cannot_be_used_is_a_mistake(cli: Cli) -> None:
    answer = cli("config", "check", RUNGUARD_PING_URL="env:NOTHING_HERE")
    broken = cli("config", "check", RUNGUARD_PING_URL=f"https:///{SECRET}")

    assert (answer.exit_code, broken.exit_code) == (1, 1)
    assert "NOTHING_HERE" in answer.stdout
    assert "RUNGUARD_PING_URL" in broken.stdout
    assert SECRET not in broken.stdout


SHOW = ("config", "show", "--json")


def test_what_the_file_expects_of_jobs_is_checked_and_shown(cli: Cli, here: Path) -> None:
    file = here / "runguard.toml"
    file.write_text(
        '[jobs.backup]\ncron = "0 2 * * *"\ntz = "Asia/Seoul"\ngrace = "30m"\nowner = "ops"\n'
        'ping_url = "env:PING_BACKUP"\n'
    )
    missing = cli("config", "check")
    checked = cli("config", "check", PING_BACKUP="https://hc.example/1")
    shown = {one["name"]: (one["value"], one["source"]) for one in cli(*SHOW).json}

    assert missing.exit_code == 1
    assert "jobs.backup.ping_url: env:PING_BACKUP: expected a value" in missing.stdout
    assert checked.stderr.startswith("No mistake found, 1 job with expectations.")
    assert shown["jobs.backup"] == (
        "cron 0 2 * * * (Asia/Seoul), up to 30 min late, tells env:PING_BACKUP, owner ops",
        str(file),
    )


def test_a_schedule_that_no_monitor_can_read_is_a_mistake(cli: Cli, here: Path) -> None:
    (here / "runguard.toml").write_text('[jobs.backup]\ncron = "61 * * * *"\ntz = "UTC"\n')

    answer = cli("config", "check")

    assert answer.exit_code == 1
    assert "jobs.backup.cron: expected an expression, found '61 * * * *'" in answer.stdout
