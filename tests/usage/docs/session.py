"""A reader who follows one page: saves its files, runs its scripts and its commands."""

from __future__ import annotations

import atexit
import os
import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Final

from runguard._notify.config import read_config
from tests.support.warm_python import WarmPython, can_run
from tests.usage.docs.pages import ROOT, Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SERVER: Final = "postgresql://app@db.internal/prod"
QUEUE: Final = "postgresql://app@db.internal/queue"  # as libpq takes it, without a driver
REDIS: Final = "redis://localhost:6379"
PROGRAM: Final = "/opt/jobs/invoices --all"
READERS_FOLDER: Final = "/home/app/jobs"
READERS_HOST: Final = "worker-1"
ANYTHING: Final = "..."  # a line that stands for any number of lines
SAVED_CONFIGURATION: Final = "# runguard.toml\n"
EMBEDDED_STORE: Final = "runguard.embedded_store "
SECONDS: Final = 60
PROGRAMS: Final = os.path.dirname(sys.executable)  # noqa: PTH120 - not resolved: .venv/bin
# tests/project/test_wheel.py installs; a hook would land in the checkout that is tested.
INSTALLS: Final = ("pip install ", "pre-commit install")
CRON: Final = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "app", "USER": "app"}
"""What cron gives a command, and its home."""

SYSTEMD: Final = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "USER": "app"}
# Those that this project's own tests need take a second to import, and a reader has none of them.
_NO_OTHER_PLUGINS: Final = " ".join(
    f"-p no:{plugin.name}" for plugin in entry_points(group="pytest11") if plugin.name != "runguard"
)
_OUR_HOST: Final = re.compile(rf"(\bhost )({re.escape(gethostname())})\b")
_FAILS: Final = re.compile(r"^Traceback \(", re.MULTILINE)  # not one that `show` shows
_CRON: Final = re.compile(r"^(?:[\d*/,-]+ +){5}(.+)$", re.MULTILINE)
_VARIABLE: Final = re.compile(r"^(?:export )?(\w+)=(\S+)$")
_SERVICE: Final = re.compile(r"^ExecStart=(.+)$", re.MULTILINE)
_ENVIRONMENT_FILE: Final = re.compile(r"^EnvironmentFile=(.+)$", re.MULTILINE)
_SAVED_AS: Final = re.compile(r"# (/\S+)\n")
_SECRET_FILE: Final = re.compile(r"_FILE=(\S+)")


