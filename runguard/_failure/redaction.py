"""The one door that every stored text passes: bounded, made harmless, redacted, then cut.

Linear on any input: the text is bounded before a pattern sees it, and every pattern either consumes
what it scans or scans a bounded piece. Secrets are found as spans of the unchanged text, so that no
rule hides another's context. The price of certainty: where a rule must guess, it hides too much.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from enum import Enum
from types import ModuleType
from typing import TYPE_CHECKING, cast

from .._errors import ConfigurationError

if TYPE_CHECKING:
    from .secret_values import Rule, Span

HIDDEN = "[redacted]"
"""What stands where a secret was."""

DEFAULT_LIMIT = 16 * 1024
"""Bytes of UTF-8 that a stored text may have."""

# A secret that starts this near to the end of a bounded text may lack the context that betrays it,
# so this much is dropped. Longer than the longest look ahead of any rule (a URL's userinfo).
_GUARD = 8 * 1024
_ROUNDS = 6
_MARK_ROOM = 64
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
    found = _own_words()[0].search(text, max(0, len(text) - _MARK_ROOM))
    return (text[: found.start()], int(found[1].replace(",", ""))) if found else (text, 0)


def _mark(dropped: int, limit: int) -> str:
    """Say how much was cut, where the limit has room for it."""
    if not dropped or limit < _MARK_ROOM:
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

    def clean_json(self, value: object) -> object:
        """Return the value as cleaned, bounded JSON; what JSON has no type for becomes text.

        Values under secret names (`password`, `api_key`, `authorization`, …) are replaced. Never
        raises.
        """
        return _JsonWalk(self).walk(value, 0)

    def _clean(self, text: str, limit: int) -> str:
        body, dropped = _split_mark(text)
        room = limit + _GUARD
        window = harmless(body[: 4 * room])  # escape sequences may shrink it
        for function in self._functions:
            window = harmless(str.__str__(function(window)))
        safe = len(window)
        if len(body) > 4 * room or len(window) > room:
            safe = max(0, min(room, len(window)) - _GUARD)
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
        kept = _cut(text, limit - _MARK_ROOM if limit >= _MARK_ROOM else limit)
        return kept, dropped + len(text) - len(kept)

    def _hide(self, text: str, end: int) -> str:
        """Replace every secret of `text` that begins before `end`; return the text up to there."""
        return _without(text, self.secrets_in(text), end)

    def secrets_in(self, text: str) -> list[Span]:
        """Return where the secrets of a bounded text lie, in any order."""
        spans: list[Span] = _rules().find_secrets(text, self._own)
        return spans


@functools.cache
def _rules() -> ModuleType:
    """Load the rules when the first text needs them: a run that succeeds does without."""
    from . import redaction_rules

    return redaction_rules


def _without(text: str, spans: list[Span], end: int) -> str:
    """Put the placeholder where the spans are that begin before `end`; drop what is behind it."""
    pieces, at = [], 0
    for start, stop in _merged(spans):
        if start >= end:
            break
        pieces += [text[at:start], HIDDEN]
        at = stop
    return "".join([*pieces, text[at:end]])


def _merged(spans: list[Span]) -> Iterator[Span]:
    """Join spans that overlap or touch."""
    if not spans:
        return
    spans.sort()
    start, stop = spans[0]
    for left, right in spans[1:]:
        if left <= stop:
            stop = max(stop, right)
        else:
            yield start, stop
            start, stop = left, right
    yield start, stop


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


class _JsonWalk:
    """One walk through a value, with what is left of its bounds."""

    DEPTH = 12
    LONGEST_KEY = 256
    LONGEST_TOGETHER = 1024
    MOST_TOGETHER = 100

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.items = 1000
        self.characters = 4 * DEFAULT_LIMIT
        self.path: set[int] = set()

    def walk(self, value: object, depth: int) -> object:
        """Return the value as JSON, or a text that says why not."""
        try:
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, Enum):
                return self.walk(value.value, depth)
            if isinstance(value, int):
                return _integer(value)
            if isinstance(value, float):
                return (
                    float.__float__(value) if math.isfinite(value) else str(float.__float__(value))
                )
            if isinstance(value, str | bytes | bytearray | memoryview):
                return self.text(_as_text(value))
            if isinstance(value, Mapping | Sequence | set | frozenset) or _is_record(value):
                return self._container(value, depth)
            return self.text(_as_text(value))
        except BaseException:  # hostile code may raise anything
            return f"[runguard could not show a value of type {type(value).__name__[:64]}]"

    def text(self, text: str, *, limit: int = DEFAULT_LIMIT) -> str:
        """Clean a text, as far as the bound on all texts together allows."""
        limit = min(limit, max(self.characters, _MARK_ROOM))
        self.characters -= min(len(text), limit + _GUARD)  # what it costs, not what it shows
        return self.redactor.clean(text, limit=limit)

    def _container(self, value: object, depth: int) -> object:
        if id(value) in self.path:
            return "[runguard cut this: it contains itself]"
        if depth >= self.DEPTH:
            return "[runguard cut this: nested too deep]"
        self.path.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value.items(), len(value), depth)
            if _is_record(value):
                fields = dataclasses.fields(cast("type", value))
                pairs = [(field.name, getattr(value, field.name)) for field in fields]
                return self._mapping(pairs, len(pairs), depth)
            if isinstance(value, set | frozenset):  # an order that does not depend on the process
                some = itertools.islice(value, self.items)
                return self._list(sorted(some, key=str), len(value), depth)
            sequence = cast("Sequence[object]", value)
            return self._list(sequence, len(sequence), depth)
        finally:
            self.path.discard(id(value))

    def _mapping(
        self, pairs: Iterable[tuple[object, object]], size: int, depth: int
    ) -> dict[str, object]:
        is_secret, is_harmless = _rules().is_secret_key, _rules().is_harmless
        cleaned: dict[str, object] = {}
        pairs = list(itertools.islice(pairs, self.items + 1))
        shorter = self._hide_together(pairs)
        for shown, (key, value) in enumerate(pairs):
            if self.items <= 0 or self.characters <= 0:
                cleaned["…"] = f"[cut: {size - shown:,} more items]"
                break
            self.items -= 1
            raw = key if isinstance(key, str) else str(self.walk(key, self.DEPTH))
            name = self.text(raw, limit=self.LONGEST_KEY)
            while name in cleaned:
                name += "'"
            if value is None or isinstance(value, bool):
                cleaned[name] = value
            elif is_secret(raw[-self.LONGEST_KEY :]) and not (
                isinstance(value, str) and is_harmless(raw, value)
            ):
                cleaned[name] = HIDDEN
            else:
                cleaned[name] = self.walk(shorter.get(shown, value), depth + 1)
        return cleaned

    def _list(self, values: Iterable[object], size: int, depth: int) -> list[object]:
        cleaned: list[object] = []
        values = list(itertools.islice(values, self.items + 1))
        shorter = self._hide_together([(None, value) for value in values])
        for shown, value in enumerate(values):
            if self.items <= 0 or self.characters <= 0:
                cleaned.append(f"[cut: {size - shown:,} more items]")
                break
            self.items -= 1
            cleaned.append(self.walk(shorter.get(shown, value), depth + 1))
        return cleaned

    def _hide_together(self, pairs: list[tuple[object, object]]) -> dict[int, str]:
        """Hide what only its neighbours betray: `["redis-cli", "-a", "x"]`, `{"name": "token", …}`.

        The items are written down as Python shows them, and the text's rules are asked. Returns the
        items that changed, by their number.
        """
        written = "{" if pairs and pairs[0][0] is not None else "["
        places: list[tuple[int, str, int, int]] = []
        for number, (key, value) in enumerate(pairs):
            if not isinstance(value, str) or len(value) > self.LONGEST_TOGETHER:
                continue
            if len(places) == self.MOST_TOGETHER or len(written) > DEFAULT_LIMIT:
                break
            if key is not None:
                written += f"{str(key)[: self.LONGEST_KEY]!r}: "
            shown = repr(str.__str__(value))
            places.append((number, value, len(written) + 1, len(written) + len(shown) - 1))
            written += shown + ", "
        if not places:
            return {}
        spans = self.redactor.secrets_in(written[:-2] + ("}" if written[0] == "{" else "]"))
        changed = {}
        for number, value, start, stop in places:
            inside = [
                (max(left, start) - start, min(right, stop) - start)
                for left, right in spans
                if left < stop and right > start and (left >= start - 4 or self._spreads(written))
            ]
            if inside:
                plain = written[start:stop] == value
                changed[number] = _without(value, inside, len(value)) if plain else HIDDEN
        return changed

    @staticmethod
    def _spreads(written: str) -> bool:
        """Say whether one secret may go through several items: the lines of a private key."""
        return "-----BEGIN" in written


def _is_record(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _integer(value: int) -> int | str:
    """Keep what a bigint holds; show larger numbers as text."""
    plain = int.__index__(value)
    if plain.bit_length() < 64:
        return plain
    return str(plain) if plain.bit_length() < 4096 else f"[a number of {plain.bit_length():,} bits]"


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: 4 * DEFAULT_LIMIT]).decode(errors="backslashreplace")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value)
