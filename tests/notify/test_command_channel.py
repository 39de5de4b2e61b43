"""Programs that are run for a message."""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runguard import ConfigurationError
from runguard._monitor.notices import SendResult
from tests.support.channels import HOSTILE, channel, message

if TYPE_CHECKING:
    from pathlib import Path

    from runguard._monitor.notices import Outcome

SOON = 10.0


def run(script: str, *arguments: object, timeout: float = SOON, **changes: object) -> Outcome:
    """Tell a shell script; `$1` is the first of the arguments."""
    command = ("/bin/sh", "-c", script, "tell", *(str(one) for one in arguments))
    return channel(command=command).send(message(**changes), timeout=timeout)


@pytest.mark.parametrize("text", ["plain", *HOSTILE.values()], ids=["plain", *HOSTILE])
def test_a_program_gets_the_message_as_json(tmp_path: Path, text: str) -> None:
    outcome = run('cat > "$1"', tmp_path / "got", subject=text, text=text)

    assert (outcome.result, outcome.error) == (SendResult.SENT, None)
    got = json.loads((tmp_path / "got").read_text())
    said = text.encode(errors="replace").decode()
    assert (got["subject"], got["text"]) == (said, said)
    assert (got["key"], got["conversation"]) == ("delivery-7", "incident-3")
    assert got["data"]["run_id"] == 41


@pytest.mark.parametrize(
    ("script", "result", "error"),
    [
        ("exit 0", SendResult.SENT, None),
        ("echo odd >&2; exit 0", SendResult.SENT, None),
        ("exit 75", SendResult.RETRY, "sh ended with status 75"),
        ("echo a >&2; echo no such room >&2; exit 3", SendResult.REFUSED,
         "sh ended with status 3: no such room"),
        ("kill -9 $$", SendResult.REFUSED, "sh was ended by SIGKILL"),
        ("exec 0<&-; exit 0", SendResult.SENT, None),
    ],
)  # fmt: skip
def test_the_exit_status_decides(script: str, result: SendResult, error: str | None) -> None:
    outcome = run(script)

    assert (outcome.result, outcome.error) == (result, error)


def test_what_a_program_says_is_shown_without_secrets_and_in_one_line() -> None:
    outcome = run(r"printf 'password=hunter2 \033[31mred' >&2; exit 1")

    assert "hunter2" not in outcome.error
    assert outcome.error.endswith("red")
    assert outcome.error.isprintable()


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/made); `touch {tmp_path}/made` | x"
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    command = (sys.executable, "-c", script, str(tmp_path / "got"), hostile)

    channel(command=command).send(message(), timeout=SOON)

    assert (tmp_path / "got").read_text() == hostile
    assert not (tmp_path / "made").exists()


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    script = 'sleep 60 & echo $! > "$1"; echo $$ >> "$1"; echo waiting >&2; wait'
    started = time.monotonic()

    outcome = run(script, tmp_path / "pids", timeout=2)

    assert time.monotonic() - started < 5
    assert outcome.result is SendResult.UNKNOWN
    assert outcome.error == "sh was killed after 2 s: it had the message and did not end: waiting"
    for pid in (tmp_path / "pids").read_text().split():
        assert has_ended(int(pid))


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or is within a few seconds: a kill takes its time."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], 5)[0])
    finally:
        os.close(process)


def test_a_child_that_is_left_behind_keeps_nobody_waiting(tmp_path: Path) -> None:
    started = time.monotonic()

    outcome = run('sleep 60 & echo $! > "$1"; exit 0', tmp_path / "pid")

    assert outcome.result is SendResult.SENT
    assert time.monotonic() - started < 10
    os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_huge_output_is_neither_waited_for_nor_kept(stream: str) -> None:
    outcome = run(f"head -c 5000000 /dev/zero | tr '\\0' x >&{stream}; exit 4")

    assert outcome.result is SendResult.REFUSED
    assert len(outcome.error) < 1_000


def test_a_program_sees_no_variable_of_runguard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", "postgresql://app:s3cret@db/x")
    monkeypatch.setenv("RUNGUARD_NOTIFY", "smtp://u:s3cret@h/")
    monkeypatch.setenv("ROOM", "ops")

    run('env > "$1"', tmp_path / "env")

    seen = (tmp_path / "env").read_text()
    assert "ROOM=ops" in seen
    assert "s3cret" not in seen


def test_a_program_that_is_not_there_or_not_executable_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    for path, why in ((tmp_path / "none", "No such file"), (plain, "Permission denied")):
        sender = channel(command=(str(path), "--token", "s3cret"))

        outcome, probe = sender.send(message(), timeout=SOON), sender.probe(timeout=SOON)

        assert outcome.result is SendResult.REFUSED
        assert outcome.error.startswith(f"{path.name} cannot be started: {why}")
        assert probe.ok is False
        assert "s3cret" not in probe.summary + repr(sender) + sender.target()


def test_a_program_that_can_be_executed_is_probed_without_running_it() -> None:
    assert channel(command=("false",)).probe(timeout=SOON).ok


@pytest.mark.parametrize("command", [(), ("",), ("tell", "a\0b")])
def test_a_command_that_nobody_can_run_is_an_error(command: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"channel 'oncall' \(runguard\.toml"):
        channel(command=command)
