"""The one door that every stored text passes: bounded, made harmless, redacted, then cut.

Linear on any input: the text is bounded before a pattern sees it, and every pattern either consumes
what it scans or scans a bounded piece. Secrets are found as spans of the unchanged text, so that no
rule hides another's context. The price of certainty: where a rule must guess, it hides too much.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, cast

from .._errors import ConfigurationError
from .hiding import DEFAULT_LIMIT, GUARD, HIDDEN, MARK_ROOM, without

if TYPE_CHECKING:
    from .secret_values import Rule, Span

_ROUNDS = 6
_SHORT = 200  # characters
_END_OF_MARK = " more characters]"
_SHORTEST_TOKEN = 16  # of those that hold no digit: `AKIAABCDEFGHIJKL`

Extra = str | re.Pattern[str] | Callable[[str], str]


def harmless(text: str) -> str:
    """Drop escape sequences, keep line breaks as LF, show other odd characters as U+FFFD.

    A mark, not nothing: a NUL between two words must not join them into one.
    """
    if text.replace("\n", "").isprintable():  # as most texts are
        return text
    from .odd_characters import without_odd

    return without_odd(text)


@functools.cache
def _own_words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile: the mark of an earlier cut, and the placeholder of an earlier failure."""
    mark = re.compile(r" … \[cut: (\d{1,3}(?:,\d{3}){0,4}) more characters\]\Z")
    return mark, re.compile(
        r"\[runguard could not redact this text; [\d,]{1,32} characters withheld\]"
    )


def _split_mark(text: str) -> tuple[str, int]:
    """Take off the mark of an earlier cut, so that cleaning twice counts once."""
    if not text.endswith(_END_OF_MARK):
        return text, 0
    found = _own_words()[0].search(text, max(0, len(text) - MARK_ROOM))
    return (text[: found.start()], int(found[1].replace(",", ""))) if found else (text, 0)


def _mark(dropped: int, limit: int) -> str:
    """Say how much was cut, where the limit has room for it."""
    if not dropped or limit < MARK_ROOM:
        return ""
    return f" … [cut: {min(dropped, 10**15 - 1):,} more characters]"


def _cut(text: str, limit: int) -> str:
    """Cut at `limit` bytes of UTF-8, never inside a character or a `[redacted]`."""
    kept = text.encode()[: max(0, limit)].decode(errors="ignore")
    start = text.rfind(HIDDEN, max(0, len(kept) - len(HIDDEN)), len(kept) + len(HIDDEN) - 1)
    return kept[:start] if 0 <= start < len(kept) < start + len(HIDDEN) else kept


def _stays(text: str) -> bool:
    """Say whether no built-in rule can match: see also `is_bare`, which is asked of longer ones."""
    if len(text) < _SHORTEST_TOKEN and text.isascii() and text.replace("_", "a").isalpha():
        return True  # as names and states: the log of a run that succeeds has nothing else
    is_whole = type(text) is str and len(text) <= _SHORT and not text.endswith(_END_OF_MARK)
    return is_whole and text.isprintable() and bool(_rules().is_bare(text))


def _withheld(text: object, limit: int) -> str:
    try:
        size = f"{str.__len__(cast('str', text)):,}"
    except Exception:
        size = "all"
    return f"[runguard could not redact this text; {size} characters withheld]"[: max(0, limit)]


