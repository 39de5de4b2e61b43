"""What texts say of a timeout, and where the word is only a name.

`timeout` and `timed out` decide nothing where every occurrence is a name: an identifier in the
interpreter's own words, an option with its value, a column in a database's message, a field of a
validation error. Of each occurrence only its neighbourhood is looked at.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from . import timeout_words as words
from . import word_stems as stems

HINTS: Final = ("time", "sqlstate")
"""Besides the stems of `SAID_OTHERWISE`: one stands in each folded text that tells a timeout."""
_WINDOW: Final = 160  # characters on each side of an occurrence
_MOST_NAMES: Final = 1024  # occurrences that are looked at before the next one counts
_LONGEST_WORDS: Final = 40
_WORD: Final = r"[\w.$-]{0,80}"
_QUOTED_WORD: Final = r"\s*[\"'`][\w.:$-]{1,80}[\"'`]\s*"


def timeout_in(text: str) -> str | None:
    """Return the words by which a text speaks of a timeout, or None.

    >>> timeout_in("Read timed out. (read timeout=5)")
    'timed out'
    >>> timeout_in("rpc error: code = DeadlineExceeded")
    'DeadlineExceeded'
    >>> timeout_in("KeyError: 'timeout'") is None
    True
    """
    lower = text.lower()
    if "sqlstate" in lower and _pattern(words.OTHER_SQLSTATE).search(text):
        return None
    plain = stems.folded(text)
    if "time" in plain:  # as in each of the plain words
        for count, found in enumerate(_pattern(words.PLAIN).finditer(text)):
            if count == _MOST_NAMES or not _is_name(text, *found.span()):
                return found[0].lower()
    if lower.isascii() and not stems.holds_any(words.HINTS, lower):
        return None
    first = None
    for number in stems.SAID_OTHERWISE.rows_in(plain):
        for found in _pattern(words.SAID_OTHERWISE[number]).finditer(text):
            if _is_about_a_name(text, *found.span()):
                continue
            if first is None or found.start() < first.start():
                first = found
            break
    return None if first is None else _shown(first[0])


def _shown(said: str) -> str:
    """Show the words; of a long sentence its beginning, since its middle is the text's own."""
    said = " ".join(said.split())
    return said if len(said) <= _LONGEST_WORDS else " ".join(said.split(" ")[:2]) + " \u2026"


def _is_name(text: str, start: int, end: int) -> bool:
    """Whether this occurrence of the plain word names something, and tells of no event."""
    before = text[max(0, start - _WINDOW) : start]
    after = text[end : end + _WINDOW]
    head = _pattern(rf"{_WORD}\Z").search(before)
    tail = _pattern(_WORD).match(after)
    assert head is not None  # noqa: S101 - both match the empty text
    assert tail is not None  # noqa: S101
    token = f"{head[0]}{text[start:end]}{tail[0]}"
    around = before[: head.start()], after[tail.end() :]
    if _is_path(token, around[0]) or _is_in_a_frame(before, after):
        return True
    if "_" not in text[start:end] and " " in text[start:end]:  # `timed out` is a sentence's
        return _is_about_a_name(text, start, end)
    if around[0].endswith(("#", "!", "@", "`")):  # a selector, a tag, a decorator, code
        return True
    if token.startswith(("-", "$")) or _pattern(words.ACCESSOR).search(token.rstrip(".")):
        return True
    if _pattern(r"(?<!\w)-{1,2}[\w-]+[ =]\Z").search(around[0]) and token.isupper():
        return True  # `--timeout TIMEOUT` of a usage line
    if _is_assigned(before, around[1], tail[0]):
        return not _pattern(words.EVENT_AFTER).match(around[1])
    return _is_a_command(text[start:end], around, head[0], tail[0]) or _is_about_a_name(
        text, start, end
    )


def _is_path(token: str, before: str) -> bool:
    if _pattern(words.FILE_ENDING).search(token):
        return True
    root = before.rpartition(" ")[2].rpartition("\n")[2].lstrip("\"'`([{<=,:")
    return before.endswith(("/", "\\")) and (
        root.startswith(("/", "~", ".", "\\")) or "://" in root or root.count("/") > 1
    )


def _is_in_a_frame(before: str, after: str) -> bool:
    line = before.rpartition("\n")[2] + after.partition("\n")[0]
    return _pattern(words.FRAME).match(line) is not None


def _is_assigned(before: str, after: str, tail: str) -> bool:
    """Whether a value follows: `connect_timeout=10`, `"read_timeout": 5`, `{timeout: 30`."""
    if _pattern(words.ASSIGNED).match(after) or _pattern(words.OBJECT).match(after):
        return True
    keyed = _pattern(words.KEYED).match(after)
    if keyed is None or tail.lower().endswith(("error", "exception")):
        return False
    is_of_many = _pattern(words.KEYED_AFTER).match(after, keyed.end() - 1)
    return is_of_many is not None or _pattern(words.KEYED_BEFORE).search(before) is not None


def _is_a_command(said: str, around: tuple[str, str], head: str, tail: str) -> bool:
    return bool(
        said == "timeout"
        and not tail
        and head in ("", "g")
        and _pattern(words.COMMAND).match(around[1])
        and _pattern(words.COMMAND_BEFORE).search(around[0])
    )


def _is_about_a_name(text: str, start: int, end: int) -> bool:
    """Whether the statement around speaks of an identifier."""
    if _pattern(_QUOTED_WORD).fullmatch(text):  # all that a KeyError says
        return True
    line = text.rfind("\n", max(0, start - _WINDOW), start) + 1 or max(0, start - _WINDOW)
    before, after = text[line:start], text[end : end + _WINDOW]
    is_named = any(_pattern(said).search(before) for said in words.NAMED_BEFORE)
    if is_named or any(_pattern(said).match(after) for said in words.NAMED_AFTER):
        return not _pattern(words.EVENT_AFTER).match(after)
    if not re.match(r"[\w.-]{0,40}\S", after) and _pattern(words.LAST_NAME).search(before):
        return True
    alone = re.fullmatch(r"[\w.]{0,80}", before) is not None
    return alone and _pattern(rf"[\w.]{{0,80}}{words.FIELD_OF_ERRORS}").match(after) is not None


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)
