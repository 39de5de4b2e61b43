"""Who was told: the command line says it of runs, of alerts and in lists."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._events import Events
from runguard._notify.channels.factory import open_channel
from runguard._notify.config import load_config
from runguard._notify.dispatcher import Dispatcher
from tests.support.stores import open_store
from tests.support.told import LONG_AGO, deliver, look, open_incident

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def reasons(answer: Answer, topic: str = "told") -> list[str]:
    return [one["text"] for one in answer.json[0]["reasons"] if one["topic"] == topic]


def test_explain_says_who_was_told_and_when(cli: Cli, filled_url: str) -> None:
    deliver(filled_url, 1, attempts=2)
    deliver(filled_url, 1, channel="hook", state="dead", attempts=9, last_error="HTTP 503")

    for run in ("2", "alert:1"):
        answer = cli("explain", run, "--json", "--database-url", filled_url)
        assert reasons(answer) == [
            "oncall was told at 2026-03-01 02:00:00 UTC on the second try.",
            "hook was not told: given up after 9 attempts: HTTP 503.",
        ]
        trail = answer.json[0]["trail"]
        assert trail["dispatch"] == "routed"
        assert [one["state"] for one in trail["deliveries"]] == ["sent", "dead"]
        assert trail["deliveries"][0]["sent_at"] == "2026-03-01T02:00:00+00:00"
    text = cli("explain", "2", "--database-url", filled_url).stdout
    assert "Told" in text
    assert "oncall was told at 2026-03-01T02:00:00Z on the second try." in text


def test_explain_says_that_nobody_looks(cli: Cli, filled_file: str) -> None:
    never = cli("explain", "2", "--json", "--database-url", filled_file)
    look(filled_file, looked_at=LONG_AGO)
    since = cli("explain", "2", "--json", "--database-url", filled_file)

    assert reasons(never) == ["Nobody has been told: no process with channels has ever looked."]
    assert reasons(since) == [
        "Nobody has been told: no process with channels has looked since 2026-03-01 02:00:00 UTC."
    ]


def test_what_a_round_really_left_is_told(cli: Cli, filled_url: str, tmp_path: Path) -> None:
    config = tmp_path / "told.toml"
    config.write_text(
        '[channels.page]\ncommand = ["true"]\n'
        '[channels.hook]\ncommand = ["sh", "-c", "echo too busy >&2; exit 75"]\n'
    )
    silence = ("silence", "invoices", "--for", "2h", "--reason", "upgrade", "--by", "kim")
    assert cli(*silence, "--database-url", filled_url).exit_code == 0
    deliver_all(filled_url, config)
    payments, invoices = (
        reasons(cli("explain", f"alert:{alert}", "--json", "--database-url", filled_url))
        for alert in (1, 2)
    )
    lines = cli("alerts", "--database-url", filled_url).lines

    told, tried = sorted(payments, reverse=True)
    assert told.startswith("page was told at ")
    assert tried.startswith("hook has not been told yet. The next try is at ")
    assert "after 1 failed attempt: " in tried
    assert "too busy" in tried
    assert invoices[0].startswith("Silence 1 (invoices) mutes notices until ")
    assert len(invoices) == 3
    assert all("was not told: silenced by silence 1 until " in one for one in invoices[1:])
    told_of = {line.split()[0]: line for line in lines[1:]}
    assert "  page  " in told_of["1"]
    assert "  muted  " in told_of["2"]


def deliver_all(url: str, config: Path) -> None:
    """Make one round of delivery, with real commands for channels."""
    found = load_config({"RUNGUARD_CONFIG": str(config)}, config.parent)
    channels = [open_channel(spec, found.resolve) for spec in found.channels.values()]
    with closing(open_store(url)) as store:
        dispatcher = Dispatcher(store, channels, found, Events())
        dispatcher.dispatch()
        dispatcher.deliver_due()


def test_an_alert_is_explained_with_its_run_and_its_incident(cli: Cli, filled_file: str) -> None:
    open_incident(filled_file, 1)
    answer = cli("explain", "alert:1", "--database-url", filled_file)

    assert answer.exit_code == 0
    assert answer.lines[0].startswith("payments failed")
    assert (
        "It was raised by run 2 of payments. It covers 1 further failure. It is not resolved."
        in (answer.stdout)
    )
    assert "Its incident began with it at " in answer.stdout


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("alert:4711", 1, "There is no alert 4711."),
        ("alert:x", 2, "expected an alert's id, as in alert:12"),
    ],
)
def test_an_alert_that_is_not_there_is_said(
    cli: Cli, filled_file: str, name: str, code: int, said: str
) -> None:
    answer = cli("explain", name, "--database-url", filled_file)

    assert (answer.exit_code, said in answer.stderr) == (code, True)


def test_a_list_of_alerts_has_a_column_and_json_its_deliveries(cli: Cli, filled_url: str) -> None:
    deliver(filled_url, 1)
    deliver(filled_url, 2, state="skipped", last_error="silenced by silence 4", sent_at=None)
    table = cli("alerts", "--database-url", filled_url).lines
    rows = {row["id"]: row for row in cli("alerts", "--json", "--database-url", filled_url).json}

    told = {line.split()[0]: line for line in table[1:]}
    assert "  told" in table[0]
    assert "  oncall  " in told["1"]
    assert "  muted  " in told["2"]
    assert "  nobody yet  " in told["3"]
    assert [one["channel"] for one in rows[1]["deliveries"]] == ["oncall"]
    assert rows[3]["deliveries"] == []


def test_problems_say_who_was_told_of_their_last_alert(cli: Cli, filled_file: str) -> None:
    deliver(filled_file, 1)
    lines = cli("problems", "--database-url", filled_file).lines
    rows = cli("problems", "--json", "--database-url", filled_file).json

    [payments] = [line for line in lines if line.startswith("payments")]
    assert "  oncall  " in payments
    [deliveries] = [row["deliveries"] for row in rows if row["alert_id"] == 1]
    assert [one["channel"] for one in deliveries] == ["oncall"]


def test_show_says_it_in_a_word(cli: Cli, filled_file: str) -> None:
    deliver(filled_file, 1)
    told = {
        label: rest.strip()
        for label, _, rest in (
            line.partition("  ") for line in cli("show", "2", "--database-url", filled_file).lines
        )
    }

    assert told["told"] == "oncall"


def test_doctor_fails_where_a_channel_fails_or_gave_up(cli: Cli, filled_file: str) -> None:
    now = datetime.now(UTC)
    look(filled_file, "hook", failures=4, failing_since=LONG_AGO, last_error="HTTP 503")
    deliver(
        filled_file,
        1,
        channel="hook",
        state="dead",
        created_at=now - timedelta(days=1),
        last_error="HTTP 503",
    )
    answer = cli("doctor", "--json", "--database-url", filled_file)
    found = {one["check"]: one for one in answer.json}

    assert answer.exit_code == 1
    assert found["delivery"]["found"] == (
        "Channel hook has been failing since 2026-03-01 02:00:00 UTC, 4 times in a row: HTTP 503."
    )
    assert found["undelivered"]["found"] == "1 alert was given up in the last 7 days"
    assert answer.stderr == "2 problems keep alerts from being delivered.\n"
    assert found["last look"]["found"] == "a process with channels looked just now"


def test_doctor_says_who_delivers_here(cli: Cli, filled_file: str, tmp_path: Path) -> None:
    def delivers(**environ: str) -> str:
        answer = cli("doctor", "--json", "--database-url", filled_file, **environ)
        [found] = [one for one in answer.json if one["check"] == "delivers here"]
        return str(found["found"])

    config = tmp_path / "told.toml"
    config.write_text('[channels.page]\ncommand = ["true"]\n')
    there = {"RUNGUARD_CONFIG": str(config)}

    assert delivers() == "nobody: no channel is configured here"
    assert delivers(**there) == "a short child of each process that raised an alert"
    assert delivers(**there, RUNGUARD_DELIVER="off") == "nobody: RUNGUARD_DELIVER=off"


def test_doctor_asks_each_channel_and_sends_nothing(cli: Cli, filled_file: str) -> None:
    nobody = "smtp://user:hunter2geheim@127.0.0.1:1/?from=a@example.com&to=b@example.com"
    answer = cli("doctor", "--json", "--database-url", filled_file, RUNGUARD_NOTIFY=nobody)
    [found] = [one for one in answer.json if one["check"] == "channel smtp"]

    assert (answer.exit_code, found["state"]) == (1, "problem")
    assert "Connection refused" in found["found"]
    assert "b@example.com (RUNGUARD_NOTIFY)" in found["found"]
    assert "hunter2geheim" not in answer.stdout + answer.stderr
    assert answer.stderr == "1 problem keeps alerts from being delivered.\n"


def test_doctor_tells_mistakes_in_the_configuration(
    cli: Cli, filled_file: str, tmp_path: Path
) -> None:
    config = tmp_path / "told.toml"
    config.write_text('[channels.page]\nurll = "smtp://mail.example/?to=a@example.com"\n')
    answer = cli("doctor", "--json", "--database-url", filled_file, RUNGUARD_CONFIG=str(config))
    found = [one for one in answer.json if one["check"] == "channels"]

    assert answer.exit_code == 1
    assert any("did you mean" in one["found"] for one in found)