@dataclass
class Session:
    """The reader's folder, and the environment as the page has changed it so far."""

    folder: Path
    servers: Mapping[str, str] = field(default_factory=dict)  # by what the pages call them
    environment: dict[str, str] = field(default_factory=dict)
    exit_code: int = 0
    scheduled: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.environment = {
            **os.environ,
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",  # as on a terminal, where lines come in their order
            "PYTEST_ADDOPTS": _NO_OTHER_PLUGINS,
        }

    def follow(self, block: Block) -> str:
        """Do what the block says; return it with what was really printed.

        Raises:
            AssertionError: something did not work.
        """
        text = self._on_our_server(block.text)
        if block.file:
            (self.folder / block.file).write_text(text)
        elif block.language == "python":
            (self.folder / "block.py").write_text(text)
            printed = self._run("python -W error block.py")
            assert self.exit_code == 0, printed
        elif block.language == "toml":
            self._configure(text)
        elif block.language == "console":
            return "".join(self._transcript(block.text))
        else:
            self.schedule(text)
        return block.text

    def _configure(self, text: str) -> None:
        """Read it as a file of its own: what commands see is what variables say."""
        folder = self.folder / "configured"
        folder.mkdir(exist_ok=True)
        (folder / "runguard.toml").write_text(text)
        if text.startswith(SAVED_CONFIGURATION):
            (self.folder / "runguard.toml").write_text(text)
        assert read_config({}, folder).problems == ()

    def _transcript(self, text: str) -> Iterator[str]:
        steps = list(_steps(text))
        for number, (command, shown) in enumerate(steps):
            following = steps[number + 1][0] if number + 1 < len(steps) else ""
            printed = self._do(self.at_our_places(self._on_our_server(command)))
            fails = _FAILS.search(shown) is not None or "$?" in following
            assert fails == (self.exit_code != 0), f"$ {command}\n{printed}"
            if EMBEDDED_STORE not in shown:  # the tutorial says that it leaves the warning out
                printed = re.sub(rf"^{EMBEDDED_STORE}.*\n", "", printed, flags=re.MULTILINE)
            same = not shown or _matches(shown, printed)
            yield f"$ {command}\n{shown if same else printed}"

    def _do(self, command: str) -> str:
        if variable := _VARIABLE.match(command):
            self.environment[variable[1]] = _as_a_shell_reads(variable[2])
            return ""
        if command.startswith(INSTALLS):
            return ""
        if command.startswith("make "):
            return self._run(f"make --dry-run --directory {ROOT} {command.removeprefix('make ')}")
        if command.startswith("runguard web") or "--watch" in command:
            return self._until_ctrl_c(command)
        return self._run(command)

    def _run(self, command: str) -> str:
        words = words_of(command)
        if words and words[0] == "python" and can_run(words[1:]):
            done = self._run_warm(words[1:])
        elif words and words[0] == "runguard":
            done = self._run_warm([f"{PROGRAMS}/runguard", *words[1:]])
        else:
            done = self._run_in_a_shell(command)
        self.exit_code = done.returncode
        printed = done.stdout.replace(self.environment["XDG_STATE_HOME"], "~/.local/state")
        printed = _OUR_HOST.sub(rf"\g<1>{READERS_HOST}", printed)
        return printed.replace(str(self.folder), READERS_FOLDER)

    def _run_in_a_shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"(exit {self.exit_code})\n{command}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def _run_warm(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return _warm_python().run(arguments, cwd=self.folder, env=self.environment, timeout=SECONDS)

    def _until_ctrl_c(self, command: str) -> str:
        if command.startswith("runguard web") and "--port" not in command:
            command += " --port 0"  # another test may serve at the usual one
        with subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            while (line := process.stdout.readline()).startswith(EMBEDDED_STORE):
                pass
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=SECONDS)
        self.exit_code = process.returncode
        return line + rest

    def schedule(self, text: str) -> None:
        """Run what a crontab or a service would run, with nothing but what those give it."""
        text = self.at_our_places(text)
        if saved := _SAVED_AS.match(text):
            (self.folder / saved[1].rpartition("/")[2]).write_text(text)
        if _CRON.search(text):
            self._run_crontab(text)
        elif service := _SERVICE.search(text):
            [file] = _ENVIRONMENT_FILE.findall(text)
            self.scheduled.append((service[1], SYSTEMD, file))
        else:
            assert saved, f"nothing is scheduled by, or saved of:\n{text}"
        for command, environment, file in [*self.scheduled]:
            if Path(file).exists():  # the page shows it below the service
                self.scheduled.remove((command, environment, file))
                variables = _variables_of(Path(file).read_text())
                assert self._run_bare(command, {**environment, **variables}) == ""

    def _run_crontab(self, text: str) -> None:
        for file in _SECRET_FILE.findall(text):
            self._make_secret_file(file)
        for command in _CRON.findall(text):
            assert "%" not in command.replace("\\%", ""), "cron takes % for a new line"
            mailed = self._run_bare(command, {**CRON, **_variables_of(text)})
            assert mailed == "", f"cron mails:\n{mailed}"

    def _run_bare(self, command: str, environment: dict[str, str]) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={"HOME": str(self.folder), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def _make_secret_file(self, file: str) -> None:
        if not Path(file).exists():
            Path(file).write_text(self.servers.get(SERVER) or f"sqlite:///{self.folder}/runs.db")

    def at_our_places(self, text: str) -> str:
        """Let the pages' folders be ours."""
        text = text.replace(PROGRAM, "/bin/true").replace("/opt/app/.venv/bin", PROGRAMS)
        for place in ("/etc/runguard/", "/var/lib/node_exporter/"):
            text = text.replace(place, f"{self.folder}/")
        return text

    def _on_our_server(self, text: str) -> str:
        for name in (SERVER, QUEUE, REDIS):
            if name in text:
                text = text.replace(name, self.servers[name])
        return text


@cache
def _warm_python() -> WarmPython:
    python = WarmPython()
    atexit.register(python.close)
    return python


def words_of(command: str) -> list[str] | None:
    """Return the words of a command that means the same without a shell, else None."""
    unquoted = re.sub(r"""'[^']*'|"[^"$`\\!]*\"""", "", command)
    return shlex.split(command) if re.fullmatch(r"[\w ./:=,@%+-]*", unquoted) else None


def _variables_of(text: str) -> dict[str, str]:
    return dict(found.groups() for line in text.splitlines() if (found := _VARIABLE.match(line)))


def _as_a_shell_reads(value: str) -> str:
    """Return the value without its quotes; fail where a shell would end it sooner, as at `&`."""
    words = shlex.shlex(value, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    read = list(words)
    assert len(read) == 1, f"expected one word of a shell, found {value}: put it in quotes"
    return read[0]


def _steps(text: str) -> Iterator[tuple[str, str]]:
    """Take a transcript apart: each command, and what it prints."""
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = step.partition("\n")
        yield command, shown


def _matches(shown: str, printed: str) -> bool:
    lines = [re.escape(line) + "\n" for line in _comparable(shown)]
    pattern = "".join(r"(?:.*\n)*?" if line == r"\.\.\." + "\n" else line for line in lines)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _comparable(printed))) is not None


def _comparable(text: str) -> list[str]:
    """The words of each line, without what differs from one time to the next."""
    text = re.sub(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ| \d\d:\d\d \w+)", "TIME", text)
    text = re.sub(r"\b\d+(\.\d)? (ms|s|min)\b( \d+ s\b)?|\b\d+\.\d\ds\b", "SO LONG", text)
    text = re.sub(r"\b\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\b\d+(\.\d)?/(s|min)\b", "SO FAST", text)
    return [" ".join(line.split()) for line in text.splitlines()]
