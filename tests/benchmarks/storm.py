"""A storm: eight processes fail on one key as fast as they can; then they succeed, and so on."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import psycopg

from tests.support.processes import race

from .bursts import PROCESS, WARM_UP_RUNS
from .measuring import spread
from .reporting import Section, Target, times
from .servers import database, libpq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.postgres import PostgresAddress
    from tests.support.processes import Outcome

    from .effort import Effort

PROCESSES = 8
FAILING, SUCCEEDING = "failing", "succeeding"


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """The same processes take turns at both, so that both meet the same machine."""
    # Each pair in the other order than the one before.
    pairs = [(FAILING, SUCCEEDING), (SUCCEEDING, FAILING)]
    jobs = list(chain.from_iterable(pairs[index % 2] for index in range(effort.bursts)))
    with database(server) as url:
        outcomes = race(
            PROCESS,
            count=PROCESSES,
            rounds=len(jobs),
            arguments=[url, str(effort.burst_seconds), ",".join(jobs)],
            timeout=120 + len(jobs) * effort.burst_seconds * 3,
        )
        for outcome in outcomes:
            if outcome.exit_code:
                raise RuntimeError(f"a process of the storm failed: {outcome.stderr}")
        lost, alerts = _accounted(url, outcomes)
    yield _section(jobs, outcomes, lost=lost, alerts=alerts)


def _accounted(url: str, outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """How many runs have no row, or not their real ending; and how many alerts there are."""
    made = {
        job: sum(
            WARM_UP_RUNS + sum(runs for name, runs, _ in outcome.reports if name == job)
            for outcome in outcomes
        )
        for job in (FAILING, SUCCEEDING)
    }
    with psycopg.connect(libpq(url)) as connection:
        rows = connection.execute("select status, count(*) from run_log group by 1").fetchall()
        (alerts,) = connection.execute("select count(*) from alert").fetchone() or (0,)
    ended = dict(rows)
    lost = made[FAILING] - ended["FAILED"] + made[SUCCEEDING] - ended["SUCCESS"]
    return lost, alerts


def _section(
    jobs: Sequence[str], outcomes: Sequence[Outcome], *, lost: int, alerts: int
) -> Section:
    rates = [
        sum(outcome.reports[index][1] / outcome.reports[index][2] for outcome in outcomes)
        for index in range(len(jobs))
    ]
    by_job = {
        name: [rate for rate, job in zip(rates, jobs, strict=True) if job == name]
        for name in (SUCCEEDING, FAILING)
    }
    ratio = spread(
        [ours / theirs for ours, theirs in zip(by_job[FAILING], by_job[SUCCEEDING], strict=True)]
    )
    section = Section(
        "storm",
        f"A storm: {PROCESSES} processes, one key, as fast as they can",
        ("", "runs a second (p10-p90)", "ratio (p10-p90)"),
    )
    for name, found in by_job.items():
        rate = spread(found)
        section.rows.append(
            (
                name,
                f"{rate.median:,.0f} ({rate.p10:,.0f}-{rate.p90:,.0f})",
                times(ratio) if name == FAILING else None,
            )
        )
        section.records.append({"processes": PROCESSES, "runs": name, "a_second": rate._asdict()})
    section.records.append({"ratio": ratio._asdict(), "lost": lost, "alerts": alerts})
    section.targets.append(
        Target("suppressed failures / successes, throughput", ratio.median, 0.7, "at least")
    )
    section.notes.append(f"runs without their row: {lost}; alerts written: {alerts}")
    return section
