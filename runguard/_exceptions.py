"""Reading an exception safely: whatever its methods and properties do, nothing here raises.

Foreign exceptions compute their text, hide attributes behind properties that fail, or point at
each other in a circle. Every reader of them goes through this module.
"""

from __future__ import annotations

import sys
import sysconfig
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from os.path import dirname, join
from typing import Any, Final, Literal

LONGEST_TEXT: Final = 64 * 1024
DEEPEST_CHAIN: Final = 64  # members, whichever way they hang together


def qualified_name(cls: type) -> str:
    """Return `module.QualName`, without the module for builtins.

    >>> qualified_name(ValueError), qualified_name(deque)
    ('ValueError', 'collections.deque')
    """
    module = attribute(cls, "__module__")
    name = attribute(cls, "__qualname__") or attribute(cls, "__name__")
    if not isinstance(name, str):
        return "an unnamed type"
    return name if module == "builtins" or not isinstance(module, str) else f"{module}.{name}"


def attribute(obj: object, name: str) -> Any:
    """Return an attribute, or None where there is none or reading it fails."""
    try:
        return getattr(obj, name, None)
    except BaseException:  # hostile code may raise anything
        return None


def message_of(exc: BaseException) -> str:
    """Return the exception's own text; its type's name where that is empty or unreadable.

    `KeyError` shows the key behind its name, since the bare key says nothing.

    >>> message_of(KeyError("user_id")), message_of(TimeoutError())
    ("KeyError: 'user_id'", 'TimeoutError')
    """
    name = qualified_name(type(exc))
    try:
        text = str(exc)
        if not isinstance(text, str) or not text.strip():
            return name
    except BaseException:  # hostile code may raise anything
        return name
    # Subclasses of KeyError that say more in a `__str__` of their own are left alone.
    return f"{name}: {text}" if type(exc).__str__ is KeyError.__str__ else text


def text_of(exc: BaseException) -> str:
    """Return the start of the exception's text, for matching; empty where it has none."""
    try:
        return str(exc)[:LONGEST_TEXT]
    except BaseException:  # hostile code may raise anything
        return ""


def chain_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield what stands behind an exception, nearest first, each once.

    That is its cause, its context unless suppressed, the driver's error that SQLAlchemy keeps in
    `orig`, the reason that urllib3 and urllib keep, and the members of exception groups.
    """
    seen = {id(exc)}
    waiting = deque(_behind(exc))
    while waiting and len(seen) <= DEEPEST_CHAIN:
        member = waiting.popleft()
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield member
        waiting.extend(_behind(member))


def _behind(exc: BaseException) -> list[BaseException]:
    suppressed = attribute(exc, "__suppress_context__")
    near = [attribute(exc, "__cause__"), None if suppressed else attribute(exc, "__context__")]
    near += [attribute(exc, "orig"), attribute(exc, "reason")]
    if isinstance(exc, BaseExceptionGroup):
        members = attribute(exc, "exceptions")
        near += list(members)[:DEEPEST_CHAIN] if isinstance(members, Sequence) else []
    return [member for member in near if isinstance(member, BaseException)]


def location_of(exc: BaseException) -> str | None:
    """Return `file:line in function` of the innermost frame of the user's code, or None.

    The user's code is what lies neither in runguard, nor in the standard library, nor among the
    installed packages. Where no frame is the user's, it is the innermost outside runguard.
    """
    users = others = None
    traceback = attribute(exc, "__traceback__")
    while traceback is not None:
        code = traceback.tb_frame.f_code
        owner = _owner_of(code.co_filename)
        if owner != "runguard":
            others = f"{code.co_filename}:{traceback.tb_lineno} in {code.co_name}"
            users = others if owner == "user" else users
        traceback = traceback.tb_next
    return users or others


@cache
def _owner_of(file: str) -> Literal["runguard", "library", "user"]:
    if file.startswith(_inside(dirname(__file__))):  # noqa: PTH120 - text only, no file system
        return "runguard"
    return "library" if file.startswith(("<frozen ", *_libraries())) else "user"


@cache
def _libraries() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders += [one for one in sys.path if one.endswith(("site-packages", "dist-packages"))]
    return tuple(_inside(folder) for folder in folders)


def _inside(folder: str) -> str:
    return join(folder, "")  # noqa: PTH118 - text only, no file system
