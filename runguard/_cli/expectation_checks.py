"""What `runguard doctor` looks at in expectations: who says what, and whether anybody watches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from .._errors import StoreUnavailable, did_you_mean
from .._failure.introspection import printable
from .._models import named_in
from .._monitor import expectation_words as words
from .._monitor.expectations import Declarer, Expectation, JobRecord, expectation_from
from .._monitor.records import Purpose
from .._monitor.wording import age, counted
from .._watch.schedule import INSTALL, expectation_problem
from .findings import Finding, State

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

EXPECTATIONS: Final = "expectations"
UNWATCHED_AFTER: Final = timedelta(minutes=15)
NEW: Final = timedelta(days=1)
MOST_NAMED: Final = 5
LONGEST: Final = 300

_MISSING: Final = (INSTALL, "pip install tzdata")
_VOICES: Final = {
    Declarer.PERSON: "`runguard expect`",
    Declarer.FILE: "the file",
    Declarer.CODE: "code",
}


def check_expectations(store: OperatorStore, purpose: Purpose) -> Iterator[Finding]:
    """Tell what is wrong with what is expected of jobs; nothing where nothing is expected."""
    try:
        declared = store.expected_jobs(with_retired=True)
        if not declared:
            return
        now, last_round_at, known = store.now(), store.last_round_at(), store.job_names()
        names = sorted({one.job_name for one in declared if one.retired_at is not None})
        strips = store.overview(strip=1, jobs=names) if names else ()
    except StoreUnavailable:  # this role may not read it, which the privileges tell
        return
    active = [one for one in declared if one.retired_at is None]
    yield _watched(active, last_round_at, now)
    starts = {(one.job_name, one.environment): one.last_start_at for one in strips}
    yield from _few(_unreadable(active, purpose))
    yield from _few(_at_odds(active))
    yield from _few(_never_ran(active, known, now))
    yield from _few(_retired_and_running(declared, starts))


def _watched(active: Sequence[JobRecord], last_round_at: datetime | None, now: datetime) -> Finding:
    expected = sum(one.expectation != Expectation() for one in active)
    jobs = f"{counted(expected, 'job')} expected"
    if last_round_at is not None and now - last_round_at <= UNWATCHED_AFTER:
        looked = f"{jobs}; a monitor looked {age(last_round_at, now)}"
        return Finding(EXPECTATIONS, State.OK, looked)
    if not expected:
        return Finding(EXPECTATIONS, State.OK, jobs)
    looked = "no monitor has ever looked"
    if last_round_at is not None:
        looked = f"a monitor looked last {age(last_round_at, now)}"
    return Finding(
        EXPECTATIONS,
        State.WARNING,
        f"{jobs}, and {looked}: a job that does not run is not noticed",
        "let `runguard monitor` run, or `runguard monitor --once` from cron",
    )


def _unreadable(active: Sequence[JobRecord], purpose: Purpose) -> Iterator[Finding]:
    """What the monitor could not judge; a library that lacks matters only where it runs."""
    lacking: dict[str, list[JobRecord]] = defaultdict(list)
    for one in active:
        problem = expectation_problem(one.expectation)
        if problem is None:
            continue
        remedy = next((command for command in _MISSING if command in problem), None)
        if remedy is not None:
            lacking[remedy].append(one)
            continue
        yield Finding(
            EXPECTATIONS,
            State.WARNING,
            f"{_named(one)} is not watched: {printable(problem, LONGEST)}",
            f"correct it where it is said: {_voice_name(one, one.declared_by)}",
        )
    for remedy, jobs in lacking.items():
        state = State.PROBLEM if purpose is Purpose.NOTIFIER else State.OK
        found = f"schedules that cannot be read here: {_some(jobs)}"
        yield Finding(EXPECTATIONS, state, found, f"where the monitor runs: {remedy}")


def _at_odds(active: Sequence[JobRecord]) -> Iterator[Finding]:
    for one in active:
        said = {by: its for by in reversed(Declarer) if (its := _expectation_of(one, by))}
        if len(set(said.values())) < 2:
            continue
        voices = (f"{_voice_name(one, by)}: {words.everything(its)}" for by, its in said.items())
        yield Finding(
            EXPECTATIONS,
            State.WARNING,
            f"{_named(one)} is declared differently; the first counts:"
            f" {printable('; '.join(voices), LONGEST)}",
            "say the same in each place, or in one only",
        )


def _never_ran(
    active: Sequence[JobRecord], known: Sequence[str], now: datetime
) -> Iterator[Finding]:
    """Jobs that were declared long ago, or under a name that is nearly that of another."""
    for one in active:
        if one.job_name not in known:
            near = did_you_mean(one.job_name, known)
            is_new = one.declared_at is not None and now - one.declared_at < NEW
            if is_new and not near:
                continue
            yield Finding(
                EXPECTATIONS,
                State.WARNING,
                f"no run of {_named(one)} was ever recorded{near}",
                f"check the name in {_voice_name(one, one.declared_by)}, or that its runs are"
                " recorded in this store",
            )


def _retired_and_running(
    declared: Sequence[JobRecord], starts: Mapping[tuple[str, str | None], datetime | None]
) -> Iterator[Finding]:
    for one in declared:
        started_at = starts.get((one.job_name, one.environment))
        if one.retired_at is not None and started_at is not None and started_at > one.retired_at:
            job = " --environment ".join(filter(None, (one.job_name, one.environment)))
            again = f"runguard expect {printable(job, LONGEST)} --unretire"
            yield Finding(
                EXPECTATIONS,
                State.WARNING,
                f"{_named(one)} is retired, and has run since",
                f"watch it again: `{again}`; or stop it where it starts",
            )


def _few(findings: Iterator[Finding]) -> Iterator[Finding]:
    yield from islice(findings, MOST_NAMED)
    if more := sum(1 for _ in findings):
        found = f"{counted(more, 'more job')} like the one before"
        yield Finding(EXPECTATIONS, State.WARNING, found, "`runguard expect` lists them")


def _expectation_of(record: JobRecord, by: Declarer) -> Expectation | None:
    voice = record.declarations.get(by)
    document = voice.get("expectation") if isinstance(voice, Mapping) else None
    try:
        return expectation_from(document) if isinstance(document, Mapping) else None
    except TypeError:  # somebody has written it by hand
        return None


def _voice_name(record: JobRecord, by: Declarer) -> str:
    voice = record.declarations.get(by)
    who = voice.get("who") if isinstance(voice, Mapping) else None
    return f"{_VOICES.get(by, by)}{f' ({printable(str(who), LONGEST)})' if who else ''}"


def _some(jobs: Sequence[JobRecord]) -> str:
    more = len(jobs) - MOST_NAMED
    shown = ", ".join(map(_named, jobs[:MOST_NAMED]))
    return f"{shown} and {more} more" if more > 0 else shown


def _named(job: JobRecord) -> str:
    return printable(named_in(job.job_name, job.environment), LONGEST)
