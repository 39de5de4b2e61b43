"""The application: its commands, and what its exit codes mean."""

from __future__ import annotations

import io
import keyword
import os
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from .._errors import ConfigurationError, RunguardError, SchemaOutOfDate, StoreUnavailable
from .._version import __version__
from .options import help_end
from .talk import say

# In the order of the help; each is a module of `commands` that is loaded when it is asked for.
COMMANDS: Final = (
    *(
        "demo",
        "doctor",
        "jobs",
        "runs",
        "alerts",
        "problems",
        "show",
        "explain",
        "resolve",
        "ack",
        "silence",
        "expect",
        "report",
        "metrics",
        "import",
        "unknowns",
    ),
    *("monitor", "notify", "reap", "prune", "web", "exec", "spool", "config", "db"),
)
# Whose role a command is for; those of no list are an operator's.
JOB_COMMANDS: Final = frozenset({"demo", "doctor", "exec", "monitor", "reap", "spool"})
MIGRATOR_COMMANDS: Final = frozenset({"db", "prune"})
NOT_ALLOWED: Final = "SQLSTATE 42501"
_NUMBERS: Final = {
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
}
EXIT_CODE_OF: Final[dict[type[RunguardError], int]] = {
    ConfigurationError: 2,
    StoreUnavailable: 3,
    SchemaOutOfDate: 4,
}


class LazyCommands(MutableMapping[str, Any]):
    """The commands by name: a module is imported when its command is looked up.

    Help and completion look up all of them, a call only its own.
    """

    def __init__(self) -> None:
        """Know the names."""
        self._made: dict[str, Any] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            command = typer.main.get_command(
                import_module(f"..commands.{_module_of(name)}", __name__).app
            )
            command.name = name
            self._made[name] = command
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)

    def __contains__(self, name: object) -> bool:
        return name in self._made


def _module_of(command: str) -> str:
    """Return the name of a command's module: no module may be called as a word of Python."""
    return f"{command}_" if keyword.iskeyword(command) else command


def _for_the_role(message: str, command: str | None) -> str:
    """Let the doctor that a refusal leads to judge the role by what was refused."""
    if NOT_ALLOWED not in message or command in JOB_COMMANDS:
        return message
    role = "migrator" if command in MIGRATOR_COMMANDS else "operator"
    return message.replace("`runguard doctor`", f"`runguard doctor --for {role}`")


def _expected_number(cause: Any) -> str | None:
    """Say of a number that Typer refused what was expected and found, as of any other value."""
    first: dict[str, Any] = next(iter(cause.errors()), {}) if hasattr(cause, "errors") else {}
    expected = _NUMBERS.get(first.get("type", ""))
    if expected is None:
        return None
    return f"expected {expected.format_map(first.get('ctx', {}))}, found {str(first['input'])!r}"


class _Group(TyperGroup):
    """Loads its commands late, and turns an error of runguard's own into one line and a code."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _expected_number(error.__cause__) or error.message
            raise
        except RunguardError as error:
            say(f"runguard: {_for_the_role(str(error), ctx.invoked_subcommand)}")
            codes = (code for kind, code in EXIT_CODE_OF.items() if isinstance(error, kind))
            raise typer.Exit(next(codes, 1)) from error


app = typer.Typer(
    name="runguard",
    cls=_Group,
    help="Every run of a job leaves a trace; every kind of failure raises exactly one alert.",
    epilog=help_end("runguard jobs", "runguard explain failed").strip(),
    no_args_is_help=True,
    rich_markup_mode=None,  # help is plain text: quick, and the same in a pipe
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - what Typer calls
    if asked:
        sys.stdout.write(f"runguard {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version of runguard.",
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def run() -> int:
    """Run the application on this process's arguments; returns its exit code."""
    # A terminal that cannot show a letter gets its code instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="runguard")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        _flush()
    return 0


def _flush() -> None:
    """Write what is buffered; a reader that has left early, as `head` does, is no error.

    Nor is a stderr that takes nothing any more: talk that nobody hears changes no exit code.
    """
    for stream, nobody_minds in ((sys.stdout, BrokenPipeError), (sys.stderr, OSError)):
        try:
            stream.flush()
        except nobody_minds:
            # The interpreter flushes once more at its end: nobody shall hear of that either.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
