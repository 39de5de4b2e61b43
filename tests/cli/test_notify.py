"""`runguard notify`: a test that goes the whole way, and a look at what would go where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runguard import run_scope
from tests.support.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"sqlite:///{tmp_path}/x.db")
    with MailServer() as server:
        monkeypatch.setenv("RUNGUARD_NOTIFY", server.url())
        yield server


def test_a_test_arrives_and_its_trail_is_printed(cli: Cli, mail: MailServer) -> None:
    answer = cli("notify", "--test")

    assert answer.exit_code == 0, answer.stdout + answer.stderr
    [line] = answer.lines
    assert line.startswith("smtp smtp://127.0.0.1:")
    assert "told" in line
    assert "a short child of the process that raises an alert tells smtp" in answer.stderr
    [arrived] = mail.mails
    assert arrived.message["Subject"] == "TEST runguard: channel smtp works"
    [row] = cli("alerts", "--json").json
    assert (row["alert_type"], row["dispatch"]) == ("TEST", "routed")


def test_a_test_that_arrived_leaves_no_open_alert(cli: Cli, mail: MailServer) -> None:
    assert cli("notify", "--test").exit_code == 0

    assert cli("alerts", "--open", "--json").json == []
    assert [one["resolved"] for one in cli("alerts", "--json").json] == [True]


def test_a_second_test_is_no_repeat_of_the_first(cli: Cli, mail: MailServer) -> None:
    assert [cli("notify", "--test").exit_code for _ in range(2)] == [0, 0]

    assert len(mail.mails) == 2


def test_a_channel_that_cannot_be_reached_ends_with_1_and_says_why(
    cli: Cli, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "RUNGUARD_NOTIFY", "smtp://kim:hunter2@127.0.0.1:1/?from=a@example.org&to=b@example.org"
    )
    answer = cli("notify", "--test", "--json")

    assert answer.exit_code == 1
    [row] = json.loads(answer.stdout)
    assert (row["channel"], row["state"], row["attempts"]) == ("smtp", "pending", 1)
    assert [one["resolved"] for one in cli("alerts", "--json").json] == [False]
    assert "refused" in row["error"].lower()
    assert "hunter2" not in answer.stdout + answer.stderr


def test_only_the_channels_that_were_named_are_tried(
    cli: Cli, mail: MailServer, tmp_path: Path
) -> None:
    (tmp_path / "runguard.toml").write_text('[channels.other]\ncommand = ["false"]\n')
    answer = cli("notify", "--test", "smtp", "--json")
    unknown = cli("notify", "--test", "smpt")

    assert [row["channel"] for row in json.loads(answer.stdout)] == ["smtp"]
    assert answer.exit_code == 0
    assert unknown.exit_code == 2
    assert "did you mean 'smtp'" in " ".join(unknown.stderr.split())


def test_a_dry_run_sends_and_writes_nothing(cli: Cli, mail: MailServer) -> None:
    answer = cli("notify", "--test", "--dry-run")

    assert answer.exit_code == 0
    assert answer.stdout.endswith("would be told\n")
    assert mail.mails == []
    assert cli("alerts", "--json").json == []


def test_without_a_channel_the_answer_names_the_variable(
    cli: Cli, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNGUARD_NOTIFY")
    answer = cli("notify", "--test")

    assert answer.exit_code == 2
    assert "RUNGUARD_NOTIFY" in answer.stderr


def test_where_a_process_is_told_not_to_deliver_the_answer_says_so(
    cli: Cli, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DELIVER", "off")

    assert "nobody delivers from here: RUNGUARD_DELIVER=off" in cli("notify", "--test").stderr


def test_a_preview_shows_subject_text_and_why_not(
    cli: Cli, mail: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DELIVER", "off")
    with pytest.raises(TimeoutError), run_scope("enrolment_sync"):
        raise TimeoutError("no answer\nfrom \x1b[31mupstream")
    (tmp_path / "runguard.toml").write_text(
        '[channels.nobody]\ncommand = ["true"]\n[[routes]]\njob = "*"\nto = ["smtp"]\n'
    )
    shown = cli("notify", "--preview", "1")
    cli("silence", "add", "enrolment_*", "--for", "2h", "--reason", "an upgrade")
    muted = cli("notify", "--preview", "1", "--json")

    assert shown.exit_code == 0
    assert "Subject: TIMEOUT enrolment_sync failed" in shown.stdout
    assert "nobody  nothing: no route leads an alert like this there" in shown.stdout
    assert "\x1b" not in shown.stdout
    [row] = json.loads(muted.stdout)
    assert row["state"] == "skipped"
    assert "silence" in row["reason"]
    assert mail.mails == []
    assert cli("notify", "--preview", "99").exit_code == 1


def test_a_preview_follows_the_route_of_a_reason(
    cli: Cli, mail: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DELIVER", "off")
    with pytest.raises(MemoryError), run_scope("enrolment_sync"):
        raise MemoryError
    [alert] = cli("alerts", "--json").json
    (tmp_path / "runguard.toml").write_text(
        '[channels.nobody]\ncommand = ["true"]\n'
        f'[[routes]]\nreason = "{alert["detail"]["reason"]}"\nto = ["nobody"]\n'
    )

    rows = json.loads(cli("notify", "--preview", "1", "--json").stdout)

    assert [row["channel"] for row in rows if row["kind"]] == ["nobody"]


def test_a_test_and_a_preview_are_not_asked_for_together(cli: Cli) -> None:
    assert cli("notify").exit_code == 2
    assert cli("notify", "--test", "--preview", "1").exit_code == 2
