"""`@tracked_run(…, keep=("term",))`: the arguments of a call that its run keeps, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from .handle import Run


def noting(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., None]:
    """Return what notes the arguments of a call, also those that have their default.

    Raises:
        ConfigurationError: the function takes no argument of such a name.
    """
    signature = inspect.signature(function)
    _check(function, signature, names)

    def note(run: Run, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:  # the call itself will say so
            return
        bound.apply_defaults()
        given = {**_keywords(signature, bound.arguments), **bound.arguments}
        run.note(**{name: given[name] for name in names if name in given})

    return note


def _check(
    function: Callable[..., Any], signature: inspect.Signature, names: tuple[str, ...]
) -> None:
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    for name in names:
        if name not in signature.parameters and not (takes_any and isinstance(name, str)):
            known = list(signature.parameters)
            raise ConfigurationError(
                f"keep: expected arguments of {getattr(function, '__qualname__', function)}"
                f" ({', '.join(known) or 'it has none'}), found {name!r}"
                f"{did_you_mean(str(name), known)}"
            )


def _keywords(signature: inspect.Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            return dict(given[name])
    return {}
