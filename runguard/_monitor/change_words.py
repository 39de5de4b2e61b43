"""What changed since a job last worked, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from . import wording
from .changes import Changed, RanAs
from .sentences import Mention, Part, Sentence, Topic

NO_SUCCESS: Final = "No success is known before it, so there is nothing to compare with."
HOW_TO_KNOW: Final = "`configure(version=…)` or RUNGUARD_VERSION names it"


def what_changed(
    changed: Changed,
    *,
    run_id: int,
    version: str | None = None,
    upstream: str | None = None,
) -> tuple[Sentence, ...]:
    r"""Say what the first failure of a row had that the last success had not.

    Args:
        changed: The first failure of the row, and the success before it.
        run_id: The failed run that is explained: the first failure, or a later one of the row.
        version: The code of that run.
        upstream: What it failed at, where that is known.

    >>> before = RanAs(41, version="1.4", host="w1")
    >>> changed = Changed(RanAs(42, version="1.5", host="w1"), before, successes=7)
    >>> print(*(one.text() for one in what_changed(changed, run_id=42)), sep="\n")
    First failure after 7 successes in a row.
    Last success: run 41 on 1.4 (host w1); now 1.5 (host w1): the code changed in between.
    """
    return tuple(
        Sentence(Topic.CHANGES, parts) for parts in _sentences(changed, run_id, version, upstream)
    )


def _sentences(
    changed: Changed, run_id: int, version: str | None, upstream: str | None
) -> Iterator[tuple[Part, ...]]:
    first, before = changed.first_failure, changed.last_success
    if before is None:
        yield (NO_SUCCESS,)
        return
    is_first = first.id == run_id
    if is_first:
        yield (f"First failure after {_row(changed)}.",)
    else:
        yield (f"The first failure after {_row(changed)} was ", *_named(first), ".")
    yield tuple(_compared(changed, before, is_first=is_first, upstream=upstream))
    if not is_first and version and first.version and version != first.version:
        old, new = short_versions(first.version, version)
        yield (f"This run was on {new}: another version than {old}, and it still failed.",)


def _row(changed: Changed) -> str:
    count = max(1, changed.successes)
    more = "" if changed.is_all else "at least "
    return f"{more}{count:,} successes in a row" if count > 1 else f"{more}1 success"


def _compared(
    changed: Changed, before: RanAs, *, is_first: bool, upstream: str | None
) -> Iterator[Part]:
    after = changed.first_failure
    old, new = short_versions(before.version, after.version)
    yield from ("Last success: ", *_named(before), _ran(old, before.host))
    said = verdict(changed, upstream=upstream)
    if changed.code_changed is False and not changed.host_changed:
        yield f". {said[:1].upper()}{said[1:]}."
        return
    if told := _ran(new, after.host):
        yield f"; now{told.removeprefix(' on')}" if is_first else f"; the first failure{told}"
    yield f": {said}."


def _named(run: RanAs) -> tuple[Part, ...]:
    mention, at = Mention("run", run.id), run.started_at
    return (mention,) if at is None else (mention, " of ", at)


def _ran(version: str | None, host: str | None) -> str:
    if version is None:
        return f" on host {host}" if host else ""
    return f" on {version} (host {host})" if host else f" on {version}"


def verdict(changed: Changed, *, upstream: str | None = None) -> str:
    """Say in a few words what changed between the last success and the first failure.

    >>> verdict(Changed(RanAs(2, version="b", host="w"), RanAs(1, version="a", host="w")))
    'the code changed in between'
    >>> verdict(Changed(RanAs(2, version="a", host="w"), RanAs(1, version="a", host="w")))
    'same code, same host: look upstream, or at the data'
    """
    code, host = changed.code_changed, changed.host_changed
    outside = f"look upstream, at {upstream}" if upstream else "look upstream, or at the data"
    match code, host:
        case True, True:
            return "the code and the host changed in between"
        case True, _:
            return "the code changed in between"
        case False, True:
            return "same code, but another host"
        case False, False:
            return f"same code, same host: {outside}"
        case False, None:
            return f"same code: {outside}"
        case _, True:
            return f"the host changed; {_unknown(changed)}"
        case _, False:
            return f"same host; {_unknown(changed)}"
        case _:
            return _unknown(changed)


def _unknown(changed: Changed) -> str:
    before, after = changed.last_success, changed.first_failure
    if before is None or (before.version is None and after.version is None):
        return f"whether the code changed is not known ({HOW_TO_KNOW})"
    which = "the last success" if before.version is None else "the failure"
    return f"whether the code changed is not known, because {which} names no version"


def short_versions(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Shorten two versions for people, unless the difference would get lost.

    >>> short_versions("a" * 40, "b" * 40)
    ('aaaaaaa', 'bbbbbbb')
    """
    old, new = (one and wording.version(one) for one in (before, after))
    if before != after and old == new:
        return before, after
    return old, new
