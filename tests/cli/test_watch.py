"""`--watch`: the same view again, until Ctrl-C, on a real terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.text import Text

import runguard
from runguard import testing
from runguard._cli.watch import watch
from runguard._errors import StoreUnavailable
from tests.cli.conftest import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

PROGRAM = Path(sys.executable).with_name("runguard")
DEADLINE_SECONDS = 60.0


class Ending:
    """Waits so many times, each without waiting; then somebody presses Ctrl-C."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, seconds: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def frames(*texts: str | Exception) -> Callable[[Console], RenderableType]:
    given = iter(texts)

    def frame(_console: Console) -> RenderableType:
        text = next(given)
        if isinstance(text, Exception):
            raise text
        return Text(text)

    return frame


def test_a_pipe_gets_one_snapshot_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    watch(frames("one", "two"), seconds=9, title="x", wait=Ending(1))

    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line and not line.startswith("# 20")] == ["one", "two"]
    assert "\x1b" not in "".join(lines)


def test_a_terminal_gets_each_frame_over_the_last_and_keeps_the_last_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    watch(frames("one", "two"), seconds=9, title="x", wait=Ending(1))

    shown = capsys.readouterr().out
    assert shown.startswith("\x1b[?1049h")
    assert shown.count("\x1b[H") == 3  # the page, and two frames
    assert "\x1b[2J" not in shown
    page, left, after = shown.partition("\x1b[?25h\x1b[?1049l")
    assert left
    assert "one" in page
    assert after.strip() == "two"


def test_a_frame_is_cut_to_the_window(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "FORCE_COLOR": "1",
        "TERM": "xterm",
        "LINES": "10",
        "COLUMNS": "40",
    }.items():
        monkeypatch.setenv(name, value)
    watch(frames("\n".join(map(str, range(50)))), seconds=9, title="x", wait=Ending(0))

    page = capsys.readouterr().out.partition("\x1b[?1049l")[0]
    assert page.count("\n") == 9
    assert page.count("\x1b[H") == 2  # once for the page, once for the frame
    assert "more lines" in page


@pytest.mark.parametrize("terminal", [True, False])
def test_a_store_that_goes_away_is_told_and_asked_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "120")
    watch(
        frames("one", StoreUnavailable("it is gone"), "two"), seconds=9, title="x", wait=Ending(2)
    )

    shown = capsys.readouterr().out
    assert shown.index("one") < shown.index("it is gone") < shown.rindex("two")


def test_ctrl_c_during_the_first_look_ends_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_console: Console) -> RenderableType:
        raise KeyboardInterrupt

    watch(interrupted, seconds=9, title="x", wait=Ending(1))

    assert capsys.readouterr().out == ""


def test_a_reader_that_leaves_early_ends_it(filled_file: str) -> None:
    process = subprocess.Popen(
        [PROGRAM, "runs", "--watch", "0.1", "--database-url", filled_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"# 20")
        process.stdout.close()
        process.stdout = None
        _, told = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
        process.wait()

    assert b"Traceback" not in told


def test_the_first_look_may_fail() -> None:
    with pytest.raises(StoreUnavailable):
        watch(frames(StoreUnavailable("gone")), seconds=9, title="x", wait=Ending(1))


@pytest.mark.parametrize(
    "others", [["--json"], ["--csv"], ["5", "--json"], ["--json", "--watch", "3"]]
)
def test_watching_shows_tables_only(cli: Cli, sqlite_url: str, others: list[str]) -> None:
    answer = cli("runs", "--watch", *others, "--database-url", sqlite_url)

    assert answer.exit_code == 2
    assert "--watch" in answer.stderr


def read_until(terminal: int, words: bytes) -> bytes:
    """Read what a terminal gets until it holds these words."""
    seen = b""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while words not in seen:
        left = deadline - time.monotonic()
        assert left > 0, seen
        if select.select([terminal], [], [], left)[0]:
            seen += os.read(terminal, 65_536)
    return seen


def read_to_the_end(terminal: int) -> bytes:
    """Read what a terminal gets until the program has left it."""
    seen = b""
    try:
        while part := os.read(terminal, 65_536):
            seen += part
    except OSError:  # how Linux says that the other side is closed
        pass
    return seen


def test_frames_follow_the_size_of_the_window(filled_file: str) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    environ = {**os.environ, "TERM": "xterm"}
    process = subprocess.Popen(
        [PROGRAM, "runs", "--watch", "0.2", "--database-url", filled_file],
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, b"invoices")
        termios.tcsetwinsize(ours, (6, 50))
        seen = read_until(ours, b"more lines")
        frame = seen[: seen.rindex(b"more lines")].rpartition(b"\x1b[H")[2].decode()
        process.send_signal(signal.SIGINT)
        read_to_the_end(ours)
        process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", frame).splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) <= 50


def test_a_new_run_appears_on_a_real_terminal_and_ctrl_c_ends_it_cleanly(filled_file: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "runs", "--watch", "0.2", "--database-url", filled_file],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        read_until(ours, b"invoices")
        runguard.configure(database_url=filled_file)
        fail("brand_new", "timed out")
        testing.reset()
        read_until(ours, b"brand_new")
        process.send_signal(signal.SIGINT)
        _, left, after = read_to_the_end(ours).partition(b"\x1b[?25h\x1b[?1049l")
        _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(ours)

    assert (process.returncode, errors) == (0, b"")
    assert left
    assert b"brand_new" in after
