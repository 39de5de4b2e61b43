"""What the tables look like: on terminals of several widths, in a pipe, with hostile text."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from runguard._cli.output import (
    Listing,
    json_text,
    listing_text,
    moment,
    pipe_text,
    shown_on,
)
from runguard._cli.output import plain as plain_record
from runguard._cli.talk import one_line, visible
from runguard._models import ErrorGroup
from runguard._monitor.health import describe
from runguard._monitor.records import RunCell
from runguard._monitor.visible import MARKS
from runguard._monitor.watched import ExpectedJob
from tests.cli.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

COLOUR = re.compile(r"\x1b\[(?:\d+;)*3\d")
STYLE = re.compile(r"\x1b\[[\d;]*m")
TERMINAL = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}


def on_terminal(cli: Cli, *arguments: str, width: int, **environ: str) -> Answer:
    return cli(*arguments, **TERMINAL, COLUMNS=str(width), **environ)


def plain(answer: Answer) -> list[str]:
    return [STYLE.sub("", line).rstrip() for line in answer.lines]


@pytest.mark.parametrize("command", ["runs", "alerts", "report", "doctor"])
@pytest.mark.parametrize("width", [60, 80, 132])
def test_a_table_fits_the_terminal(cli: Cli, filled_file: str, command: str, width: int) -> None:
    answer = on_terminal(cli, command, "--database-url", filled_file, width=width)

    assert max(cell_len(line) for line in plain(answer)) <= width


def test_at_80_columns_the_message_stands_below_its_run(cli: Cli, filled_file: str) -> None:
    answer = on_terminal(cli, "runs", "--job", "invoices", "--database-url", filled_file, width=80)

    [header, run, message] = plain(answer)
    assert header.split() == ["id", "job", "status", "started", "took", "group", "reason", "alert"]
    assert run.split()[1:3] == ["invoices", "FAILED"]
    assert run.split()[-3:] == ["TIMEOUT", "-", "raised"]
    assert message == "  timed out"


def test_a_wide_terminal_has_the_message_in_the_same_line(cli: Cli, filled_file: str) -> None:
    answer = on_terminal(cli, "runs", "--job", "invoices", "--database-url", filled_file, width=150)

    assert plain(answer)[1].split()[-5:] == ["TIMEOUT", "-", "raised", "timed", "out"]


@pytest.mark.parametrize("command", ["runs", "alerts", "report", "doctor"])
def test_a_terminal_has_colours_unless_no_color_is_set(
    cli: Cli, filled_file: str, command: str
) -> None:
    arguments = (command, "--database-url", filled_file)

    assert COLOUR.search(on_terminal(cli, *arguments, width=80).stdout)
    assert not COLOUR.search(on_terminal(cli, *arguments, width=80, NO_COLOR="1").stdout)
    assert "\x1b" not in cli(*arguments).stdout


def test_a_pipe_gets_the_whole_text_whatever_its_length(cli: Cli, sqlite_url: str) -> None:
    import runguard
    from runguard import testing

    reason = "no such table: " + "x" * 3000
    runguard.configure(database_url=sqlite_url)
    with runguard.run_scope("j" * 255) as run:
        run.fail(reason)
    testing.reset()

    answer = cli("runs", "--database-url", sqlite_url, COLUMNS="40")

    assert "j" * 255 in answer.lines[1]
    assert answer.lines[1].endswith(reason)


def test_times_in_a_pipe_are_in_utc(cli: Cli, filled_file: str) -> None:
    answer = cli("runs", "--job", "invoices", "--database-url", filled_file)

    assert re.search(r" \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", answer.lines[1])


@pytest.mark.parametrize(
    "environ", [{}, {**TERMINAL, "COLUMNS": "80"}, {**TERMINAL, "COLUMNS": "200"}]
)
@pytest.mark.parametrize("command", ["runs", "alerts"])
def test_stored_text_is_shown_and_never_obeyed(
    cli: Cli, hostile_file: str, command: str, environ: dict[str, str]
) -> None:
    answer = cli(command, "--database-url", hostile_file, **environ)

    assert "[red]주문[/red]" in answer.stdout
    assert r"\x1b[31mred\x1b[0m" in answer.stdout
    assert "\x1b[31mred" not in answer.stdout
    assert "\u202e" not in answer.stdout


def test_stored_text_in_json_is_as_it_was_and_harmless_on_a_terminal(
    cli: Cli, hostile_file: str
) -> None:
    answer = cli("runs", "--limit", "1", "--json", "--database-url", hostile_file)

    assert answer.json[0]["error_message"] == HOSTILE
    assert answer.json[0]["job_name"] == "[red]주문[/red]"
    assert "주문" in answer.stdout
    assert not {"\x1b", "\u202e"} & set(answer.stdout)


def test_an_unknown_job_of_hostile_name_is_told_harmlessly(cli: Cli, filled_file: str) -> None:
    answer = cli("runs", "--job", "\x1b[2J[red]x", "--database-url", filled_file)

    assert "\x1b" not in answer.stderr
    assert "[red]x" in answer.stderr


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=61), "1 h ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
    ],
)
def test_a_moment_on_a_terminal_is_so_long_ago(
    monkeypatch: pytest.MonkeyPatch, ago: timedelta, text: str
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert moment(now - ago, now=now) == text


def test_an_older_moment_is_a_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    then = now - timedelta(days=2)

    assert moment(then, now=now) == f"{then.astimezone():%Y-%m-%d %H:%M}"


def test_control_characters_are_spelled() -> None:
    assert visible("a\x1b\x00\x9b\u202eb") == r"a\x1b\x00\x9b\u202eb"
    assert one_line(" a\n\tb\r\n ") == "a b"


LETTERS = 'ab \n\x1b\x9f\xa0é한👍\u0301\u200b\u200d\u202e[b]\\"\ud800'


def some_text(chance: random.Random) -> str:
    return "".join(chance.choices(LETTERS, k=chance.randrange(9)))


@pytest.mark.parametrize("seed", range(40))
def test_a_listing_in_a_pipe_is_the_table_that_rich_makes_of_it(seed: int) -> None:
    chance = random.Random(seed)
    rows = range(seed % 4)
    listing = Listing(
        columns=("job", "state"),
        rows=[(some_text(chance), Text(some_text(chance), "red")) for _ in rows],
        note_title="message",
        notes=[some_text(chance) for _ in rows],
        numbers=("job",) if seed % 2 else ("state",),
    )
    pipe = Console(file=io.StringIO(), width=1 << 24, color_system=None)

    assert listing_text(listing) == pipe_text(shown_on(listing, pipe))


def some_value(chance: random.Random, depth: int = 0) -> object:
    leaves = (None, True, 7, -0.5, float("inf"), ErrorGroup.TIMEOUT, [], {}, some_text(chance))
    if depth > 3 or chance.random() < 0.3:
        return chance.choice(leaves)
    inner = [some_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return inner if chance.random() < 0.5 else {some_text(chance): one for one in inner}


@pytest.mark.parametrize("seed", range(40))
def test_json_is_indented_as_python_does_it(seed: int) -> None:
    records = [{"value": some_value(random.Random(seed))}, {}]
    spelled = json.dumps(records, ensure_ascii=False, indent=2)

    # What a terminal would obey is spelled in both, as JSON allows.
    obeyed = re.compile(f"[{MARKS}]")
    assert json_text(records) == obeyed.sub(lambda one: f"\\u{ord(one[0]):04x}", spelled) + "\n"


def test_a_record_in_json_is_what_dataclasses_make_of_it() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    cell = RunCell(1, "FAILED", "TIMEOUT", noon, None)
    described = describe("job", [cell], expected=ExpectedJob(owner="ana"))

    assert json.dumps(plain_record(described), default=str) == json.dumps(
        dataclasses.asdict(described), default=str
    )
