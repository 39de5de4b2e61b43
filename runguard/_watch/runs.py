"""STUCK, SLOW, FAST and EMPTY: what is wrong with a run that did start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from typing import Any, Final

from .._monitor.expectations import (
    WATCHED_RUNS,
    Closing,
    Finding,
    FindingType,
    OpenFinding,
    WatchedRun,
)
from .._monitor.wording import counted, duration, iso
from .case import Case, Opinion, as_seconds, ended_at, is_running, seconds_of, successes
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
    if known is None or _is_out_of_sight(case, known):
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


def _is_out_of_sight(case: Case, known: OpenFinding) -> bool:
    """Whether so many runs began since that the one it is about is not among those read."""
    is_read = any(one.id == known.detail.get("run_id") for one in case.runs)
    return not is_read and len(case.runs) >= WATCHED_RUNS


def _ended(case: Case, known: OpenFinding) -> Closing:
    run_id = known.detail.get("run_id")
    run = next((one for one in case.runs if one.id == run_id), None)
    if run is None:
        message, detail = f"Run {run_id} of {case.name} is no longer in the store.", {}
    else:
        seconds = seconds_of(run, case.now)
        message = f"Run {run.id} of {case.name} ended after {duration(seconds)}: {run.status}."
        detail = {"seconds": seconds, "status": run.status, "started_at": iso(run.started_at)}
    return Closing(
        type=FindingType.STUCK,
        title=message.removesuffix("."),
        message=message,
        detail=detail,
        run_id=None if run is None else run.id,
    )


# SLOW and FAST -----------------------------------------------------------------------------------


def judge_slow(case: Case) -> Opinion:
    """Say whether the newest runs took far longer than usual, or than a run may take."""
    runs, known = successes(case.runs), case.open.get(FindingType.SLOW)
    limit = case.expectation.max_runtime
    if limit is not None and runs and _took_too_long(case, runs[0], limit, known):
        return Opinion((_took(case, FindingType.SLOW, runs[:1], limit.total_seconds()),))
    return _judge_durations(case, FindingType.SLOW, runs)


def judge_fast(case: Case) -> Opinion:
    """Say whether the newest runs took far less time than usual."""
    return _judge_durations(case, FindingType.FAST, successes(case.runs))


def is_slow(seconds: float, before: Sequence[float]) -> bool:
    """Whether a run took far longer than those before it."""
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


def _took_too_long(
    case: Case, run: WatchedRun, limit: timedelta, known: OpenFinding | None
) -> bool:
    """Whether a run took longer than it may, and nobody saw it while it ran."""
    if seconds_of(run, case.now) <= limit.total_seconds():
        return False
    if known is not None and known.detail.get("run_id") == run.id:
        return True
    stuck, judged_at = case.open.get(FindingType.STUCK), case.job.judged_at
    is_told = stuck is not None and stuck.detail.get("run_id") == run.id
    return not is_told and (judged_at is None or ended_at(run, case.now) > judged_at)


def _judge_durations(case: Case, kind: FindingType, runs: Sequence[WatchedRun]) -> Opinion:
    known = case.open.get(kind)
    is_odd = is_slow if kind is FindingType.SLOW else is_fast
    if known is not None:
        before = _before(runs, known.detail.get("first_run_id"))
        newest = runs[0] if runs else None
        if newest is not None and before and is_odd(seconds_of(newest, case.now), before):
            return Opinion((_took(case, kind, runs[:1], median(before), known),))
        return Opinion(closings=(_ordinary(case, kind, newest),))
    if len(runs) < IN_A_ROW + FEWEST_SUCCESSES:
        return Opinion()
    newest_ones = runs[:IN_A_ROW]
    before = _seconds(case, runs[IN_A_ROW : IN_A_ROW + MOST_SUCCESSES])
    if not all(is_odd(seconds_of(one, case.now), before) for one in newest_ones):
        return Opinion()
    return Opinion((_took(case, kind, newest_ones, median(before)),))


def _before(runs: Sequence[WatchedRun], first_id: object) -> list[float]:
    """Return how long runs took before those that a finding is about; nothing of too few.

    After many runs that are all alike, this is what is usual.
    """
    index = next((at for at, one in enumerate(runs) if one.id == first_id), len(runs))
    before = runs[index + 1 : index + 1 + MOST_SUCCESSES]
    if len(before) < FEWEST_SUCCESSES:
        return []
    return [(one.finished_at - one.started_at).total_seconds() for one in before if one.finished_at]


def _seconds(case: Case, runs: Sequence[WatchedRun]) -> list[float]:
    return [seconds_of(one, case.now) for one in runs]


def _took(
    case: Case,
    kind: FindingType,
    runs: Sequence[WatchedRun],
    usual: float,
    known: OpenFinding | None = None,
) -> Finding:
    newest, seconds = runs[0], seconds_of(runs[0], case.now)
    first_id = runs[-1].id if known is None else known.detail.get("first_run_id")
    is_declared = kind is FindingType.SLOW and usual == _limit_seconds(case)
    against = f"allowed {duration(usual)}" if is_declared else f"usually {duration(usual)}"
    return Finding(
        type=kind,
        title=f"{case.name} took {duration(seconds)}, {against}",
        message=f"Run {newest.id} of {case.name} took {duration(seconds)}, {against}.",
        since=runs[-1].started_at,
        detail={
            "run_id": newest.id,
            "first_run_id": first_id,
            "seconds": seconds,
            ("allowed_seconds" if is_declared else "usual_seconds"): usual,
        },
        mark=str(newest.id),
    )


def _limit_seconds(case: Case) -> float | None:
    limit = case.expectation.max_runtime
    return None if limit is None else limit.total_seconds()


def _ordinary(case: Case, kind: FindingType, run: WatchedRun | None) -> Closing:
    detail: dict[str, Any] = {}
    if run is None:
        message = f"No run of {case.name} to compare is left."
    else:
        seconds = seconds_of(run, case.now)
        message = f"Run {run.id} of {case.name} took {duration(seconds)}, which is usual."
        detail = {"seconds": seconds}
    return Closing(
        type=kind,
        title=message.removesuffix("."),
        message=message,
        detail=detail,
        run_id=None if run is None else run.id,
    )


# EMPTY -------------------------------------------------------------------------------------------


def judge_empty(case: Case) -> Opinion:
    """Say whether the newest run that succeeded had fewer records than expected."""
    least, known = case.expectation.min_records, case.open.get(FindingType.EMPTY)
    runs = successes(case.runs)
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
        message, detail = f"The records of {case.name} are not known.", {}
    else:
        message = f"Run {run.id} of {case.name} had {counted(records, 'record')}."
        detail = {"records": records}
    return Closing(
        type=FindingType.EMPTY,
        title=message.removesuffix("."),
        message=message,
        detail=detail,
        run_id=None if run is None else run.id,
    )


def _unasked(case: Case, kind: FindingType) -> Closing:
    message = f"What is expected of {case.name} has changed."
    return Closing(
        type=kind, title=f"{case.name}: {message}", message=message, detail={"changed": True}
    )
