"""What texts say: an HTTP status where a number reads as one, a timeout, a held job lock (SPEC 4).

A bare number says nothing: `processed 500 of 512 records` is no server error. Every pattern is
bounded, so any text is read in linear time.
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

# Three digits on their own: no part of a longer number, of a path, of a name.
_NUMBER: Final = r"([45]\d\d)(?![\w%]|[.,]\d)"
# (a) A word that announces the status, and what may stand between. `exit status` is no HTTP's.
_ANNOUNCED: Final = (
    r"(?<![A-Za-z])(?<!exit )(?<!exit_)(?<!exit-)(?<!exited with )(?<!exit with )"
    r"(?:HTTP(?:/\d(?:\.\d)?)?(?:[ -]?Error)?(?:[ _-]response)?(?:[ _-]?code)?"
    r"|status(?:[ _-]?code)?|Error code:|API Error:|RequestError:)"
    r"(?:\s|[:=\"'`\\(]|returned|response){1,8}" + _NUMBER
)
# (c) urllib3, when it has given up repeating.
_TOO_MANY: Final = r"too many " + _NUMBER + r" error responses"
_SEPARATORS: Final = " \t\n:,()[]\"'-\u2013"
_LONGEST_PHRASE: Final = 48
_LOCK: Final = "job_lock active"


def status_in(text: str) -> tuple[int, str] | None:
    """Return the first number that reads as an HTTP status, and the words that made it one.

    >>> status_in("upstream: HTTP 503 after 450 ms")
    (503, 'HTTP 503')
    >>> status_in("processed 500 of 512 records") is None
    True
    """
    found = [match for match in (_announced(text), _with_phrase(text)) if match is not None]
    if not found:
        return None
    _, status, words = min(found)
    return status, " ".join(words.split())


def timeout_in(text: str) -> str | None:
    """Return `timeout` or `timed out` where the text contains it, in any case."""
    lower = text.lower()
    return next((words for words in ("timeout", "timed out") if words in lower), None)


def holds_job_lock(text: str) -> bool:
    """Whether the text says that the job's own lock is held."""
    return _LOCK in text.lower()


def _announced(text: str) -> tuple[int, int, str] | None:
    """(a) and (c): where the number stands, the number, and the words with it."""
    found = _announced_pattern().search(text)
    if found is None:
        return None
    number = found.lastindex or 0
    return found.start(number), int(found[number]), found[0]


def _with_phrase(text: str) -> tuple[int, int, str] | None:
    """(b) The number's own phrase follows it.

    In its canonical case anywhere; in any case at the start, or after a quote or a colon.
    """
    for found in _number_pattern().finditer(text):
        status = int(found[1])
        rest = text[found.end() : found.end() + _LONGEST_PHRASE]
        phrase = rest.lstrip(_SEPARATORS)
        before = text[max(0, found.start() - 3) : found.start()].rstrip(" (")
        begins = before[-1:] in "\"'`:" if before else found.start() < 3
        for known in (*_phrases(status), "Client Error", "Server Error", "message="):
            if phrase.startswith(known) or (begins and phrase.lower().startswith(known.lower())):
                return found.start(), status, f"{status} {known}"
    return None


@cache
def _phrases(status: int) -> tuple[str, ...]:
    standard = (HTTPStatus(status).phrase,) if status in HTTPStatus._value2member_map_ else ()
    return standard + OTHER_PHRASES.get(status, ())


@cache
def _announced_pattern() -> re.Pattern[str]:
    return re.compile(f"(?:{_ANNOUNCED}|{_TOO_MANY})", re.IGNORECASE)


@cache
def _number_pattern() -> re.Pattern[str]:
    return re.compile(r"(?<![\w./$#-])" + _NUMBER)
