"""What texts say of an HTTP status: where a number, or a word, reads as one.

A bare number says nothing: `processed 500 of 512 records` is no server error. Of each number only
its neighbourhood is looked at, so any text is read in linear time. The words are in
`status_words`; `text_timeouts` reads timeouts.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from . import status_words as words
from .word_stems import holds_any

# Three digits on their own: no part of a longer number, a range, a fraction, a path, a name.
# `HTTP404` and npm's `code E404` are the words that a number may be glued to. Scripts that write
# no blanks glue theirs too: `_counts_in_its_script` tells their counters from their endings.
_LETTERS: Final = "A-Za-z0-9_\u00c0-\u024f\u0370-\u052f"
_BARE_NUMBER: Final = (
    # The first digit comes first, since a search for one of two characters is fast.
    rf"[45](?:(?<![{_LETTERS}./\\$#%&+-][45])|(?<=HTTP[45])|(?<=HTTP_[45])|(?<=http_[45])"
    rf"|(?<=HTTP-[45])|(?<=code E[45]))[0-9][0-9](?![{_LETTERS}%])(?![.,:/][0-9])"
    r"(?!\s?[-\u2013][0-9])"
)
# What may stand between a number and its phrase: `404: Not Found`, `(404) Not Found`,
# `404 "Not Found"`, `404, 'Not Found'`, and kubernetes' `(404)\nReason: Not Found`.
_BETWEEN: Final = (
    r"[\"'`)\]]{0,2}(?:\s{1,8}[-\u2013]\s{1,8}|\s{0,8}:\s{0,8}|,\s{0,8}(?=[\"'])|\s{0,8})"
    r"(?:Reason:\s{0,8})?[\"'`(\[]{0,2}"
)
_WINDOW: Final = 160  # characters on each side of a number that are looked at
_LONGEST_URL: Final = 2048
_MOST_NUMBERS: Final = 512  # of one text that are looked at
_LONGEST_WORDS: Final = 80
_OPENERS: Final = ('"', "'", "`", ":", "\u2018", "\u201c", ">")
_ERROR_RESPONSES: Final = " error responses"
_LOCK: Final = "job_lock active"
HINTS: Final = (_LOCK, *words.WORD_HINTS, *words.SENTENCE_HINTS)
"""One of these stands in each lower-cased text that tells a lock, or a status without a number."""
_PLAIN_EXCEPTIONS: Final = frozenset({"Exception", "RuntimeError"})


class _Number(NamedTuple):
    """A number that may be a status, with what stands around it."""

    status: int
    before: str
    after: str
    text: str
    start: int

    @property
    def line(self) -> str:
        """What stands before it on its line."""
        return re.split(r"[\r\n]", self.before)[-1]

    def follows(self, expression: str) -> re.Match[str] | None:
        return _pattern(expression).search(self.before)

    def precedes(self, expression: str) -> re.Match[str] | None:
        return _pattern(expression).match(self.after)


def status_in(text: str) -> tuple[int, str] | None:
    """Return the first status that a text names, and the words that made it one.

    >>> status_in("upstream: HTTP 503 after 450 ms")
    (503, 'HTTP 503')
    >>> status_in("processed 500 of 512 records") is None
    True
    >>> status_in("Error from server (Forbidden): pods is forbidden")
    (403, 'Forbidden')
    """
    by_number = next(_numbers_that_read_as_statuses(text), None)
    found = [said for said in (by_number, _word_in(text), _sentence_in(text)) if said is not None]
    return min(found)[1:] if found else None


def status_line(text: str) -> int | None:
    """Return the status where that is all a text holds, or where its phrase follows it.

    >>> status_line(" 503 "), status_line("404 Not Found"), status_line("500 rows")
    (503, 404, None)
    """
    begin = text[:_WINDOW].strip()
    number, _, rest = begin.partition(" ")
    if len(number) != 3 or not number.isascii() or not number.isdigit() or number[0] not in "45":
        return None
    status = int(number)
    return status if not rest or _with_phrase(_Number(status, "", f" {rest}", "", 0)) else None


def status_of_page(document: str) -> tuple[int, str] | None:
    """Return the status that an HTML error page names in its title or headings.

    >>> status_of_page("<html><head><title>502 Bad Gateway</title></head>")
    (502, '502 Bad Gateway')
    >>> status_of_page('{"rows": 503}') is None
    True
    """
    if not document[:_WINDOW].lstrip().startswith("<"):
        return None
    for heading in _pattern(r"<(title|h1|h2)\b[^<>]{0,80}>([^<]{1,200})").finditer(document):
        if (found := status_in(heading[2].strip())) is not None:
            return found
    return None


def holds_job_lock(text: str) -> bool:
    """Whether the text says that the job's own lock is held."""
    return _LOCK in text.lower()


