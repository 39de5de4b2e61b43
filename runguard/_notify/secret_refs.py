"""References to secrets: `env:NAME` and `file:/path`, so that no file has to hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from .._errors import ConfigurationError
from .._frozen import frozen
from .._secret_file import read_text

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ENV: Final = "env:"
_FILE: Final = "file:"


@frozen
class SecretReader:
    """Gives the text that a reference stands for.

    Args:
        environ: Where `env:NAME` is looked up.
    """

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, text: str) -> str:
        """Return what `env:NAME` or `file:/path` stands for, and any other text as it is.

        Raises:
            ConfigurationError: nothing is there; the message names the variable or the file.
        """
        problem = problem_of(text)
        if problem is not None:
            raise ConfigurationError(problem)
        if text.startswith(_ENV):
            name = text.removeprefix(_ENV)
            value = self.environ.get(name, "").strip()
            if not value:
                raise ConfigurationError(
                    f"{text}: expected a value in the variable {name}, found none: set it where"
                    " alerts are sent"
                )
            return value
        if text.startswith(_FILE):
            value = read_text(_path_of(text), source=text).strip()
            if not value:
                raise ConfigurationError(f"{text}: expected a secret, found an empty file")
            return value
        return text


def is_reference(text: str) -> bool:
    """Whether a text stands for another one.

    >>> is_reference("env:ONCALL_URL"), is_reference("https://hooks.example/rg")
    (True, False)
    """
    return text.startswith((_ENV, _FILE))


def problem_of(text: str) -> str | None:
    """Say what is wrong with a text as a reference; None where nothing is, or where it is none."""
    if text.startswith(_ENV) and not _NAME.fullmatch(text.removeprefix(_ENV)):
        return "expected env: and the name of a variable, found something else behind env:"
    if text.startswith(_FILE) and not _path_of(text).startswith("/"):
        return "expected file: and an absolute path, found something else behind file:"
    return None


def _path_of(text: str) -> str:
    path = text.removeprefix(_FILE)
    return path.removeprefix("//") if path.startswith("///") else path
