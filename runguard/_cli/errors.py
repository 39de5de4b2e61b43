"""An error of runguard's own as one line and an exit code, and by the name that was typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .._errors import ConfigurationError, RunguardError, SchemaOutOfDate, StoreUnavailable
from .talk import say

# Whose role a command is for; those of no list are an operator's.
JOB_COMMANDS: Final = frozenset({"demo", "doctor", "exec", "monitor", "reap", "spool"})
MIGRATOR_COMMANDS: Final = frozenset({"db", "prune"})
NOT_ALLOWED: Final = "SQLSTATE 42501"
EXIT_CODE_OF: Final[dict[type[RunguardError], int]] = {
    ConfigurationError: 2,
    StoreUnavailable: 3,
    SchemaOutOfDate: 4,
}


def tell(error: RunguardError, command: str | None) -> int:
    """Say what kept a command from its work; return the exit code."""
    say(f"runguard: {_for_the_role(str(error), command)}")
    codes = (code for kind, code in EXIT_CODE_OF.items() if isinstance(error, kind))
    return next(codes, 1)


@contextmanager
def named_as_options() -> Iterator[None]:
    """Let an error that begins with a field's name begin with the option's."""
    try:
        yield
    except ConfigurationError as error:
        field, _, problem = str(error).partition(":")
        raise ConfigurationError(f"--{field.replace('_', '-')}:{problem}") from None


def _for_the_role(message: str, command: str | None) -> str:
    """Let the doctor that a refusal leads to judge the role by what was refused."""
    if NOT_ALLOWED not in message or command in JOB_COMMANDS:
        return message
    role = "migrator" if command in MIGRATOR_COMMANDS else "operator"
    return message.replace("`runguard doctor`", f"`runguard doctor --for {role}`")
