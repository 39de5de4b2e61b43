"""Reading the tables of a TOML file: each value by its type, each mistake as a sentence.

No sentence repeats a value that may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Final, TypeVar

from .._errors import ConfigurationError, did_you_mean
from .._monitor.filters import read_duration

Value = TypeVar("Value")

A_LENGTH: Final = 'a duration such as "90s", "30m", "4h" or "2h30m"'
LONGEST_SHOWN: Final = 60

_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (str, "a text"),
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a table"),
)


class Table:
    """A table of a configuration file, whose mistakes are collected.

    Args:
        content: What stands in it.
        name: Its key in the file, with a dot at its end; empty for the file itself.
        file: Of what the sentences say that it is wrong.
        problems: Where the sentences go.
    """

    def __init__(
        self, content: Mapping[str, object], *, name: str, file: str, problems: list[str]
    ) -> None:
        self._content = content
        self._name = name
        self._file = file
        self._problems = problems
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def get(self, key: str) -> object:
        """Return a value as it stands; None where there is none."""
        return self._content.get(key)

    @property
    def mistakes(self) -> int:
        """How many mistakes were noted so far, in the whole file."""
        return len(self._problems)

    def wrong(self, key: str, expected: str, found: str) -> None:
        """Note that a value is wrong."""
        self._problems.append(
            f"{self._file}: {self._name}{key}: expected {expected}, found {found}"
        )

    def refuse(self, error: ConfigurationError) -> None:
        """Note an error whose message begins with the key."""
        self._problems.append(f"{self._file}: {self._name}{error}")

    def wrong_itself(self, expected: str, found: str) -> None:
        """Note that the table is wrong."""
        name = self._name.removesuffix(".")
        self._problems.append(f"{self._file}: {name}: expected {expected}, found {found}")

    def text(self, key: str, *, expected: str = "a text") -> str | None:
        """Read a text that is not empty."""
        value = self._take(key)
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        self.wrong(key, expected, "an empty text" if isinstance(value, str) else kind_of(value))
        return None

    def read(self, key: str, read: Callable[[str], Value], *, expected: str) -> Value | None:
        """Read a text that means something else; `read` raises ValueError where it does not."""
        text = self.text(key, expected=expected)
        if text is None:
            return None
        try:
            return read(text)
        except ConfigurationError as error:
            self.refuse(ConfigurationError(f"{key}: {error}"))
            return None
        except ValueError:
            self.wrong(key, expected, _shown(text))
            return None

    def duration(self, key: str) -> timedelta | None:
        """Read a duration."""
        return self.read(key, read_duration, expected=A_LENGTH)

    def flag(self, key: str) -> bool:
        """Read true or false, which is the default."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.wrong(key, "true or false", kind_of(value))
        return False

    def number(self, key: str) -> int | None:
        """Read a whole number."""
        value = self._take(key)
        if value is None or type(value) is int:
            return value
        self.wrong(key, "a whole number", kind_of(value))
        return None

    def texts(self, key: str, *, expected: str = "a text, or a list of texts") -> tuple[str, ...]:
        """Read a text or several; none where the key is not there."""
        value = self._take(key)
        listed = [value] if isinstance(value, str) else value
        if listed is None:
            return ()
        if isinstance(listed, list) and all(isinstance(one, str) and one for one in listed):
            return tuple(listed)
        found = "a list with something else in it" if isinstance(listed, list) else kind_of(value)
        self.wrong(key, expected, found)
        return ()

    def words(self, key: str, known: Iterable[str], *, patterns: bool = False) -> tuple[str, ...]:
        """Read a text or several of those that are known, or patterns of them."""
        names = [str(one) for one in known]
        words = self.texts(key)
        for word in words:
            if word not in names and not (patterns and any(sign in word for sign in "*?[")):
                near = did_you_mean(word, names) or did_you_mean(word.upper(), names)
                expected = f"one of {', '.join(names)}" if names else "none, as there are none"
                self.wrong(key, expected, f"{_shown(word)}{near}")
        return words

    def tables(self, key: str) -> Iterator[Table]:
        """Read the tables that are written `[[key]]`."""
        value = self._take(key)
        if value is None:
            return
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.wrong(key, f"tables written [[{self._name}{key}]]", kind_of(value))
            return
        for number, one in enumerate(value, 1):
            yield self._below(one, f"{key}[{number}]")

    def table(self, key: str) -> Table:
        """Read the table that is written `[key]`; an empty one where there is none."""
        value = self._take(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, f"a table written [{self._name}{key}]", kind_of(value))
            value = None
        return self._below(value or {}, key)

    def named_tables(self) -> Iterator[tuple[str, Table]]:
        """Read this table as one whose every value is a table."""
        for key, value in self._content.items():
            table = self.table(key)
            if isinstance(value, dict):
                yield key, table

    def end(self) -> None:
        """Note each key that nobody asked for."""
        for key in self._content:
            if key not in self._known:
                near = did_you_mean(key, self._known)
                self._problems.append(
                    f"{self._file}: {self._name}{_shown(key)[1:-1]}: unknown{near}"
                )

    def _below(self, content: Mapping[str, object], key: str) -> Table:
        return Table(content, name=f"{self._name}{key}.", file=self._file, problems=self._problems)

    def _take(self, key: str) -> object:
        self._known.append(key)
        return self._content.get(key)


def kind_of(value: object) -> str:
    """Say what kind of value it is, and not which."""
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "a time")


def _shown(text: str) -> str:
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return repr(shown)
