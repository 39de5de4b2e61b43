"""What a shell completes: words that are known, and names that are in the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("runguard")


def complete(*words: str, **environ: str) -> list[str]:
    """What bash is offered for the last of these words; anything said besides fails the test."""
    done = subprocess.run(
        [PROGRAM],
        env={
            **os.environ,
            "_RUNGUARD_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["runguard", *words]),
            "COMP_CWORD": str(len(words)),
            **environ,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["runs", "--status", "F"], ["FAILED"]),
        (["runs", "--group", "HTTP_4"], ["HTTP_409", "HTTP_4XX"]),
        (["runs", "--trigger", "sch"], ["scheduler"]),
        (["report", "--format", "h"], ["html"]),
        (["exp"], ["expect", "explain"]),
    ],
)
def test_words_that_are_known_are_completed(words: list[str], offered: list[str]) -> None:
    assert sorted(complete(*words)) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["runs", "--job", "pay"], ["payments"]),
        (["jobs", "--job", "in"], ["invoices"]),
        (["expect", "pay"], ["payments"]),
        (["show", "4"], ["4"]),
        (["explain", "last:pay"], ["last:payments"]),
        (["explain", "fail"], ["failed"]),
        (["resolve", "2"], ["2"]),
    ],
)
def test_names_come_from_the_store(filled_file: str, words: list[str], offered: list[str]) -> None:
    assert complete(*words, RUNGUARD_DATABASE_URL=filled_file) == offered


def test_the_store_may_stand_in_the_line(filled_file: str) -> None:
    assert complete("runs", "--database-url", filled_file, "--job", "pay") == ["payments"]


@pytest.mark.parametrize(
    "url", ["postgresql://nobody@127.0.0.1:1/nothing", "no url at all", "sqlite:////proc/no/file"]
)
def test_a_store_that_cannot_be_asked_offers_nothing_and_says_nothing(url: str) -> None:
    assert complete("runs", "--job", "pay", RUNGUARD_DATABASE_URL=url) == []


def test_no_file_is_made(tmp_path: Path) -> None:
    state = tmp_path / "state"
    file = tmp_path / "x.db"

    assert complete("runs", "--job", "p", XDG_STATE_HOME=str(state)) == []
    assert complete("runs", "--job", "p", RUNGUARD_DATABASE_URL=f"sqlite:///{file}") == []
    assert not state.exists()
    assert not file.exists()