def holds_number(text: str) -> bool:
    """Whether a number stands in the text that may be a status."""
    return ("4" in text or "5" in text) and _number().search(text) is not None


def _numbers_that_read_as_statuses(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield position, status and words of each number that reads as a status."""
    if "4" not in text and "5" not in text:
        return
    for count, found in enumerate(_number().finditer(text)):
        if count == _MOST_NUMBERS:
            return
        start, end = found.span()
        before, after = text[max(0, start - _WINDOW) : start], text[end : end + _WINDOW]
        number = _Number(int(found[0]), before, after, text, start)
        if (said := _reading(number)) is not None:
            yield start, number.status, " ".join(said.split())[-_LONGEST_WORDS:]


def _reading(number: _Number) -> str | None:
    """Return the words that make a number a status, or None."""
    if number.follows(words.OF_A_PROCESS) or number.precedes(words.COUNTED):
        return None
    if _counts_in_its_script(number) or _pattern(words.QUOTED_DATA).search(number.line):
        return None
    for reading in _READINGS:
        if (said := reading(number)) is not None:
            return said
    return None


def _announced(number: _Number) -> str | None:
    """(a) A word that announces a status stands before the number."""
    if not _pattern(_hints()).search(number.before):  # most numbers: spared the patterns
        return None
    found = number.follows(_announcement())
    if found is None or number.follows(words.OF_A_PROCESS):
        return None
    if _pattern(words.OF_A_PROCESS).search(number.before, 0, found.start()):
        return None
    if not any(word in found[0].lower() for word in ("http", "status")) and _is_foreign(number):
        return None
    return f"{found[0]}{number.status}"


def _with_phrase(number: _Number) -> str | None:
    """(b) The number's own phrase follows it, or stands before it.

    In its canonical case anywhere; in any case at the start, or after a quote or a colon.
    """
    status, before, after = number.status, number.before, number.after
    if after.startswith(", message="):
        return f"{status}, message="
    phrases = (*_phrases(status), *words.ANY_PHRASES)
    rest = after[_pattern(_BETWEEN).match(after).end() :]  # type: ignore[union-attr]
    if rest[:1].isalpha() and not number.follows(r"\bport\W{0,3}\Z"):
        opening = before.rstrip(" \t\r\n([")
        any_case = (not opening and len(before) < _WINDOW) or opening.endswith(_OPENERS)
        for phrase in phrases:
            said = rest[: len(phrase)]
            is_said = said == phrase or (any_case and said.lower() == phrase.lower())
            if is_said and not rest[len(phrase) : len(phrase) + 1].isalnum():
                return f"{status} {phrase}"
    head = before.rstrip(" \t(:=-[\"'")
    for phrase in phrases:
        if head.endswith(phrase) and not head[: -len(phrase)][-1:].isalnum():
            return f"{phrase} {status}"
    return None


def _too_many(number: _Number) -> str | None:
    """(c) urllib3 has given up repeating."""
    before, after = number.before.lower(), number.after.lower()
    given_up = before.endswith("too many ") and after.startswith(_ERROR_RESPONSES)
    return f"too many {number.status}{_ERROR_RESPONSES}" if given_up else None


def _of_a_type(number: _Number) -> str | None:
    """(d) `ServiceException: 401 …`, `ConflictError(409, '…')`: the name of an error's type."""
    called = number.follows(words.TYPE_CALL)
    found = called or number.follows(words.TYPE_NAME)
    if found is None or number.status not in words.IN_USE:
        return None
    name = re.split(r"\.|::|\$", found[1])[-1]
    if not (name.endswith(words.TYPE_ENDINGS) or name in words.STATUS_OF_WORD):
        return None
    if name in words.NO_HTTP_TYPES or _is_of_python(name) or _is_foreign(number):
        return None
    if called or found[2] == "(":
        is_called = number.precedes(r"['\"]?\s?[,)]")
        return f"{name}({number.status}" if is_called else None
    if name in words.GENERIC_TYPES:
        following = words.AFTER_GENERIC
    elif _pattern(words.API_TYPE).search(name) or name in words.STATUS_OF_WORD:
        following = r"(?!\s?(?-i:[a-z]+)s\b)"  # anything but a count of things
    else:
        following = words.AFTER_TYPE
    return f"{name}: {number.status}" if number.precedes(following) else None


def _by_weak_words(number: _Number) -> str | None:
    """(d) `returned 503`, `Unexpected response 404`, `error: 503`, with no noun behind."""
    if number.status not in words.IN_USE or not number.precedes(words.AFTER_WEAK):
        return None
    found = number.follows(_weak_announcement())
    if found is None or _is_foreign(number) or _compares_counts(number.before):
        return None
    if found[0].lower().strip() in ("a", "an", "the") and not number.precedes(words.AFTER_ARTICLE):
        return None
    return f"{found[0]}{number.status}"


def _with_error_after(number: _Number) -> str | None:
    """(d) `500 error from upstream`, `Got 500 status code`, `503 에러`."""
    found = number.precedes(words.ERROR_AFTER)
    if found is None or number.status not in words.IN_USE or _is_foreign(number):
        return None
    return f"{number.status}{found[0]}"


def _in_parentheses(number: _Number) -> str | None:
    """(d) `failed to fetch page 3 (503)`, `an error occurred (403) when`, `error = (429, '…')`."""
    if not number.before.endswith(("(", "\uff08")) or number.status not in words.IN_USE:
        return None
    if not number.precedes(r"\s?(?:[)\uff09]|,\s?[bu]?[\"']|:\s)"):
        return None
    if number.precedes(words.AFTER_CRAWLED):
        return f"({number.status}) of a request"
    statement = re.split(r"[\r\n]|[.;]\s", number.before[:-1])[-1]
    if statement[-1:].isalnum() and statement.isascii():  # a call's arguments
        return None
    if _pattern(words.THING_BEFORE).search(statement) or _is_foreign(number):
        return None
    found = _pattern(words.FAILURE_BEFORE).search(statement)
    found = found or _pattern(words.SAID_BEFORE).search(statement)
    return f"{found[0]} … ({number.status})" if found else None


def _of_a_request(number: _Number) -> str | None:
    """(d) `GET https://…: 403 - …`, `[409] during [POST]`: the request stands beside it."""
    if number.follows(words.BRACKETED) and number.precedes(words.AFTER_BRACKETED):
        return f"[{number.status}] during ["
    if "/" not in number.text[max(0, number.start - _LONGEST_URL) : number.start]:
        return None
    if number.status not in words.IN_USE or not number.precedes(words.AFTER_REQUEST):
        return None
    head = number.text[max(0, number.start - _LONGEST_URL) : number.start]
    token = head.rstrip(" \t:>=-\u2192\"')](")[-_LONGEST_URL:]
    head = head[max(0, max(token.rfind(" "), token.rfind("\n")) - 12) :]
    return f"request: {number.status}" if _pattern(words.REQUEST_BEFORE).search(head) else None


def _as_code(number: _Number) -> str | None:
    """(d) `"code": 409` beside `message`, `errors` or `status`; npm's `code E404`."""
    before = number.before
    if before.endswith("code E"):
        return f"code E{number.status}" if before.lower().endswith(_NPM) else None
    found = number.follows(words.CODE_KEY)
    if found is None or number.status not in words.IN_USE or _is_foreign(number):
        return None
    around = f"{before[: found.start()]}\0{number.after}"
    return f"code: {number.status}" if _pattern(words.API_WORDS).search(around) else None


_NPM: Final = ("npm err! code e", "npm error code e")
_READINGS: Final = (
    _announced,
    _with_phrase,
    _too_many,
    _of_a_type,
    _as_code,
    _in_parentheses,
    _by_weak_words,
    _with_error_after,
    _of_a_request,
)


def _word_in(text: str) -> tuple[int, int, str] | None:
    """(d) A status by its name: kubectl's `(Forbidden)`, `HTTPStatus.BAD_GATEWAY`."""
    lower = text.lower()
    if not holds_any(words.WORD_HINTS, lower):
        return None
    places = (found for place in words.WORD_PLACES for found in _pattern(place).finditer(text))
    for found in sorted(places, key=re.Match.start):
        word = found[1]
        if _pattern(words.NOT_A_WORDS_PLACE).search(
            text[max(0, found.start() - 40) : found.start()]
        ):
            continue
        status = words.STATUS_OF_WORD.get(word) or _status_of_member(word)
        if "from server" in found[0].lower():
            status = status or words.STATUS_OF_SERVERS_WORD.get(word)
        elif "error occurred" in found[0].lower():
            status = status or _status_of_aws_code(word)
        if status is not None:
            return found.start(1), status, word
    return None


def _sentence_in(text: str) -> tuple[int, int, str] | None:
    """(d) A sentence that stands for one status: `toomanyrequests: …` of a registry."""
    lower = text.lower()
    if not holds_any(words.SENTENCE_HINTS, lower):
        return None
    said = (
        (found.start(), status, found[0].strip(" :.")[:_LONGEST_WORDS])
        for status, sentence in words.STATUS_OF_SENTENCE
        if (found := _pattern(sentence).search(lower)) is not None
    )
    return min(said, default=None)


def _status_of_aws_code(code: str) -> int | None:
    """Return the status of an error code that AWS spells by its convention."""
    codes = words.STATUS_OF_AWS_CODE
    return next((status for status, name in codes if re.fullmatch(name, code)), None)


def _status_of_member(name: str) -> int | None:
    """Return the status of a member of `http.HTTPStatus`, by its name in capitals."""
    from http import HTTPStatus

    member = HTTPStatus.__members__.get(name)
    return member.value if member is not None and member >= 400 else None


def _is_foreign(number: _Number) -> bool:
    """Whether another protocol, a database or a process stands beside the number."""
    return bool(
        _pattern(words.FOREIGN_BEFORE).search(number.line) or number.precedes(words.FOREIGN_AFTER)
    )


def _counts_in_its_script(number: _Number) -> bool:
    """Whether a counter is glued to the number: `500건`, unlike `503을 반환`."""
    glued = number.after[:1]
    return glued.isalpha() and not number.precedes(words.AFTER_GLUED)


def _compares_counts(before: str) -> bool:
    expected = _pattern(words.EXPECTED).search(before)
    return expected is not None and not (len(expected[1]) == 3 and expected[1][0] in "123")


def _is_of_python(name: str) -> bool:
    return name not in _PLAIN_EXCEPTIONS and isinstance(getattr(builtins, name, None), type)


@cache
def _hints() -> str:
    return (
        r"http|stat|error|code|código|codice|код|kod|mã|respon|antwort|svar|fel|fehler|fout"
        r"|статус|상태|응답|오류|에러|ス|エ|応|态|態|码|碼|响|回"
    )


@cache
def _announcement() -> str:
    return rf"(?:{'|'.join(words.STATUS_WORDS)}){words.FILLING}\Z"


@cache
def _weak_announcement() -> str:
    return rf"(?:{'|'.join(words.WEAK_WORDS)}){words.FILLING}\Z"


@cache
def _phrases(status: int) -> tuple[str, ...]:
    from http import HTTPStatus

    standard = (HTTPStatus(status).phrase,) if status in HTTPStatus._value2member_map_ else ()
    return standard + words.OTHER_PHRASES.get(status, ())


@cache
def _number() -> re.Pattern[str]:
    return re.compile(_BARE_NUMBER)


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)
