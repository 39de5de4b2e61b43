"""A program of the user's: it gets the message as JSON on its standard input.

Exit status 0 says that somebody was told, 75 (`EX_TEMPFAIL`) that it should be tried again; any
other is a refusal, and the last line of stderr its reason. No shell reads the command. Variables
`RUNGUARD_…` are not handed on: they may hold the URLs of other channels and of the store.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from typing import IO, Final, cast

from ..._monitor.notices import ChannelSpec, Message, Outcome, Probe, SendResult
from .addresses import wrong
from .hiding import config_hash, hider
from .payload import payload

LONGEST_SECONDS: Final = 30.0
LATER: Final = 75  # EX_TEMPFAIL of sysexits.h

_PIECE: Final = 8 * 1024
_PIECES_KEPT: Final = 2
_PIECES_DRAINED: Final = 128
_LOOK_EVERY: Final = 0.05


class CommandChannel:
    """One program with its arguments."""

    kind: Final = "command"
    is_idempotent: Final = False  # the program gets the key, and may not look at it

    def __init__(self, spec: ChannelSpec, command: tuple[str, ...]) -> None:
        """Keep the command.

        Raises:
            ConfigurationError: It is empty, or no program can get it.
        """
        self.name: Final = spec.name
        if not command or not command[0].strip():
            raise wrong(
                spec, 'expected a list such as ["/usr/local/bin/tell", "--quiet"], found none'
            )
        if any("\0" in part for part in command):
            raise wrong(spec, "expected a command without NUL characters, found one: remove it")
        self._command: Final = command
        self.config_hash: Final = config_hash(command)
        self._hide: Final = hider(())
        self._where: Final = self._hide(os.path.basename(command[0]))  # noqa: PTH119 (a text)

    def __repr__(self) -> str:
        """Name it, without its arguments' secrets."""
        return f"<{type(self).__name__} {self.name}: {self.target()}>"

    def target(self) -> str:
        """Name the program; its arguments may hold a secret."""
        more = " …" if len(self._command) > 1 else ""
        return self._hide(shlex.quote(self._command[0])) + more

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Run the program once. Never raises."""
        try:
            return self._ran(payload(message), min(timeout, LONGEST_SECONDS))
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            why = f"{self._where} cannot be started: {error.strerror}"
            return Outcome(SendResult.REFUSED, why)
        except Exception as error:
            said = self._hide(f"{type(error).__name__}: {error}")
            return Outcome(SendResult.RETRY, f"{self._where}: {said}")

    def probe(self, *, timeout: float) -> Probe:  # noqa: ARG002 (nothing here waits)
        """Look whether there is such a program, which may be executed."""
        if shutil.which(self._command[0]) is None:
            return Probe(
                ok=False,
                summary=f"expected a program that can be executed, found none: {self.target()}",
            )
        return Probe(ok=True, summary=f"{self.target()} can be executed")

    def _ran(self, content: bytes, seconds: float) -> Outcome:
        end = time.monotonic() + seconds
        # A file, not a pipe: the program may read it or not.
        with tempfile.TemporaryFile() as stdin:
            stdin.write(content)
            stdin.seek(0)
            process = subprocess.Popen(  # noqa: S603 (a list that the user configured)
                self._command,
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
            )
        with cast("IO[bytes]", process.stderr) as stderr:
            said = _Tail(stderr)
            try:
                _wait(process, said, end)
            finally:
                if process.returncode is None:
                    _kill(process)
            said.drain()
        return self._judged(process.returncode, said.last_line(), seconds, end)

    def _judged(self, status: int, last_line: str, seconds: float, end: float) -> Outcome:
        because = f": {self._hide(last_line)}" if last_line.strip() else ""
        if status == 0:
            return Outcome(SendResult.SENT)
        if status < 0 and time.monotonic() >= end:
            return Outcome(
                SendResult.UNKNOWN,
                f"{self._where} was killed after {seconds:g} s: it had the message and did not"
                f" end{because}",
            )
        result = SendResult.RETRY if status == LATER else SendResult.REFUSED
        how = f"ended with status {status}" if status > 0 else f"was ended by {_signal(-status)}"
        return Outcome(result, f"{self._where} {how}{because}")


class _Tail:
    """The end of what a program writes to stderr, however much it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._fd = stream.fileno()
        os.set_blocking(self._fd, False)
        self._pieces: deque[bytes] = deque(maxlen=_PIECES_KEPT)
        self.is_open = True

    def read(self, seconds: float) -> None:
        """Wait for a piece, at most so long."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            if selector.select(max(0.0, seconds)):
                self._take()

    def drain(self) -> None:
        """Take what is there; a child that the program left behind may hold the other end."""
        for _ in range(_PIECES_DRAINED):
            if not self._take():
                return

    def _take(self) -> bool:
        try:
            piece = os.read(self._fd, _PIECE)
        except BlockingIOError:
            return False
        if piece:
            self._pieces.append(piece)
        else:
            self.is_open = False
        return bool(piece)

    def last_line(self) -> str:
        """Return the last line that is not empty."""
        lines = b"".join(self._pieces).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _wait(process: subprocess.Popen[bytes], said: _Tail, end: float) -> None:
    while process.poll() is None and (left := end - time.monotonic()) > 0:
        if said.is_open:
            said.read(min(left, _LOOK_EVERY))
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(left)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program with its children: they are its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNGUARD_")}
