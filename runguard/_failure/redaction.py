"""The one door that every stored text passes: bounded, made harmless, redacted, then cut.

Linear on any input: the text is bounded before a pattern sees it, and every pattern either consumes
what it scans or scans a bounded piece. Secrets are found as spans of the unchanged text, so that no
rule hides another's context. The price of certainty: where a rule must guess, it hides too much.
"""

from __future__ import annotations

import dataclasses
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
_SHORTEST_TOKEN = 16  # of those that hold no digit: `AKIAABCDEFGHIJKL`

Extra = str | re.Pattern[str] | Callable[[str], str]


# --- Characters that break a terminal, a log line, or PostgreSQL. --------------------------------

_ODD = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"


@functools.cache
def _odd_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Compile: any odd character, escape sequences, line breaks, and what is left then."""
    strings = (
        r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    )
    sequences = rf"{strings}|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b[ -/]*+[0-~]"
    return (
        re.compile(f"[{_ODD}]"),
        re.compile(sequences),
        re.compile("\r\n|[\r\v\f\x85\u2028\u2029]"),
        re.compile(f"[{_ODD}]"),
    )


def harmless(text: str) -> str:
    """Drop escape sequences, keep line breaks as LF, show other odd characters as U+FFFD.

    A mark, not nothing: a NUL between two words must not join them into one.
    """
    odd, sequences, breaks, rest = _odd_patterns()
    if not odd.search(text):
        return text
    return rest.sub("\ufffd", breaks.sub("\n", sequences.sub("", text)))


@functools.cache
def _own_words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile: the mark of an earlier cut, and the placeholder of an earlier failure."""
    mark = re.compile(r" … \[cut: (\d{1,3}(?:,\d{3}){0,4}) more characters\]\Z")
    return mark, re.compile(
        r"\[runguard could not redact this text; [\d,]{1,32} characters withheld\]"
    )


def _split_mark(text: str) -> tuple[str, int]:
    """Take off the mark of an earlier cut, so that cleaning twice counts once."""
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


def _is_plain_word(text: str) -> bool:
    """Say whether a text is one short word of letters, which no built-in rule can match.

    Names and states are, and the log of a run that succeeds has nothing else.
    """
    return len(text) < _SHORTEST_TOKEN and text.isascii() and text.replace("_", "a").isalpha()


def _withheld(text: object, limit: int) -> str:
    try:
        size = f"{str.__len__(cast('str', text)):,}"
    except Exception:
        size = "all"
    return f"[runguard could not redact this text; {size} characters withheld]"[: max(0, limit)]


@dataclasses.dataclass(frozen=True, slots=True)
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

    extra: Sequence[Extra] = dataclasses.field(default=(), repr=False)
    _own: tuple[Rule, ...] = dataclasses.field(init=False, repr=False, compare=False)
    _functions: tuple[Callable[[str], str], ...] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Compile the user's patterns."""
        if isinstance(self.extra, str | bytes) or not isinstance(self.extra, Iterable):
            raise ConfigurationError(
                "redaction patterns: expected a list of regular expressions or functions, "
                f"found one {type(self.extra).__name__}: put it in a list"
            )
        rules: list[Rule] = []
        functions: list[Callable[[str], str]] = []
        object.__setattr__(self, "extra", tuple(self.extra))
        for index, entry in enumerate(self.extra):
            if callable(entry):
                functions.append(entry)
            else:
                pattern = _compile(entry, index)
                rules.append(_own_rule(f"pattern {index}", pattern))
        object.__setattr__(self, "_own", tuple(rules))
        object.__setattr__(self, "_functions", tuple(functions))

    def clean(self, text: str, *, limit: int = DEFAULT_LIMIT) -> str:
        """Return the text bounded, harmless, redacted, and at most `limit` bytes of UTF-8 long.

        Never raises: where a text cannot be redacted, the result says so and shows none of it.
        """
        try:
            if not self.extra and _is_plain_word(text) and len(text) <= limit:
                return text
            if _own_words()[1].fullmatch(text):
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
        spans: list[Span] = _rules().find_secrets(text, self._own)
        return spans


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
