"""What exceptions carry: HTTP statuses, timeouts, SQLSTATEs.

Types are known by their qualified names, up the inheritance: see `known_types`.
"""

from __future__ import annotations

import errno
import re
from functools import cache
from typing import Any

from . import known_types as known
from .introspection import attribute, text_of
from .text_evidence import status_line, status_of_page
from .text_timeouts import timeout_in
from .type_names import type_names

_LONGEST_PAGE = 16 * 1024  # characters of a document that was no JSON


def http_status(value: Any) -> int | None:
    """Return the status where `value` is one that tells a failure: 400 to 599.

    Numbers, digits as text or bytes, and `503 Service Unavailable`; never a bool.

    >>> http_status("503"), http_status(True), http_status(4090)
    (503, None, None)
    """
    # By `type()`, since a mock says of itself to be an int; by the methods of the plain types,
    # since a subclass may bring hostile ones.
    plain = type(value)
    if issubclass(plain, int) and plain is not bool:
        number = int.__index__(value)
        return number if 400 <= number <= 599 else None
    if plain is bytes:
        return status_line(str(value, "latin-1"))
    if issubclass(plain, str):
        return status_line(str.__str__(value))
    return None


def carried_status(exc: BaseException) -> tuple[int, str] | None:
    """Return the HTTP status that an exception or its response carries, and where it was."""
    names = type_names(exc)
    if not known.NOT_HTTP.isdisjoint(names):
        return None
    for name in known.STATUS_ATTRIBUTES:
        value = attribute(exc, name)
        if value is not None and (status := http_status(value)):
            return status, name
    for name in known.STATUS_METHODS:
        if status := http_status(_called(exc, name)):
            return status, f"{name}()"
    if _code_is_http(names) and (status := http_status(attribute(exc, "code"))):
        return status, "code"
    for name in known.RESPONSE_ATTRIBUTES:
        response = attribute(exc, name)
        if response is not None and (found := _status_of_response(response)) is not None:
            return found[0], f"{name}.{found[1]}"
    for name in names:
        own = known.STATUS_ATTRIBUTE_OF_TYPE.get(name)
        if own is not None and (status := http_status(attribute(exc, own))):
            return status, own
        item = known.STATUS_ITEM_OF_TYPE.get(name)
        if item is not None and (status := http_status(_item(attribute(exc, item[0]), item[1]))):
            return status, f"{item[0]}[{item[1]!r}]"
        if name in known.STATUS_OF_TYPE:
            return known.STATUS_OF_TYPE[name], "its type"
    return None


def timeout_evidence(exc: BaseException) -> str | None:
    """Return why an exception is a timeout, or None where it is none by type or attribute."""
    names = type_names(exc)
    if not known.NO_TIMEOUTS.isdisjoint(names):
        return None
    for name in names:
        if name in known.TIMEOUT_TYPES or is_named_timeout(name):
            return f"type {name}"
    number = attribute(exc, "errno")
    is_timed_out = type(number) is int and number in (errno.ETIMEDOUT, known.WINDOWS_TIMED_OUT)
    if "OSError" in names and is_timed_out:
        return "errno ETIMEDOUT"
    first = _first_argument(exc)
    if "pycurl.error" in names and type(first) is int and first == known.CURL_TIMED_OUT:
        return "curl's code 28"
    state = sqlstate(exc)
    if state in known.TIMEOUT_SQLSTATES:
        return f"SQLSTATE {state}"
    if state == known.QUERY_CANCELED and timeout_in(text_of(exc)):
        return "SQLSTATE 57014 by a timeout"
    family, number = vendor_number(exc, names)
    if family and number in known.TIMEOUT_NUMBERS[family]:
        return f"{family}'s error {number}"
    if "subprocess.CalledProcessError" in names and _was_ended_by_timeout(exc):
        return "exit code 124 of timeout(1)"
    if "DEADLINE_EXCEEDED" in grpc_codes(exc, names):
        return "gRPC DEADLINE_EXCEEDED"
    return None


def sqlstate(exc: BaseException) -> str | None:
    """Return the SQLSTATE that a driver's exception carries, its wrapper's `orig` included."""
    orig = attribute(exc, "orig")
    for carrier in (exc,) if orig is None else (exc, orig):
        diag = attribute(carrier, "diag")
        for value in (
            attribute(carrier, "sqlstate"),
            attribute(carrier, "pgcode"),
            None if diag is None else attribute(diag, "sqlstate"),
        ):
            if type(value) is str and re.fullmatch(r"[0-9A-Z]{5}", value):
                return value
    return _odbc_state(exc) or _odbc_state(orig)


