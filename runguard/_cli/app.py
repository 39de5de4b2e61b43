"""The application: its commands, as Typer reads them."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from .._errors import RunguardError
from .._version import __version__
from .errors import tell
from .options import help_end
from .plain_values import read_plainly

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
_NUMBERS: Final = {
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
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
            read_plainly(command)
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
        read_plainly(self)
        self.commands = LazyCommands()

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = _expected_number(error.__cause__) or error.message
            raise
        except RunguardError as error:
            raise typer.Exit(tell(error, ctx.invoked_subcommand)) from error


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


def call() -> int:
    """Let Typer read this process's arguments; returns the exit code."""
    try:
        app(prog_name="runguard")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
