"""What the types of an exception are called: asked again and again, and the same for all of one."""

from __future__ import annotations

from typing import Final
from weakref import ReferenceType, ref

from .introspection import bases_of, qualified_name

_MOST: Final = 256  # types whose names are kept
_known: Final[dict[int, tuple[ReferenceType[type], list[str]]]] = {}


def type_names(exc: BaseException) -> list[str]:
    """Return the qualified names of an exception's type and of all that it inherits from."""
    cls = type(exc)
    known = _known.get(id(cls))
    if known is not None and known[0]() is cls:
        return known[1]
    names = [qualified_name(base) for base in bases_of(exc)]
    if len(_known) >= _MOST:
        _known.clear()
    _known[id(cls)] = (ref(cls), names)
    return names
