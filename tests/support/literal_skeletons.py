"""What every match of a regular expression must hold, read from the expression itself."""

from __future__ import annotations

import re._constants as op  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable, Iterator
from typing import Any

GAP = "\0"  # something that is not known
_MOST = 50_000
_FEW = 4  # alternatives of one character that are told apart


def skeletons(pattern: str, is_enough: Callable[[str], bool]) -> set[str]:
    """Return the kinds of matches that are not enough, each with gaps for what may vary.

    A match that is enough for `is_enough` stays so, whatever follows.
    """
    return _grown({""}, parser.parse(pattern), is_enough)


def _grown(begun: set[str], parsed: Iterable[Any], is_enough: Callable[[str], bool]) -> set[str]:
    for code, arguments in parsed:
        grown = set(_after(begun, code, arguments, is_enough))
        begun = {one for one in grown if not is_enough(one)}
        assert len(begun) < _MOST, "the expression has too many kinds of matches"
    return begun


def _after(  # noqa: PLR0912 - one case for each kind of node
    begun: set[str], code: Any, arguments: Any, is_enough: Callable[[str], bool]
) -> Iterator[str]:
    match code:
        case op.LITERAL:
            yield from (one + chr(arguments).lower() for one in begun)
        case op.IN:
            kinds = {kind for kind, _ in arguments}
            if kinds == {op.LITERAL} and len(arguments) <= _FEW:
                yield from (one + chr(c).lower() for one in begun for _, c in arguments)
            else:
                yield from (one + GAP for one in begun)
        case op.BRANCH:
            for branch in arguments[1]:
                yield from _grown(begun, branch, is_enough)
        case op.SUBPATTERN:
            yield from _grown(begun, arguments[3], is_enough)
        case op.ATOMIC_GROUP:
            yield from _grown(begun, arguments, is_enough)
        case op.MAX_REPEAT | op.MIN_REPEAT | op.POSSESSIVE_REPEAT:
            least, most, body = arguments
            if least == 0:
                yield from begun
            if most == 1:
                yield from _grown(begun, body, is_enough)
            elif least:  # once at least, with more of it before or behind
                yield from (one + GAP for one in _grown({o + GAP for o in begun}, body, is_enough))
            else:
                yield from (one + GAP for one in begun)
        case op.ASSERT | op.ASSERT_NOT | op.AT:
            yield from begun
        case _:
            yield from (one + GAP for one in begun)
