"""The line of `runguard exec` is read twice in the source: both readers agree on every line."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from runguard._cli.app import LazyCommands
from runguard._cli.exec_line import read_plain
from runguard._cli.execution import execute

COMMAND: Any = LazyCommands()["exec"]
OPTIONS = {one.name: one for one in COMMAND.params if one.param_type_name == "option"}
OPTIONS.pop("help", None)
DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(execute).parameters.items()
    if parameter.default is not parameter.empty
}
VALUES = [
    "15m",
    "0",
    "90s",
    "1w",
    "900w",
    "7",
    "255",
    "256",
    "MANUAL",
    "Mon..Fri 02:00",
    "sqlite://",
]
ODD_VALUES = ["", "-1", "1_0", " 7", "1.5", "soon", "--", "٣"]
TOKENS = [
    *("job", "--", "true", "-h", "--help", "-x", "-", "", "--unknown", "--lock-", "--ok_exit"),
    *(option for one in OPTIONS.values() for option in one.opts),
    *VALUES,
    *ODD_VALUES,
    *("--timeout=15m", "--ok-exit=3", "--lock=1", "--environment=", "--cron=* * * * *"),
]


class Refused(Exception):
    """Typer prints an error, or the help."""


def as_typer_reads(line: list[str]) -> dict[str, Any]:
    try:
        given = COMMAND.make_context("exec", list(line)).params
    except (typer.BadParameter, typer.Exit, typer.Abort) as refusal:
        raise Refused from refusal
    except Exception as refusal:
        if not hasattr(refusal, "exit_code"):  # as all that Typer shows has one
            raise
        raise Refused from refusal
    return {**given, "note": given["note"] or None, "ok_exit": given["ok_exit"] or None}


def as_read_plain(line: list[str]) -> dict[str, Any] | None:
    plain = read_plain(line)
    return None if plain is None else {**DEFAULTS, **plain}


def test_a_line_without_options_is_plain_and_has_the_same_defaults() -> None:
    line = ["job", "--", "sh", "-c", "exit 3", "--", "--lock"]

    assert as_read_plain(line) == as_typer_reads(line)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_plain_and_means_the_same(name: str) -> None:
    option = OPTIONS[name]
    (word,) = option.opts
    forms = [[word]]
    if not option.is_flag:
        value = {"failures_to_alert": "3", "ok_exit": "24", "trigger": "retry"}.get(name, "15m")
        forms = [[word, value], [f"{word}={value}"], [word, value, word, value]]
    for form in forms:
        for line in (["job", *form, "--", "true"], [*form, "job", "--", "true"]):
            assert as_read_plain(line) == as_typer_reads(line), line
            assert as_typer_reads(line) != as_typer_reads(["job", "--", "true"]), line


@given(st.lists(st.sampled_from(TOKENS), max_size=8).map(lambda words: ["job", *words]))
@settings(max_examples=150, deadline=None)
def test_whatever_is_plain_is_read_as_typer_reads_it(line: list[str]) -> None:
    line = [*line, "--", "true"] if len(line) % 2 else line
    plain = as_read_plain(line)

    if plain is not None:
        assert plain == as_typer_reads(line)


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["job"],
        ["--", "true"],
        ["job", "--"],
        ["job", "another", "--", "true"],
        ["", "--", "true"],
        ["job", "-h", "--", "true"],
        ["job", "--timeout", "--", "true"],
        ["job", "--timeout", "soon", "--", "true"],
        ["job", "--cooldown", "900w", "--", "true"],
        ["job", "--ok-exit", "256", "--", "true"],
        ["job", "--ok-exit", "9" * 5_000, "--", "true"],
        ["job", "--timeout", f"{'9' * 5_000}s", "--", "true"],
        ["job", "--failures-to-alert", "0", "--", "true"],
        ["job", "--lock=1", "--", "true"],
        ["job", "--lock_ttl", "15m", "--", "true"],
        ["job", "---lock", "--", "true"],
        ["job", "--no-lock", "--", "true"],
    ],
)
def test_help_and_mistakes_are_left_to_typer(line: list[str]) -> None:
    assert read_plain(line) is None
