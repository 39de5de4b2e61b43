"""STUCK, SLOW, FAST and EMPTY: what is wrong with a run that did start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any, Final

from .._monitor.expectations import (
    Closing,
    Finding,
    FindingType,
    OpenFinding,
    WatchedRun,
)
from .._monitor.wording import counted, duration, iso
from .case import Case, Opinion, as_seconds, ended_at, is_running, seconds_of
from .schedule import plus

FEWEST_SUCCESSES: Final = 10
MOST_SUCCESSES: Final = 20
SLOW_TIMES, SLOW_SECONDS = 2, 10.0  # above the 95th percentile
FAST_SHARE, FAST_LEAST_SECONDS = 0.1, 60.0  # of the median
IN_A_ROW: Final = 2
FULL_BEFORE_EMPTY: Final = 5


# STUCK -------------------------------------------------------------------------------------------


def judge_stuck(case: Case) -> Opinion:
    """Say whether a run goes on for longer than a run may take."""
    limit, known = case.expectation.max_runtime, case.open.get(FindingType.STUCK)
    running = [one for one in case.runs if is_running(one)]
    if limit is None:
        return Opinion(closings=(_unasked(case, FindingType.STUCK),) if known else ())
    ends = [plus(one.started_at, limit) for one in running]
    look_at = min((end for end in ends if end >= case.now), default=None)
    stuck = [one for one, end in zip(running, ends, strict=True) if end < case.now]
    if stuck:
        return Opinion((_stuck(case, stuck[-1], limit),), look_at=look_at)
    if known is None:
        return Opinion(look_at=look_at)
    return Opinion(closings=(_ended(case, known),), look_at=look_at)


def _stuck(case: Case, run: WatchedRun, limit: timedelta) -> Finding:
    running = timedelta(seconds=seconds_of(run, case.now))
    return Finding(
        type=FindingType.STUCK,
        title=f"{case.name} has been running for {duration(running)}, allowed {duration(limit)}",
        message=(
            f"Run {run.id} of {case.name} has been running for {duration(running)}."
            f" It may take {duration(limit)}. It was not stopped."
        ),
        since=plus(run.started_at, limit),
        detail={
            "run_id": run.id,
            "started_at": iso(run.started_at),
            "running_seconds": as_seconds(running),
            "allowed_seconds": as_seconds(limit),
        },
        mark=str(run.id),
    )


def _ended(case: Case, known: OpenFinding) -> Closing:
    run_id = known.detail.get("run_id")
    run = next((one for one in case.runs if one.id == run_id), None)
    if run is None:  # all that go on are read: many began since, or it was deleted
        return _closing(known.type, f"Run {run_id} of {case.name} does not run any more.")
    seconds = seconds_of(run, case.now)
    return _closing(
        known.type,
        f"Run {run.id} of {case.name} ended after {duration(seconds)}: {run.status}.",
        run,
        seconds=seconds,
        status=run.status,
        started_at=iso(run.started_at),
    )


# SLOW and FAST -----------------------------------------------------------------------------------


def judge_durations(case: Case) -> Iterator[Opinion]:
    """Say whether the newest runs took far longer or far less time than usual."""
    took = [
        (end - one.started_at).total_seconds()
        for one in case.successes
        if (end := one.finished_at) is not None  # they all say it
    ]
    yield _too_long(case) or _unusual(case, FindingType.SLOW, took)
    yield _unusual(case, FindingType.FAST, took)


def is_slow(seconds: float, before: Sequence[float]) -> bool:
    """Whether a run took far longer than those before it."""
    if seconds < SLOW_SECONDS:  # most runs: nothing must be sorted
        return False
    high = percentile_95(before)
    return seconds > SLOW_TIMES * high and seconds >= high + SLOW_SECONDS


def is_fast(seconds: float, before: Sequence[float]) -> bool:
    """Whether a run took far less time than those before it, which took a minute or more."""
    usual = median(before)
    return usual >= FAST_LEAST_SECONDS and seconds < FAST_SHARE * usual


def percentile_95(values: Sequence[float]) -> float:
    """Return the least value that 95 of 100 do not exceed.

    >>> percentile_95(range(1, 21)), percentile_95([7])
    (19, 7)
    """
    return sorted(values)[ceil(0.95 * len(values)) - 1]


def median(values: Sequence[float]) -> float:
    """Return the value in the middle; of two the lower one.

    >>> median([5, 1, 3]), median([4, 1, 3, 2])
    (3, 2)
    """
    return sorted(values)[(len(values) - 1) // 2]


def _too_long(case: Case) -> Opinion | None:
    """Find a newest run that took longer than a run may, where nobody saw it while it ran."""
    limit, judged_at = case.expectation.max_runtime, case.judged_at
    if limit is None or not case.successes:
        return None
    run = case.successes[0]
    seconds = seconds_of(run, case.now)
    if seconds <= limit.total_seconds():
        return None
    is_news = judged_at is None or ended_at(run, case.now) > judged_at
    is_told = _is_about(case.open.get(FindingType.SLOW), run)
    if not is_told and (not is_news or _is_about(case.open.get(FindingType.STUCK), run)):
        return None
    allowed = limit.total_seconds()
    against = {"allowed_seconds": allowed, "first_run_id": run.id}
    return Opinion((_took(case, FindingType.SLOW, run, f"allowed {duration(limit)}", against),))


def _is_about(known: OpenFinding | None, run: WatchedRun) -> bool:
    return known is not None and known.detail.get("run_id") == run.id


def _unusual(case: Case, kind: FindingType, took: Sequence[float]) -> Opinion:
    """Compare the newest runs with those before; an open finding, with those before it began."""
    known, runs = case.open.get(kind), case.successes
    is_odd = is_slow if kind is FindingType.SLOW else is_fast
    if known is None:
        first, before = IN_A_ROW - 1, took[IN_A_ROW : IN_A_ROW + MOST_SUCCESSES]
        newest = took[:IN_A_ROW]
    else:
        # Once the runs before it are out of sight, what it found is what is usual.
        first_id = known.detail.get("first_run_id")
        first = next((at for at, one in enumerate(runs) if one.id == first_id), len(runs))
        before, newest = took[first + 1 : first + 1 + MOST_SUCCESSES], took[:1]
    if len(before) >= FEWEST_SUCCESSES and all(is_odd(one, before) for one in newest):
        usual = median(before)
        against = {"usual_seconds": usual, "first_run_id": runs[first].id}
        return Opinion((_took(case, kind, runs[0], f"usually {duration(usual)}", against),))
    return Opinion(closings=(_ordinary(case, kind),) if known else ())


def _took(
    case: Case, kind: FindingType, run: WatchedRun, usual: str, against: Mapping[str, Any]
) -> Finding:
    seconds = seconds_of(run, case.now)
    return Finding(
        type=kind,
        title=f"{case.name} took {duration(seconds)}, {usual}",
        message=f"Run {run.id} of {case.name} took {duration(seconds)}, {usual}.",
        since=run.started_at,
        detail={"run_id": run.id, "seconds": seconds, **against},
        mark=str(run.id),
    )


def _ordinary(case: Case, kind: FindingType) -> Closing:
    if not case.successes:
        return _closing(kind, f"No run of {case.name} to compare is left.")
    run = case.successes[0]
    seconds = seconds_of(run, case.now)
    message = f"Run {run.id} of {case.name} took {duration(seconds)}, which is usual."
    return _closing(kind, message, run, seconds=seconds)


# EMPTY -------------------------------------------------------------------------------------------


def judge_empty(case: Case) -> Opinion:
    """Say whether the newest run that succeeded had fewer records than expected."""
    least, known = case.expectation.min_records, case.open.get(FindingType.EMPTY)
    runs = case.successes
    newest = runs[0] if runs else None
    records = None if newest is None else newest.total_records
    if newest is not None and records is not None:
        before = [one.total_records or 0 for one in runs[1 : 1 + FULL_BEFORE_EMPTY]]
        if least is not None:
            if records < least:
                return Opinion((_empty(case, newest, records, least_records=least),))
        elif records <= 0 and len(before) == FULL_BEFORE_EMPTY and min(before) > 0:
            return Opinion((_empty(case, newest, records, usual_records=int(median(before))),))
        elif records <= 0 and known is not None:
            usual = known.detail.get("usual_records")
            return Opinion((_empty(case, newest, records, usual_records=usual),))
    return Opinion(closings=(_filled(case, newest, records),) if known else ())


def _empty(case: Case, run: WatchedRun, records: int, **against: object) -> Finding:
    least, usual = against.get("least_records"), against.get("usual_records")
    expected = (
        f"expected at least {least:,}" if isinstance(least, int) else "the runs before had some"
    )
    if isinstance(usual, int):
        expected = f"usually {usual:,}"
    said = f"succeeded with {counted(records, 'record')}, {expected}"
    return Finding(
        type=FindingType.EMPTY,
        title=f"{case.name} {said}",
        message=f"Run {run.id} of {case.name} {said}.",
        since=ended_at(run, case.now),
        detail={
            "run_id": run.id,
            "records": records,
            **{key: value for key, value in against.items() if value is not None},
        },
        mark=str(run.id),
    )


def _filled(case: Case, run: WatchedRun | None, records: int | None) -> Closing:
    if run is None or records is None:
        return _closing(FindingType.EMPTY, f"The records of {case.name} are not known.")
    message = f"Run {run.id} of {case.name} had {counted(records, 'record')}."
    return _closing(FindingType.EMPTY, message, run, records=records)


def _closing(
    kind: FindingType, message: str, run: WatchedRun | None = None, **detail: object
) -> Closing:
    return Closing(
        type=kind,
        title=message.removesuffix("."),
        message=message,
        detail=detail,
        run_id=None if run is None else run.id,
    )


def _unasked(case: Case, kind: FindingType) -> Closing:
    return _closing(kind, f"What is expected of {case.name} has changed.", changed=True)