def vendor_number(exc: BaseException, names: list[str]) -> tuple[str, int | None]:
    """Return the database's family and its own number of the error; empty where it has none.

    MySQL's and SQL Server's drivers keep it as first argument or `errno`, Oracle's in an object of
    its own, MongoDB's as `code`.
    """
    family = next(
        (known.NUMBERED_TYPES[name] for name in names if name in known.NUMBERED_TYPES), ""
    )
    if not family:
        return "", None
    first = _first_argument(exc)
    for value in (
        attribute(exc, "errno"),
        attribute(exc, "code") if family == "mongo" else None,
        attribute(first, "code"),
        first,
        attribute(exc, "number"),
    ):
        if type(value) is int:
            return family, value
    return family, None


def text_tells_no_timeout(exc: BaseException) -> bool:
    """Whether a number that the exception carries is sure to be something else than a timeout.

    Then the word `timeout` in its text is a name: of a file, a column, a constraint.
    """
    state = sqlstate(exc)
    if state is not None and state[:2] in known.SQLSTATE_CLASSES_OF_NO_TIMEOUT:
        return True
    names = type_names(exc)
    number = attribute(exc, "errno")
    if "OSError" in names and type(number) is int:
        return number in errno.errorcode and number != errno.ETIMEDOUT
    return "sqlite3.IntegrityError" in names or "KeyError" in names


def page_in(exc: BaseException) -> tuple[int, str] | None:
    """Return the status of the HTML error page that a JSON parser was given, and its words."""
    if known.JSON_ERRORS.isdisjoint(type_names(exc)):
        return None
    document = attribute(exc, "doc")
    if type(document) is bytes:
        document = str(document[:_LONGEST_PAGE], "utf-8", "replace")
    return status_of_page(document[:_LONGEST_PAGE]) if type(document) is str else None


def text_is_not_http(exc: BaseException) -> bool:
    """Whether the numbers in the exception's text are no HTTP statuses, whatever they follow."""
    return not known.NOT_HTTP.isdisjoint(type_names(exc))


def is_named_timeout(name: str) -> bool:
    """Whether a qualified name is that of a known library's timeout."""
    package, _, rest = name.partition(".")
    return (
        package in known.TIMEOUT_PACKAGES
        and _timeout_name().fullmatch(rest.rpartition(".")[2]) is not None
    )


def _code_is_http(names: list[str]) -> bool:
    return any(
        name in known.TYPES_WITH_HTTP_CODE or "http" in name.rpartition(".")[2].lower()
        for name in names
    )


def _status_of_response(response: Any) -> tuple[int, str] | None:
    if issubclass(type(response), dict):
        for mapping in (_item(response, "ResponseMetadata"), response):
            for key in known.RESPONSE_STATUS_KEYS:
                if status := http_status(_item(mapping, key)):
                    return status, key
        return None
    for name in known.RESPONSE_STATUS_ATTRIBUTES:
        if status := http_status(attribute(response, name)):
            return status, name
    return None


def _item(mapping: Any, key: str) -> object:
    return dict.get(mapping, key) if issubclass(type(mapping), dict) else None


def _first_argument(exc: BaseException) -> object:
    args = BaseException.args.__get__(exc)  # type: ignore[attr-defined]
    return args[0] if args else None


def _odbc_state(exc: object) -> str | None:
    """Return the SQLSTATE that pyodbc puts first into its arguments."""
    if not issubclass(type(exc), BaseException) or "pyodbc.Error" not in type_names(exc):  # type: ignore[arg-type]
        return None
    first = _first_argument(exc)  # type: ignore[arg-type]
    return first if type(first) is str and re.fullmatch(r"[0-9A-Z]{5}", first) else None


def _was_ended_by_timeout(exc: BaseException) -> bool:
    code, command = attribute(exc, "returncode"), attribute(exc, "cmd")
    if type(command) in (list, tuple):
        command = command[0] if command else None
    if type(code) is not int or code != known.TIMEOUT_EXIT_CODE or type(command) is not str:
        return False
    program = command.partition(" ")[0].rpartition("/")[2]
    return program in known.TIMEOUT_COMMANDS


def grpc_codes(exc: BaseException, names: list[str]) -> list[object]:
    """Return names of gRPC's status codes: `code()` of grpc's own, `status` of grpclib's."""
    if not any(name.partition(".")[0] in ("grpc", "grpclib") for name in names):
        return [_name_of(attribute(exc, "grpc_status_code"))]
    return [_name_of(_called(exc, "code")), _name_of(attribute(exc, "status"))]


def _name_of(member: object) -> str | None:
    name = attribute(member, "name")
    return name if type(name) is str else None


def _called(exc: BaseException, name: str) -> object:
    method = attribute(exc, name)
    if not callable(method) or issubclass(type(method), type):
        return None
    try:
        return method()
    except BaseException:  # it wanted arguments, or failed
        return None


@cache
def _timeout_name() -> re.Pattern[str]:
    return re.compile(known.TIMEOUT_NAME)
