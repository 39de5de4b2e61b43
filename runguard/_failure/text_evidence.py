"""What texts say: an HTTP status where a number reads as one, a timeout, a held job lock (SPEC 4).

A bare number says nothing: `processed 500 of 512 records` is no server error. Of each number only
its neighbourhood is looked at, so any text is read in linear time.
"""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from typing import Final

# What has been renamed, or is in use without being in the standard.
OTHER_PHRASES: Final = {
    402: ("Payment Required",),
    413: ("Payload Too Large", "Request Entity Too Large", "Content Too Large"),
    414: ("Request-URI Too Long", "Request-URI Too Large", "URI Too Long"),
    416: ("Requested Range Not Satisfiable", "Range Not Satisfiable"),
    418: ("I'm a Teapot", "I'm a teapot"),
    422: ("Unprocessable Entity", "Unprocessable Content"),
    419: ("Page Expired",),
    420: ("Enhance Your Calm",),
    425: ("Too Early",),
    440: ("Login Time-out", "Login Timeout"),
    444: ("No Response",),
    498: ("Invalid Token",),
    499: ("Client Closed Request", "Token Required"),
    408: ("Request Timeout", "Request Time-out"),
    504: ("Gateway Timeout", "Gateway Time-out"),
    509: ("Bandwidth Limit Exceeded",),
    520: ("Web Server Returned an Unknown Error",),
    521: ("Web Server Is Down",),
    522: ("Connection Timed Out",),
    523: ("Origin Is Unreachable",),
    524: ("A Timeout Occurred",),
    525: ("SSL Handshake Failed",),
    526: ("Invalid SSL Certificate",),
    529: ("Site is overloaded", "Overloaded"),
    530: ("Site is frozen",),
    598: ("Network read timeout error",),
    599: ("Network connect timeout error",),
}

# Three digits on their own: no part of a longer number, a range, a fraction, a path, a name.
# `HTTP404` is the one word that a number may be glued to.
_BARE_NUMBER: Final = (
    r"(?:(?<![\w./\\$#%&+-])|(?<=HTTP))([45]\d\d)(?![\w%])(?![.,:/][0-9])(?!\s?[-\u2013][0-9])"
)
# (a) What announces a status, up to the number. A bare `code` belongs to HTTP only.
_ANNOUNCED: Final = (
    r"(?:(?<![a-z])https?(?:/\d(?:\.\d)?|[ _-]?error)?(?:[ _-]?(?:response|return))?(?:[ _-]?code)?"
    r"|status(?:[ _-]?code)?|error code:|api error:|requesterror:)"
    r"(?:[\s:=\"'`\\(\[]|=>|returned|response)*\Z"
)
_HINTS: Final = ("http", "status", "error")
# `exited with status 500` is a process's.
_OF_A_PROCESS: Final = (
    r"(?:\b(?:exit(?:ed|s)?|died|terminated|killed)(?:[\s_-]+with)?(?:[\s_-]+an?)?(?:[\s_-]+error)?"
    r"|\bnon-?zero|\bwait)[\s_-]*\Z|exit\Z"
)
# A count or a measure is no status, whatever it follows: `status: 500 rows`, `status: 500 of 512`.
_COUNTED: Final = (
    r"\s?(?:of [0-9]|(?:rows?|records?|items?|entries|files?|bytes|[kmgt]i?b|percent"
    r"|ms|milliseconds|s|secs?|seconds?|minutes?|hours?|days?)\b)"
)
# (b) What may stand between a number and its phrase: `404: Not Found`, `(404) Not Found`,
# `404 "Not Found"`, `404, 'Not Found'`, and kubernetes' `(404)\nReason: Not Found`.
_BETWEEN: Final = (
    r"[\"'`)\]]{0,2}(?:\s{1,8}[-\u2013]\s{1,8}|\s{0,8}:\s{0,8}|,\s{0,8}(?=[\"'])|\s{0,8})"
    r"(?:Reason:\s{0,8})?[\"'`(\[]{0,2}"
)
_WINDOW: Final = 80  # characters on each side of a number that are looked at
_OPENERS: Final = ('"', "'", "`", ":", "\u2018", "\u201c")
_ERROR_RESPONSES: Final = " error responses"
_LOCK: Final = "job_lock active"


def status_in(text: str) -> tuple[int, str] | None:
    """Return the first number that reads as an HTTP status, and the words that made it one.

    >>> status_in("upstream: HTTP 503 after 450 ms")
    (503, 'HTTP 503')
    >>> status_in("processed 500 of 512 records") is None
    True
    """
    for found in _pattern(_BARE_NUMBER).finditer(text):
        start, end = found.span()
        before, after = text[max(0, start - _WINDOW) : start], text[end : end + _WINDOW]
        status = int(found[1])
        words = (
            _announced(before, status, after)
            or _with_phrase(before, status, after)
            or _too_many(before, status, after)
        )
        if words is not None:
            return status, " ".join(words.split())
    return None


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
    return status if not rest or _with_phrase("", status, f" {rest}") else None


def timeout_in(text: str) -> str | None:
    """Return `timeout` or `timed out` where the text contains it, in any case."""
    lower = text.lower()
    return next((words for words in ("timeout", "timed out") if words in lower), None)


def holds_job_lock(text: str) -> bool:
    """Whether the text says that the job's own lock is held."""
    return _LOCK in text.lower()


def _announced(before: str, status: int, after: str) -> str | None:
    """(a) A word that announces a status stands before the number."""
    lower = before.lower()
    if not any(hint in lower for hint in _HINTS):  # most numbers: spared the patterns
        return None
    found = _pattern(_ANNOUNCED).search(before)
    if (
        found is None
        or _pattern(_OF_A_PROCESS).search(before, 0, found.start())
        or _pattern(_COUNTED).match(after)
    ):
        return None
    return f"{found[0]}{status}"


def _with_phrase(before: str, status: int, after: str) -> str | None:
    """(b) The number's own phrase follows it.

    In its canonical case anywhere; in any case at the start, or after a quote or a colon.
    """
    if after.startswith(", message="):
        return f"{status}, message="
    rest = after[_pattern(_BETWEEN).match(after).end() :]  # type: ignore[union-attr]
    if not rest[:1].isalpha():
        return None
    opening = before.rstrip(" \t\r\n([")
    any_case = (not opening and len(before) < _WINDOW) or opening.endswith(_OPENERS)
    for phrase in (*_phrases(status), "Client Error", "Server Error"):
        said = rest[: len(phrase)]
        is_said = said == phrase or (any_case and said.lower() == phrase.lower())
        if is_said and not rest[len(phrase) : len(phrase) + 1].isalnum():
            return f"{status} {phrase}"
    return None


def _too_many(before: str, status: int, after: str) -> str | None:
    """(c) urllib3 has given up repeating."""
    given_up = before.lower().endswith("too many ") and after.lower().startswith(_ERROR_RESPONSES)
    return f"too many {status}{_ERROR_RESPONSES}" if given_up else None


@cache
def _phrases(status: int) -> tuple[str, ...]:
    standard = (HTTPStatus(status).phrase,) if status in HTTPStatus._value2member_map_ else ()
    return standard + OTHER_PHRASES.get(status, ())


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, 0 if expression == _BARE_NUMBER else re.IGNORECASE)
