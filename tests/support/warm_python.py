"""A Python that has imported the large libraries, and forks for each script that it is given.

What a script sees is what `python` and a console script give it: its own `__main__`, arguments,
folder, environment, standard streams and exit code. runguard is not imported here: each script
imports it anew. What that takes, and that nothing is missing where it is cold, is for other tests.
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LIBRARIES: Final = (
    *("alembic.command", "alembic.config", "platformdirs", "psycopg", "sqlite3", "typer"),
    *("rich.console", "rich.table"),
    *("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite.pysqlite"),
)
_LARGEST_REQUEST: Final = 1_000_000
_STREAMS: Final = ("stdin", "stdout", "stderr")


class WarmPython:
    """Runs scripts, one after the other."""

    def __init__(self) -> None:
        """Start the process that forks; it ends with this one, or with `close`."""
        self._socket, its_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(its_end.fileno())],
                pass_fds=[its_end.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def close(self) -> None:
        """Let the process end."""
        self._socket.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `[script, *arguments]`, or options of Python before them, as in a pipe.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)})
        until = time.monotonic() + timeout
        reading, writing = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        with os.fdopen(reading, "rb"):
            socket.send_fds(self._socket, [request.encode()], [nothing, writing, writing])
            os.close(nothing)
            os.close(writing)
            pid = int(self._socket.recv(100))
            try:
                printed = _read_until_end(reading, until)
                self._socket.settimeout(max(0.001, until - time.monotonic()))
                code = int(self._socket.recv(100))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(100)
                raise subprocess.TimeoutExpired(arguments, timeout) from None
            self._socket.settimeout(None)
        return subprocess.CompletedProcess(arguments, code, printed.decode())


def _read_until_end(pipe: int, until: float) -> bytes:
    printed = b""
    while select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
        if not (piece := os.read(pipe, 65_536)):
            return printed
        printed += piece
    raise TimeoutError


def can_run(arguments: Sequence[str]) -> bool:
    """Say whether these are a script, or code, with no other option of Python than `-W`."""
    rest = _without_warnings(arguments)[1]
    return bool(rest) and (rest[0] == "-c" or not rest[0].startswith("-"))


def _without_warnings(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    asked, rest = [], list(arguments)
    while rest[:1] == ["-W"]:
        asked.append(rest[1])
        rest = rest[2:]
    return asked, rest


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return it in the child, and None at the end of all."""
    while True:
        message, streams, *_ = socket.recv_fds(connection, _LARGEST_REQUEST, len(_STREAMS))
        if not message:
            return None
        child = os.fork()
        if child == 0:
            connection.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
        for stream in streams:
            os.close(stream)
        if child == 0:
            request: dict[str, Any] = json.loads(message)
            return request
        connection.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _run(arguments: list[str], cwd: str, env: dict[str, str]) -> None:
    """Be the Python that was called so, from here to its end."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    _open_streams()
    asked, rest = _without_warnings(arguments)
    for action in asked:
        sys.warnoptions.append(action)
        warnings.simplefilter(action)  # type: ignore[arg-type]
    main = sys.modules["__main__"] = ModuleType("__main__")
    sys.orig_argv = [sys.executable, *arguments]
    if rest[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[2:]], ""
        source, name = rest[1].encode(), "<string>"
    else:
        main.__file__ = name = os.path.abspath(rest[0])  # noqa: PTH100 - as Python has it
        sys.argv, sys.path[0] = rest, os.path.dirname(name)  # noqa: PTH120
        source = Path(name).read_bytes()
    try:
        exec(compile(source, name, "exec", dont_inherit=True), vars(main))
    except Exception as error:
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        sys.excepthook(type(error), error, error.__traceback__)
        sys.exit(1)


def _open_streams() -> None:
    """Make the standard streams as Python does where PYTHONUNBUFFERED is set."""
    sys.stdin = sys.__stdin__ = open(0, closefd=False)  # type: ignore[misc]  # noqa: SIM115
    for number, errors in ((1, "strict"), (2, "backslashreplace")):
        raw = io.FileIO(number, "w", closefd=False)
        raw.name = f"<{_STREAMS[number]}>"
        stream = io.TextIOWrapper(
            raw,  # type: ignore[arg-type]  # as CPython has it too
            encoding=sys.stdout.encoding,
            errors=errors,
            write_through=True,
        )
        setattr(sys, _STREAMS[number], stream)
        setattr(sys, f"__{_STREAMS[number]}__", stream)


if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    gc.freeze()
    if (asked_for := _serve(socket.socket(fileno=int(sys.argv[1])))) is not None:
        _run(**asked_for)
