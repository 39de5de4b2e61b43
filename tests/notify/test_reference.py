"""The reference names every key of the file, and every key of the JSON."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from runguard._monitor.expectations import JobRecord
from runguard._monitor.notices import IncidentRecord, Silence, Trail
from runguard._notify.config import NotifyConfig, read_config
from runguard._notify.message import build_message
from runguard._rounds.round import RoundReport

from .facts import NOW, covered, notice
from .test_message import FAILING, SILENCE

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "notify.md").read_text(encoding="utf-8")


def keys_under(heading: str) -> set[str]:
    """The keys in the first column of the table below a heading."""
    section = PAGE.partition(f"{heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def keys_that_are_read(tmp_path: Path) -> dict[str, set[str]]:
    """What the reader suggests, and takes, in each table."""
    headings = ("[notify]", "[channels.NAME]", "[[routes]]", "[[quiet]]", "[jobs.NAME]")
    found = {}
    for heading in headings:
        keys = keys_under(f"### `{heading}`")
        table = heading.replace("NAME", "x")
        wrong = "\n".join(f"{key} = 1979-05-27" for key in keys)
        (tmp_path / "runguard.toml").write_text(f"{table}\n{wrong}\n")
        problems = read_config({}, tmp_path).problems
        assert not [problem for problem in problems if "unknown" in problem], problems
        found[heading] = keys
    return found


def test_the_reference_names_the_keys_of_the_file(tmp_path: Path) -> None:
    assert keys_that_are_read(tmp_path) == {
        "[notify]": {"web_url", "remind_every", "timezone"},
        "[channels.NAME]": {"url", "webhook", "command", "secret"},
        "[[routes]]": {
            *("to", "job", "group", "reason", "alert_type", "owner"),
            *("severity", "after", "continue", "environment"),
        },
        "[[quiet]]": {
            *("cron", "for", "reason", "timezone", "job", "group", "alert_type", "environment"),
        },
        "[jobs.NAME]": {
            *("every", "cron", "calendar", "expect", "tz", "grace", "max_runtime", "min_records"),
            *("owner", "runbook", "description", "ping_url"),
        },
    }


def test_the_reference_names_the_keys_of_the_json() -> None:
    facts = notice(
        covered=(covered("a"),), silences_ended=(SILENCE,), failing_channel=FAILING, recent=(True,)
    )
    facts = replace(facts, recovered_by=facts.failed_run)
    data = build_message(facts, NotifyConfig(), now=NOW).data
    section = PAGE.partition("## The message as JSON\n")[2]

    assert keys_under("## The message as JSON") == set(data)
    for nested in keys_of_tables(data):
        assert f"`{nested}`" in section


def keys_of_tables(value: Any) -> set[str]:
    """The keys of what stands in a value, but for the alert's detail, which is anybody's."""
    tables = [one for one in value.values() if isinstance(one, dict)]
    tables += [one[0] for one in value.values() if isinstance(one, list) and one]
    return {key for table in tables for key in table}


def names_of(record: type) -> set[str]:
    return {one.name for one in fields(record)}


def keys_after(sentence: str) -> set[str]:
    """The keys in the first column of the table that follows a sentence."""
    table = PAGE.partition(sentence)[2].partition("|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines()]
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}


def test_the_reference_names_the_keys_of_each_record_that_commands_print_as_json() -> None:
    assert keys_after("prints one object a round") == names_of(RoundReport) | {"good"}
    expected = {"state", "last_start_at"}
    assert keys_after("`runguard expect --json` prints") >= names_of(JobRecord) | expected
    assert keys_after("print a `trail`") == names_of(Trail)
    assert keys_after("\nAn incident:") == names_of(IncidentRecord)
    assert keys_after("\nA silence:") == names_of(Silence)
