"""Values as cleaned, bounded JSON: what `Redactor.clean_json` does. Loaded where one is given."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from enum import Enum
from typing import TYPE_CHECKING, Protocol, cast

from .hiding import DEFAULT_LIMIT, GUARD, HIDDEN, MARK_ROOM, without
from .redaction_rules import is_harmless, is_secret_key

if TYPE_CHECKING:
    from .secret_values import Span


class Cleaner(Protocol):
    """What a redactor does with texts."""

    def clean(self, text: str, *, limit: int) -> str: ...
    def secrets_in(self, text: str) -> list[Span]: ...


class JsonWalk:
    """One walk through a value, with what is left of its bounds."""

    DEPTH = 12
    LONGEST_KEY = 256
    LONGEST_TOGETHER = 1024
    MOST_TOGETHER = 100

    def __init__(self, redactor: Cleaner, characters: int) -> None:
        self.redactor = redactor
        self.items = 1000
        self.characters = characters
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
        limit = min(limit, max(self.characters, MARK_ROOM))
        self.characters -= min(len(text), limit + GUARD)  # what it costs, not what it shows
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
            elif is_secret_key(raw[-self.LONGEST_KEY :]) and not (
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
                changed[number] = without(value, inside, len(value)) if plain else HIDDEN
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
