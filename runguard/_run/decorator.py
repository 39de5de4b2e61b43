"""Every call of a function is a run."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from .scope import RunScope

P = ParamSpec("P")
R = TypeVar("R")


def track(function: Callable[P, R], new_scope: Callable[[], RunScope]) -> Callable[P, R]:
    """Return a function that does what `function` does, every call in a scope of its own.

    Raises:
        TypeError: it is no function, or a generator, whose body runs while it is iterated.
    """
    # Static and class methods may be decorated on either side of their own decorator.
    if isinstance(function, staticmethod | classmethod):
        rebuilt: Any = type(function)(track(function.__func__, new_scope))
        return cast("Callable[P, R]", rebuilt)
    if not callable(function):
        raise TypeError(f"tracked_run: expected a function, found {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"tracked_run: {function.__qualname__} is a generator, which runs while it is"
            " iterated: use run_scope around the loop, or inside the generator"
        )
    if _is_async(function):
        coroutine_function = cast("Callable[P, Awaitable[Any]]", function)

        @wraps(function)
        async def call_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with new_scope():
                return await coroutine_function(*args, **kwargs)

        return cast("Callable[P, R]", call_coroutine)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with new_scope():
            return function(*args, **kwargs)

    return call


def _is_async(function: Callable[..., Any]) -> bool:
    # An object with `async def __call__` is a coroutine function in all but name.
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function)
        and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )
