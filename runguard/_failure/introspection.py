"""Reading an exception safely: whatever its methods and properties do, nothing here raises.

Foreign exceptions compute their text, hide attributes behind properties that fail, or point at
each other in a circle. Every reader of them goes through this module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from types import FrameType
from typing import Any, Final

LONGEST_TEXT: Final = 64 * 1024
"""Characters of an exception's text that are read to classify it."""

MOST_MEMBERS: Final = 128
"""Exceptions that are looked at, whichever way they hang together."""

# Attributes in which libraries keep the error that they wrap.
_KEPT_IN: Final = (
    "orig",  # SQLAlchemy: the driver's
    "reason",  # urllib3 and urllib: the last attempt's
    "cause",  # ray, google.api_core's RetryError
    "exc",  # celery's Retry, billiard
    "inner_exception",  # azure-core
    "original_exception",
    "original_error",
    "last_exception",
    "os_error",  # aiohttp
)
_MOST_KEPT: Final = 32  # of a collection in an attribute
_DEEPEST: Final = 64
_LONGEST_NAME: Final = 300


def qualified_name(cls: type) -> str:
    """Return `module.QualName`, without the module for builtins.

    >>> qualified_name(ValueError), qualified_name(ExceptionGroup), qualified_name(Iterator)
    ('ValueError', 'ExceptionGroup', 'collections.abc.Iterator')
    """
    # Past a metaclass that hides it; `__str__` makes a subclass of str plain.
    name = str.__str__(type.__dict__["__qualname__"].__get__(cls))
    try:
        module = type.__dict__["__module__"].__get__(cls)
    except AttributeError:
        module = None
    if not issubclass(type(module), str) or str.__str__(module) == "builtins":
        return printable(name)
    return printable(f"{str.__str__(module)}.{name}")


def bases_of(exc: BaseException) -> Iterator[type]:
    """Yield the exception's type and its bases, nearest first, whatever `__class__` says."""
    return iter(type.__dict__["__mro__"].__get__(type(exc)))


def attribute(obj: object, name: str) -> Any:
    """Return an attribute, or None where there is none or reading it fails."""
    try:
        return getattr(obj, name, None)
    except BaseException:  # hostile code may raise anything
        return None


def text_of(exc: BaseException) -> str:
    """Return the start of the exception's text, for matching; empty where it has none."""
    return _whole_text(exc)[:LONGEST_TEXT]


def message_of(exc: BaseException) -> str:
    """Return the exception's own text; its type's name where that is empty or unreadable.

    `KeyError` is named too, since the bare key says nothing.

    >>> message_of(KeyError("user_id")), message_of(TimeoutError())
    ("KeyError: 'user_id'", 'TimeoutError')
    """
    name, text = qualified_name(type(exc)), _whole_text(exc)
    if not text or text.isspace():
        return name
    # Subclasses that say more in a `__str__` of their own are left alone.
    says_the_key_only = attribute(type(exc), "__str__") is KeyError.__str__
    return f"{name}: {text}" if says_the_key_only else text


def text_from(value: object) -> str:
    """Return the text of whatever was given for one; its type's name where it is unreadable."""
    if isinstance(value, BaseException):
        return message_of(value)
    return _whole_text(value) or ("" if isinstance(value, str) else qualified_name(type(value)))


def _whole_text(value: object) -> str:
    try:
        # A subclass of str may come back, with methods of its own: `str.__str__` makes it plain.
        return str.__str__(str(value))
    except BaseException:  # hostile code may raise anything
        return ""


