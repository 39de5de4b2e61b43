"""What a message says of what a failed run left: its traceback, log and links; and what changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from .._failure.redaction import harmless
from .._monitor.change_words import short_versions
from .._monitor.notices import NoticeFacts, RunFacts
from .._monitor.traceback_view import short_text
from .._monitor.watched import link_to
from .texts import LONGEST_LINE, cut, line, redacted

MOST_FRAMES: Final = 3
MOST_LOG_LINES: Final = 20
MOST_LINKS: Final = 10
LONGEST_TRACEBACK: Final = 64 * 1024  # bytes: a whole one, of which the end tells most
LONGEST_NAME: Final = 60


def code_of(facts: NoticeFacts) -> str:
    """Return the innermost frames of the user's code, a few short lines."""
    frames = short_text(traceback_of(facts), MOST_FRAMES).split("\n")
    return "\n".join(cut(one, LONGEST_LINE) for one in frames[: 5 * MOST_FRAMES])


def traceback_of(facts: NoticeFacts) -> str:
    """Return the whole traceback; empty where none is kept."""
    return redacted(facts.traceback, longest=LONGEST_TRACEBACK)


def log_of(facts: NoticeFacts) -> str:
    """Return the last lines of the log."""
    return "\n".join(redacted(facts.log_tail).split("\n")[-MOST_LOG_LINES:])


def links_of_run(facts: NoticeFacts) -> Iterator[tuple[str, str]]:
    """Yield the links that the run noted, as far as they are addresses of the web."""
    for name, address in facts.links[:MOST_LINKS]:
        if harmless(address) == link_to(address) == address:
            yield line(name, LONGEST_NAME) or "Link", address


def last_success_words(facts: NoticeFacts) -> str:
    """Say how many successes in a row the last one ended; empty where that is not known."""
    changed = facts.changed
    if changed is None or changed.successes < 2:
        return ""
    more = "" if changed.is_all else "at least "
    return f", after {more}{changed.successes:,} in a row"


def changes_of(facts: NoticeFacts) -> str:
    """Say what the failed run has that the last success had not, as far as it is known."""
    before, now = facts.last_success, facts.failed_run
    if before is None or now is None:
        return ""
    changed = list(_differences(before, now))
    if changed:
        return "; ".join(changed)
    _, version = short_versions(before.version, now.version)
    host = f"same host {line(now.host, LONGEST_NAME)}" if before.host and now.host else ""
    if not (before.version and now.version):
        return f"not known: {_unnamed(before, now)} ({host})" if host else ""
    same = ", ".join(one for one in (f"same version {line(version, LONGEST_NAME)}", host) if one)
    place = f", at {line(facts.upstream, 200)}" if facts.upstream else ", or at the data"
    return f"nothing that is known ({same}): look upstream{place}"


def _unnamed(before: RunFacts, now: RunFacts) -> str:
    if before.version or now.version:
        return f"{'this run' if before.version else 'the last success'} names no version"
    return "no version is recorded"


def _differences(before: RunFacts, now: RunFacts) -> Iterator[str]:
    old, new = short_versions(before.version, now.version)
    for what, was, its in (("version", old, new), ("host", before.host, now.host)):
        if was and its and was != its:
            yield f"{what} {line(was, LONGEST_NAME)} → {line(its, LONGEST_NAME)}"


def changed_json(facts: NoticeFacts) -> dict[str, Any] | None:
    """Return what changed as JSON values; null where no success is known."""
    changed = facts.changed
    if changed is None or changed.last_success is None:
        return None
    return {
        "code": changed.code_changed,
        "host": changed.host_changed,
        "first_failure": changed.first_failure.id,
        "last_success": changed.last_success.id,
        "successes": changed.successes,
        "is_all": changed.is_all,
    }
