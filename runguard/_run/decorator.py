"""Every call of a function is a run."""

from __future__ import annotations

import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial, wraps
from types import AsyncGeneratorType, FunctionType, GeneratorType
from typing import Any, Final, ParamSpec, TypeVar, cast

from .._failure.introspection import qualified_name
from .scope import RunScope

P = ParamSpec("P")
R = TypeVar("R")

# How the tasks of celery, dramatiq, huey, procrastinate and taskiq are put into their queues.
_ENQUEUES: Final = (
    *("apply_async", "call_local", "defer_async", "delay", "kiq", "send_with_options"),
)


@contextmanager
def _manager() -> Iterator[None]:
    yield


@asynccontextmanager
async def _async_manager() -> AsyncIterator[None]:
    yield


# All context managers made from generators have one of these two for their code.
_MANAGER_CODES: Final = tuple(
    cast("FunctionType", maker).__code__ for maker in (_manager, _async_manager)
)
TRACKED: Final = "__runguard_tracked__"  # an attribute, which `functools.wraps` passes on
_LAZY: Final = (GeneratorType, AsyncGeneratorType, type(_manager()), type(_async_manager()))


def track(
    function: Callable[P, R], new_scope: Callable[[], RunScope], keep: tuple[str, ...] = ()
) -> Callable[P, R]:
    """Return a function that does what `function` does, every call in a scope of its own.

    The arguments that `keep` names are noted of the run.

    Raises:
        ConfigurationError: it has no argument of such a name.
        TypeError: it is no function, or a generator, whose body runs while it is iterated.
    """
    # Static and class methods may be decorated on either side of their own decorator.
    if isinstance(function, staticmethod | classmethod):
        rebuilt: Any = type(function)(track(function.__func__, new_scope, keep))
        return cast("Callable[P, R]", rebuilt)
    if not callable(function):
        raise TypeError(f"tracked_run: expected a function, found {type(function).__name__}")
    _refuse_what_runs_later(function)
    note: Callable[..., None] | None = None
    if keep:
        from .kept_arguments import noting

        note = noting(function, keep)
    if _is_async(function):
        coroutine_function = cast("Callable[P, Awaitable[Any]]", function)

        @wraps(function)
        async def call_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            async with new_scope() as run:
                if note is not None:
                    note(run, args, kwargs)
                return await coroutine_function(*args, **kwargs)

        setattr(call_coroutine, TRACKED, True)
        return cast("Callable[P, R]", call_coroutine)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        scope = new_scope()
        with scope as run:
            if note is not None:
                note(run, args, kwargs)
            result = function(*args, **kwargs)
            if result is not None:
                result = _with_the_rest(result, scope)
        return result

    setattr(call, TRACKED, True)
    return call


def _is_async(function: Callable[..., Any]) -> bool:
    # An object with `async def __call__` is a coroutine function in all but name, and so is a
    # partial of one.
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or (
        not inspect.isroutine(function) and inspect.iscoroutinefunction(_call_of(function))
    )


def _call_of(function: Callable[..., Any]) -> object:
    return getattr(function, "__call__", None)  # noqa: B004 - the method itself, not whether


def _refuse_what_runs_later(function: Callable[..., Any]) -> None:
    """Raise where a call would only prepare the body: its run would end before it began."""
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__name__)
    for called in (function, _call_of(function)):
        if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
            raise TypeError(
                f"tracked_run: {name} is a generator, which runs while it is iterated: use"
                " run_scope around the loop, or inside the generator"
            )
    if getattr(function, "__code__", None) in _MANAGER_CODES:
        raise TypeError(
            f"tracked_run: {name} makes a context manager, whose body runs while it is entered: use"
            " run_scope inside it, or around the with-block"
        )
    kind = function.__class__  # which a lazy proxy of a task answers with the task's
    if not inspect.isroutine(function) and any(hasattr(kind, verb) for verb in _ENQUEUES):
        raise TypeError(
            f"tracked_run: {name} is the task of a queue ({qualified_name(kind)}), whose"
            " body runs in a worker: put @tracked_run below the task's decorator, next to the"
            " function"
        )


def _with_the_rest(result: R, scope: RunScope) -> R:
    """Let the run go on until a result is awaited whose work is still to be done."""
    kind = type(result)
    if kind in _LAZY:
        raise TypeError(
            f"tracked_run: the function returned a {kind.__name__}, whose body has not begun: use"
            " run_scope where it is iterated or entered"
        )
    if hasattr(kind, "add_done_callback") and hasattr(kind, "cancelled"):
        scope.end_later()  # a future or a task, be it a thread's
        cast("Any", result).add_done_callback(scope.end_with)
        return result
    if not hasattr(kind, "__await__"):
        return result
    if hasattr(kind, "send") or _in_a_loop():
        scope.end_later()
        return cast("R", scope.end_after(cast("Awaitable[Any]", result)))
    return result


def _in_a_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None