def chain_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield what stands behind an exception, nearest first, each once: see `levels_of`."""
    for level in list(levels_of(exc))[1:]:
        yield from level


def levels_of(exc: BaseException) -> Iterator[list[BaseException]]:
    """Yield the exception, then what stands directly behind it, and so on, by distance.

    Behind an exception stand its cause, its context unless suppressed, the members of a group, and
    those that libraries keep in an attribute. Circles, depth and number are bounded.
    """
    seen = {id(exc)}
    level = [exc]
    for _ in range(_DEEPEST):
        yield level
        following = []
        for member in (member for near in level for member in _behind(near)):
            if id(member) not in seen and len(seen) < MOST_MEMBERS:
                seen.add(id(member))
                following.append(member)
        level = following
        if not level:
            return


def _behind(exc: BaseException) -> list[BaseException]:
    # The slots of BaseException are read directly: a subclass may hide them behind properties.
    near: list[Any] = [BaseException.__cause__.__get__(exc)]  # type: ignore[union-attr]
    if not BaseException.__suppress_context__.__get__(exc):  # type: ignore[attr-defined]
        near.append(BaseException.__context__.__get__(exc))  # type: ignore[union-attr]
    near += [attribute(exc, name) for name in _KEPT_IN]
    near.extend(_last_attempt(attribute(exc, "last_attempt")))
    if issubclass(type(exc), BaseExceptionGroup):
        near.extend(BaseExceptionGroup.exceptions.__get__(exc))
    # cassandra's NoHostAvailable and paramiko's NoValidConnectionsError: by host; elastic: a tuple
    near.extend(_members(attribute(exc, "errors")))
    # requests: urllib3's error, also where the chain was lost on the way from another process
    near.extend(BaseException.args.__get__(exc)[:_MOST_KEPT])  # type: ignore[attr-defined]
    return [member for member in near if issubclass(type(member), BaseException)]


def _last_attempt(attempt: object) -> list[Any]:
    """Return what the last attempt of a retrying library failed with.

    tenacity keeps a future, whose `exception()` would wait where it is not done; retrying keeps the
    triple of `sys.exc_info()`.
    """
    triple = attribute(attempt, "value")
    return [attribute(attempt, "_exception"), *_members(triple)]


def _members(kept: object) -> list[Any]:
    # Plain types only: a foreign one's iteration may do anything.
    if type(kept) is dict:
        return list(kept.values())[:_MOST_KEPT]
    return list(kept[:_MOST_KEPT]) if type(kept) in (list, tuple) else []  # type: ignore[index]


def location_of(exc: BaseException) -> str | None:
    """Return `file:line in function` of the innermost frame of the user's code, or None.

    The user's code is what lies neither in runguard, nor in the standard library, nor among
    installed packages. Without such a frame, a job that is itself installed is assumed: the
    innermost frame of the package in which the traceback begins.
    """
    users = installed = package = None
    traceback = BaseException.__traceback__.__get__(exc)  # type: ignore[union-attr]
    while traceback is not None:
        frame, line = traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next
        if frame.f_code.co_filename.startswith(_own_folder()):
            continue
        if not _is_library(frame):
            users = (frame, line)
        package = package or _package(frame)
        if _package(frame) == package:
            installed = (frame, line)
    found = users or installed
    return None if found is None else place_of(*found)


def place_of(frame: FrameType, line: int | None) -> str:
    """Return `file:line in function`, fit for a database."""
    code = frame.f_code
    function = code.co_qualname.rpartition("<locals>.")[2]
    return f"{printable(code.co_filename, 1000)}:{line} in {printable(function)}"


def _is_library(frame: FrameType) -> bool:
    # Compiled extensions name a source file of their builders: ask the module where it lies.
    files = (frame.f_code.co_filename, frame.f_globals.get("__file__"), _module_file(frame))
    return any(_lies_in_library(file) for file in files if isinstance(file, str))


def _module_file(frame: FrameType) -> object:
    name = frame.f_globals.get("__name__")
    return attribute(sys.modules.get(name), "__file__") if isinstance(name, str) else None


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _lies_in_library(file: str) -> bool:
    path = file.replace("\\", "/")
    return (
        path.startswith(("<frozen ", _standard_library()))
        or "/site-packages/" in path
        or "/dist-packages/" in path
    )


@cache
def _standard_library() -> str:
    import dataclasses

    return dataclasses.__file__.replace("\\", "/").rpartition("/")[0] + "/"


@cache
def _own_folder() -> str:
    file = _own_folder.__wrapped__.__code__.co_filename
    return file[: max(file.rfind("/"), file.rfind("\\")) + 1]


def printable(text: str, longest: int = _LONGEST_NAME) -> str:
    r"""Cut a name, and show what a database, terminal or log line chokes on: NUL as `\0`."""
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    if shown.isprintable():
        return shown
    shown = shown.replace("\0", "\\0")
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in shown)
