"""The reason of a failure: one word inside its group, from typed evidence first, text last."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from .._models import ErrorGroup
from .._reasons import ErrorReason
from . import known_types as known
from . import reason_words as words
from . import word_stems as stems
from .exception_evidence import grpc_codes, sqlstate, vendor_number
from .introspection import attribute
from .type_names import type_names

_LONGEST_READ: Final = 16 * 1024  # characters of a text that are read for its reason
_OF_TIMEOUTS: Final = frozenset(
    {
        ErrorReason.CONNECT_TIMEOUT,
        ErrorReason.READ_TIMEOUT,
        ErrorReason.POOL_TIMEOUT,
        ErrorReason.STATEMENT_TIMEOUT,
        ErrorReason.TIME_LIMIT,
        ErrorReason.DB_LOCK,
    }
)
_KILLED_BY: Final = {9: ErrorReason.KILLED, 15: ErrorReason.KILLED, 2: ErrorReason.INTERRUPTED}
_CRASHED_BY: Final = frozenset({3, 4, 5, 6, 7, 8, 11, 31})  # QUIT ILL TRAP ABRT BUS FPE SEGV SYS
_SIGNALLED: Final = 128

Levels = Sequence[Sequence[BaseException]]


def reason_of(
    group: ErrorGroup, status: int | None, levels: Levels, texts: Iterable[str]
) -> ErrorReason | None:
    """Return the reason of a sorted failure, or None where nothing tells it.

    Args:
        group: what the failure was sorted into.
        status: the HTTP status that decided, if one did.
        levels: the exception and its chain, by distance; empty where only a text is known.
        texts: their texts, nearest first.
    """
    if group is ErrorGroup.LOCK_CONFLICT:
        return ErrorReason.LOCK_HELD
    read = [text[:_LONGEST_READ] for text in texts]
    if status is not None:
        return _of_status(status, read)
    chain = [exc for level in levels for exc in level]
    if group is ErrorGroup.TIMEOUT:
        typed = (reason_of_exception(exc) for exc in chain)
        by_type = next((reason for reason in typed if reason in _OF_TIMEOUTS), None)
        return by_type or _first(timeout_reason_in(text) for text in read)
    return (
        _first(reason_of_exception(exc) for exc in chain)
        or _first(reason_in(text) for text in read)
        or _first(_by_type(words.REASON_OF_GENERAL_TYPE, type_names(exc)) for exc in chain)
    )


def reason_of_exception(exc: BaseException) -> ErrorReason | None:
    """Return what an exception's numbers and type tell, nearest to the fact first."""
    names = type_names(exc)
    return (
        _of_sqlstate(sqlstate(exc))
        or _of_database(exc, names)
        or _of_exit(exc, names)
        or _of_grpc(exc, names)
        or _of_specific_type(names)
        or _of_errno(exc, names)
        or _by_type(words.REASON_OF_TYPE, names)
    )


def reason_of_exit(code: int) -> ErrorReason:
    """Return what an exit code tells: negative for a signal, above 128 as a shell says it.

    >>> reason_of_exit(-9).value, reason_of_exit(139).value, reason_of_exit(2).value
    ('killed', 'crashed', 'exit_code')
    """
    signum = -code if code < 0 else code - _SIGNALLED
    if signum in _CRASHED_BY:
        return ErrorReason.CRASHED
    return _KILLED_BY.get(signum, ErrorReason.EXIT_CODE)


def reason_of_name(name: str) -> ErrorReason | None:
    """Return what the qualified name of a type tells, where only that is known.

    >>> reason_of_name("ModuleNotFoundError").value
    'bug'
    """
    cls = getattr(builtins, name, None)
    if isinstance(cls, type) and issubclass(cls, BaseException):
        return _by_type(words.REASON_OF_TYPE, [base.__name__ for base in cls.__mro__])
    return words.REASON_OF_TYPE.get(name)


def reason_in(text: str) -> ErrorReason | None:
    """Return the reason that a text's words tell.

    >>> reason_in("connect: connection refused").value
    'refused'
    """
    return _in_words(words.REASON_OF_WORDS, stems.OF_REASONS, text)


def timeout_reason_in(text: str) -> ErrorReason | None:
    """Return what a text says was waited for in vain."""
    return _in_words(words.TIMEOUT_OF_WORDS, stems.OF_TIMEOUTS, text)


def _of_status(status: int, texts: Sequence[str]) -> ErrorReason:
    """Say it by the status; a service that answers 400 or 403 to too many requests says so."""
    if status in (400, 403) and any(reason_in(text) is ErrorReason.RATE_LIMITED for text in texts):
        return ErrorReason.RATE_LIMITED
    otherwise = ErrorReason.INVALID_REQUEST if status < 500 else ErrorReason.SERVER_ERROR
    return words.REASON_OF_STATUS.get(status, otherwise)


def _of_sqlstate(state: str | None) -> ErrorReason | None:
    if state is None:
        return None
    return words.REASON_OF_SQLSTATE.get(state) or words.REASON_OF_SQLSTATE_CLASS.get(state[:2])


def _of_database(exc: BaseException, names: list[str]) -> ErrorReason | None:
    family, number = vendor_number(exc, names)
    if number is not None and number in known.TIMEOUT_NUMBERS.get(family, ()):
        default = ErrorReason.STATEMENT_TIMEOUT
        return words.REASON_OF_NUMBER.get(family, {}).get(number, default)
    if number is not None:
        return words.REASON_OF_NUMBER.get(family, {}).get(number)
    name = attribute(exc, "sqlite_errorname")
    if type(name) is not str:
        return None
    primary = "_".join(name.split("_")[:2])
    return words.REASON_OF_SQLITE.get(primary)


def _of_exit(exc: BaseException, names: list[str]) -> ErrorReason | None:
    if "subprocess.CalledProcessError" not in names:
        return None
    code = attribute(exc, "returncode")
    return reason_of_exit(code) if type(code) is int else ErrorReason.EXIT_CODE


def _of_grpc(exc: BaseException, names: list[str]) -> ErrorReason | None:
    for code in grpc_codes(exc, names):
        if type(code) is str and code in words.REASON_OF_GRPC:
            return words.REASON_OF_GRPC[code]
    return None


def _of_specific_type(names: list[str]) -> ErrorReason | None:
    """Ask the libraries' names before an errno: ssl's errors carry numbers of their own."""
    return _by_type(words.REASON_OF_TYPE, [name for name in names if "." in name])


def _of_errno(exc: BaseException, names: list[str]) -> ErrorReason | None:
    number = attribute(exc, "errno")
    if "OSError" not in names or type(number) is not int:
        return None
    return words.REASON_OF_ERRNO.get(number)


def _by_type(table: Mapping[str, ErrorReason], names: Iterable[str]) -> ErrorReason | None:
    return next((table[name] for name in names if name in table), None)


def _in_words(
    table: Sequence[tuple[ErrorReason, str]], stems_of: stems.StemTable, text: str
) -> ErrorReason | None:
    for number in stems_of.rows_in(stems.folded(text)):
        reason, said = table[number]
        if _pattern(said).search(text):
            return reason
    return None


def _first(reasons: Iterable[ErrorReason | None]) -> ErrorReason | None:
    return next((reason for reason in reasons if reason is not None), None)


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)
