"""A secret that one line betrays is one in all lines of a text, and of the texts beside it.

`connecting with password=hunter2` says what `invalid literal for int(): 'hunter2'` does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from .hiding import HIDDEN
from .lazy_pattern import lazy

if TYPE_CHECKING:
    from .secret_values import Span

_LOOKED_AT: Final = 128 * 1024  # characters: as much as the longest of these texts
_SHORTEST: Final = 6  # of a value that is hidden wherever it stands: `admin` stands in many paths
_LONGEST: Final = 256  # longer ones are known by their shape
_MOST: Final = 200
_QUOTED: Final = lazy(r"'([^'\\\n]{6,256})'|\"([^\"\\\n]{6,256})\"")


class Cleaner(Protocol):
    """What a redactor does with texts."""

    def clean(self, text: str, *, limit: int) -> str: ...
    def secrets_in(self, text: str) -> list[Span]: ...


class Throughout:
    """Cleans the texts of one failure, and remembers what it has hidden."""

    def __init__(self, redactor: Cleaner) -> None:
        """Know no secret yet."""
        self._redactor = redactor
        self._known: dict[str, None] = {}

    def clean(self, text: str, *, limit: int) -> str:
        """Clean a text; hide what this or an earlier one has betrayed, wherever it stands."""
        cleaned = self._redactor.clean(text, limit=limit)
        if cleaned != text:
            for secret in _hidden(text, cleaned) or self._found(text[:_LOOKED_AT]):
                self._learn(secret)
        return self.hide(cleaned)

    def hide(self, text: str) -> str:
        """Hide what is known by now in a text that was cleaned before."""
        if not self._known:
            return text
        values = sorted(self._known, key=len, reverse=True)
        return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, values))})(?!\w)", HIDDEN, text)

    def _found(self, text: str) -> list[str]:
        return [text[start:stop] for start, stop in self._redactor.secrets_in(text)]

    def _learn(self, secret: str) -> None:
        value = secret.strip(" \t\n'\"()[]{},;")
        if len(secret) <= _LONGEST:
            self._add(value)
        # Of a list of values each one: the parameters of a statement.
        for found in _QUOTED.finditer(secret[: 64 * _LONGEST]):
            literal = found[1] or found[2]
            is_a_name = literal.isidentifier() and not any(map(str.isdigit, literal))
            if not is_a_name:
                self._add(literal)

    def _add(self, value: str) -> None:
        if len(value) >= _SHORTEST and len(self._known) < _MOST and HIDDEN not in value:
            self._known[value] = None


def _hidden(text: str, cleaned: str) -> list[str]:
    """Return what placeholders stand for; nothing where more has changed than these.

    >>> _hidden("password=hunter2 at db", "password=[redacted] at db")
    ['hunter2']
    """
    first, *parts = cleaned.split(HIDDEN)
    if not parts or not text.startswith(first) or not text.endswith(parts[-1]):
        return []
    secrets, at = [], len(first)
    for part in parts[:-1]:
        if not part or (found := text.find(part, at)) < 0:
            return []
        secrets.append(text[at:found])
        at = found + len(part)
    end = len(text) - len(parts[-1])
    return [*secrets, text[at:end]] if at <= end else []
