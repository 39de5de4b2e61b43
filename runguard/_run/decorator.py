"""`tracked_run`: every call of a function is a run."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from .._models import TriggerType, TriggerTypeName
from .options import RunOptions, make_options
from .scope import RunScope

P = ParamSpec("P")
R = TypeVar("R")


def tracked_run(
    job_name: str,
    /,
    *,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    lock: bool = False,
    lock_ttl: timedelta | None = None,
    cooldown: timedelta | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Track every call of a function or coroutine function as a run.

    The options are those of `run_scope`. The function keeps its signature, and its result or
    exception passes unchanged; `current_run()` gives it its `Run`.

    Raises:
        ConfigurationError: an option cannot be used.
        TypeError: the function is a generator, whose body runs while it is iterated.

    >>> @tracked_run("enrolment_sync", lock=True)
    ... def enrolment_sync(term: str) -> int:
    ...     return 512
    """
    options = make_options(
        job_name,
        trigger_type=trigger_type,
        lock=lock,
        lock_ttl=lock_ttl,
        cooldown=cooldown,
        no_alert_on=no_alert_on,
    )

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        # Static and class methods may be decorated on either side of their own decorator.
        if isinstance(function, staticmethod | classmethod):
            rebuilt: Any = type(function)(_track(function.__func__, options))
            return cast("Callable[P, R]", rebuilt)
        return _track(function, options)

    return decorate


def _track(function: Callable[P, R], options: RunOptions) -> Callable[P, R]:
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
            async with RunScope(options):
                return await coroutine_function(*args, **kwargs)

        return cast("Callable[P, R]", call_coroutine)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with RunScope(options):
            return function(*args, **kwargs)

    return call


def _is_async(function: Callable[..., Any]) -> bool:
    # An object with `async def __call__` is a coroutine function in all but name.
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function)
        and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
    )
