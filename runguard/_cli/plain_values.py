"""The values of a command line that need no conversion, or a plain one.

Typer converts each value by Pydantic, also one that nobody gave, and importing that takes a tenth
of a command's time. Here texts, numbers and what has a parser of its own are read without it. Typer
goes on reading all else, and refusing what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final, get_args, get_origin

_NUMBERS: Final[dict[Any, re.Pattern[str]]] = {
    int: re.compile(r"-?[0-9]{1,18}"),
    float: re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?"),
}


def read_plainly(command: Any) -> None:
    """Let the parameters of a command, and of the commands below it, read plain values so."""
    all_of = command.get_params  # with those that Typer adds late, such as `--help`

    def get_params(ctx: Any) -> list[Any]:
        parameters: list[Any] = all_of(ctx)
        for one in parameters:
            if not hasattr(one, "get_runtime_param"):
                break  # an older Typer, which loads no Pydantic
            if "get_runtime_param" not in vars(one):
                one.get_runtime_param = partial(_PlainFirst, one, one.get_runtime_param)
        return parameters

    command.get_params = get_params
    for below in getattr(command, "commands", {}).values():
        read_plainly(below)


class _PlainFirst:
    """Converts the values of a parameter, as what Typer has for it does."""

    def __init__(self, parameter: Any, theirs: Callable[[], Any]) -> None:
        self._theirs = theirs
        self._annotation = parameter.type_descriptor.annotation
        self._settings = parameter.type_descriptor.parameter_info

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return what a command gets for the value."""
        takes_many = param.multiple or param.nargs == -1
        if value is None:
            return () if takes_many else None
        try:
            return self._read_all(value) if takes_many else self._read(value, self._annotation)
        except _NotPlain:
            return self._theirs().coerce(value, param=param, ctx=ctx)

    def _read_all(self, values: Any) -> list[Any]:
        if isinstance(values, str) or get_origin(self._annotation) is not list:
            raise _NotPlain
        [annotation] = get_args(self._annotation)
        return [self._read(one, annotation) for one in values]

    def _read(self, value: Any, annotation: Any) -> Any:
        if (parser := self._settings.parser) is not None:
            try:
                return parser(value)
            except ValueError:
                raise _NotPlain from None
        if annotation is str and isinstance(value, str):
            return value
        if isinstance(value, Enum) and isinstance(value, annotation):
            return value
        if (written := _NUMBERS.get(annotation)) is not None and written.fullmatch(str(value)):
            number = annotation(value)
            if self._is_in_range(number):
                return number
        raise _NotPlain

    def _is_in_range(self, number: float) -> bool:
        least, most = self._settings.min, self._settings.max
        return (least is None or least <= number) and (most is None or number <= most)


class _NotPlain(Exception):
    """Typer is to read the value."""
