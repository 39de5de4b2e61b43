"""Frozen dataclasses with slots whose methods are written when one of them is first needed.

Writing them takes `dataclasses` half a millisecond a class, and its own import takes 15. A command
loads more than a hundred such classes, and makes instances of a few.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, dataclass_transform, overload

__all__ = ["NamedTuple", "field_names", "frozen"]
T = TypeVar("T")
_LATE: Final = (
    *("__match_args__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__"),
    *("__getstate__", "__setstate__", "__dataclass_params__", "__dataclass_fields__"),
    *(("__replace__",) if sys.version_info >= (3, 13) else ()),
    "__init__",  # the last one: whoever can make an instance finds all the others
)


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, kw_only: bool) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True)
def frozen(cls: type | None = None, /, *, kw_only: bool = False) -> Any:
    """Make of a class what `dataclass(frozen=True, slots=True)` makes of it, only later.

    >>> @frozen
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1)
    Point(x=1, y=0)
    """
    if cls is None:
        return partial(frozen, kw_only=kw_only)
    body = {**vars(cls), "__qualname__": cls.__qualname__}
    for of_no_slots in ("__dict__", "__weakref__"):
        body.pop(of_no_slots, None)
    inherited = {slot for base in cls.__mro__ for slot in getattr(base, "__slots__", ())}
    new_class = partial(type(cls), cls.__name__, cls.__bases__)
    write = partial(_write, lambda: new_class(dict(body)), kw_only)
    late = partial(_Late, write, body, () if kw_only else tuple(cls.__annotations__))
    return new_class(
        {
            **{name: value for name, value in body.items() if name not in cls.__annotations__},
            **{name: late() for name in _LATE if body.get(name) is None},
            "__slots__": tuple(name for name in cls.__annotations__ if name not in inherited),
        }
    )


class _Late:
    """Stands for what the dataclass has by this name, until somebody asks for it."""

    def __init__(self, write: Callable[[type], None], body: Any, places: tuple[str, ...]) -> None:
        self._write, self._body, self._places = write, body, places
        self._is_first = True

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: type) -> Any:
        initializes = instance is not None and self._name == "__init__"
        is_first, self._is_first = self._is_first, False
        if initializes and is_first:  # of many classes a process makes one instance
            return partial(self._initialize, instance)
        try:
            self._write(self._owner)
        except (ImportError, OSError) as error:  # it has used up its files: a job runs all the same
            if not initializes or isinstance(error, TimeoutError) or not getattr(error, "errno", 1):
                raise  # such as a time limit
            return partial(self._initialize, instance)
        found = vars(self._owner)[self._name]  # not what a class below has by this name
        return found.__get__(instance, owner) if hasattr(found, "__get__") else found

    def _initialize(self, record: Any, /, *values: Any, **named: Any) -> None:
        """Do what the `__init__` of the dataclass does; leave to it what is not plain."""
        body, names = self._body, self._body["__annotations__"]
        given = {**dict(zip(self._places, values, strict=False)), **named}
        known = {**{name: body[name] for name in names if name in body}, **given}
        is_whole = known.keys() == names.keys() and len(given) == len(values) + len(named)
        has_makers = any(type(value).__name__ == "Field" for value in known.values())
        if not is_whole or has_makers or self._owner.__bases__ != (object,):
            self._write(self._owner)
            vars(self._owner)["__init__"](record, *values, **named)
            return
        for name in names:
            object.__setattr__(record, name, known[name])
        if "__post_init__" in body:
            record.__post_init__()


def _write(new_class: Callable[[], type], kw_only: bool, owner: type) -> None:  # noqa: FBT001
    """Write into a class what a dataclass of its body has; threads at once write the same."""
    from dataclasses import dataclass

    made = vars(dataclass(frozen=True, slots=True, kw_only=kw_only)(new_class()))
    for name in _LATE:
        if isinstance(vars(owner)[name], _Late):
            setattr(owner, name, made[name])


if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Named(type):
        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body["__annotations__"]
            defaults = [body[field] for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key in body.keys() - fields.keys():
                setattr(made, key, body[key])
            return made

    class NamedTuple(metaclass=_Named):
        """As that of `typing`, in a third of the time: it compiles no annotation."""


def field_names(record: object) -> tuple[str, ...]:
    """Return the names of the fields of a frozen class that has no other for a base."""
    names: tuple[str, ...] = record.__slots__  # type: ignore[attr-defined]
    return names