class Redactor:
    """Cleans every text that runguard stores; immutable, safe to share between threads.

    Args:
        extra: The user's own secrets. A regular expression hides its group `secret`, or all that it
            matches; a function gets the bounded text and returns it redacted.

    Raises:
        ConfigurationError: An entry is none of these, or does not compile.

    >>> Redactor().clean("cannot reach postgresql://app:hunter2@db/sales")
    'cannot reach postgresql://app:[redacted]@db/sales'
    """

    __slots__ = ("_extra", "_functions", "_own")

    def __init__(self, extra: Sequence[Extra] = ()) -> None:
        if isinstance(extra, str | bytes) or not isinstance(extra, Iterable):
            raise ConfigurationError(
                "redaction patterns: expected a list of regular expressions or functions, "
                f"found one {type(extra).__name__}: put it in a list"
            )
        rules: list[Rule] = []
        functions: list[Callable[[str], str]] = []
        self._extra = tuple(extra)
        for index, entry in enumerate(self._extra):
            if callable(entry):
                functions.append(entry)
            else:
                rules.append(_own_rule(f"pattern {index}", _compile(entry, index)))
        self._own = tuple(rules)
        self._functions = tuple(functions)

    @property
    def extra(self) -> tuple[Extra, ...]:
        """The user's own patterns and functions."""
        return self._extra

    def clean(self, text: str, *, limit: int = DEFAULT_LIMIT) -> str:
        """Return the text bounded, harmless, redacted, and at most `limit` bytes of UTF-8 long.

        Never raises: where a text cannot be redacted, the result says so and shows none of it.
        """
        try:
            if not self._extra and len(text) <= limit and _stays(text):
                return text
            if text.startswith("[runguard ") and _own_words()[1].fullmatch(text):
                return text[: max(0, limit)]
            return self._clean(text, limit)
        except Exception:
            return _withheld(text, limit)

    def clean_json(self, value: object, *, characters: int = 4 * DEFAULT_LIMIT) -> object:
        """Return the value as cleaned, bounded JSON; what JSON has no type for becomes text.

        Values under secret names (`password`, `api_key`, `authorization`, …) are replaced. Never
        raises.
        """
        from .clean_json import JsonWalk

        return JsonWalk(self, characters).walk(value, 0)

    def _clean(self, text: str, limit: int) -> str:
        body, dropped = _split_mark(text)
        room = limit + GUARD
        window = harmless(body[: 4 * room])  # escape sequences may shrink it
        for function in self._functions:
            window = harmless(str.__str__(function(window)))
        safe = len(window)
        if len(body) > 4 * room or len(window) > room:
            safe = max(0, min(room, len(window)) - GUARD)
            dropped += max(0, len(body) - 4 * room) + len(window) - safe
            window = window[:room]
        shown = self._hide(window, safe)
        # Hiding and cutting change what stands beside what: done when nothing more happens.
        for _ in range(_ROUNDS):
            kept, dropped = self._fit(shown, dropped, limit)
            if kept == window and safe == len(window):
                return kept + _mark(dropped, limit)
            shown = self._hide(kept, len(kept))
            if shown == kept:
                return kept + _mark(dropped, limit)
        raise RuntimeError("the text does not settle")

    @staticmethod
    def _fit(text: str, dropped: int, limit: int) -> tuple[str, int]:
        """Cut the text so that it and its mark fit; count what was cut."""
        if len(text.encode()) + len(_mark(dropped, limit).encode()) <= limit:
            return text, dropped
        kept = _cut(text, limit - MARK_ROOM if limit >= MARK_ROOM else limit)
        return kept, dropped + len(text) - len(kept)

    def _hide(self, text: str, end: int) -> str:
        """Replace every secret of `text` that begins before `end`; return the text up to there."""
        return without(text, self.secrets_in(text), end)

    def secrets_in(self, text: str) -> list[Span]:
        """Return where the secrets of a bounded text lie, in any order."""
        return cast("list[Span]", _rules().find_secrets(text, self._own))


@functools.cache
def _rules() -> ModuleType:
    """Load the rules when the first text needs them: a run that succeeds does without."""
    from . import redaction_rules

    return redaction_rules


def _own_rule(name: str, pattern: re.Pattern[str]) -> Rule:
    """Make a rule of a user's pattern."""
    from .secret_values import named_or_whole, pattern_rule

    return pattern_rule(name, "", pattern, named_or_whole, lowered=False)


def _compile(entry: object, index: int) -> re.Pattern[str]:
    """Compile one entry. The message never shows the pattern: it may hold the secret itself."""
    expected = f"redaction pattern {index}: expected a regular expression for text, or a function"
    pattern = entry.pattern if isinstance(entry, re.Pattern) else entry
    if not isinstance(pattern, str):
        raise ConfigurationError(f"{expected}, found one of type {type(pattern).__name__}")
    try:
        return re.compile(entry) if isinstance(entry, str) else cast("re.Pattern[str]", entry)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            f"{expected}, found one that does not compile: {error} "
            "(use re.escape() for a literal text)"
        ) from None
