"""What is expected of jobs, and what is found of them, beside how they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from sqlalchemy import select

from ..._monitor.expectations import JOB_SOURCE_TYPE, source_id_of
from ..._monitor.problems import standing_of_finding
from ..._monitor.records import AlertFilter, Cursor, ProblemPage, RunDetails
from ..._monitor.watched import ExpectedJob, expected_job
from ..schema.watch_tables import job
from .expectations import (
    IS_SAID,
    JOB_COLUMNS,
    SOURCE_ID,
    ExpectationQueries,
    finding_from,
    job_from,
    newest_of_open,
)
from .jobs import JobKey
from .problems import ProblemQueries
from .terms import fits_any, storable
from .told import ToldDetails


class WatchedJobs(ExpectationQueries, ToldDetails, ProblemQueries):
    """How jobs do, with what is expected of them."""

    def problem_page(
        self,
        wanted: AlertFilter,
        *,
        limit: int,
        older_than: Cursor | None = None,
        following: Cursor | None = None,
    ) -> ProblemPage:
        """List problems as before; of what was found of a job, say whether it is over."""
        page = super().problem_page(wanted, limit=limit, older_than=older_than, following=following)
        if all(one.source_type != JOB_SOURCE_TYPE for one in page.found):
            return page
        is_open = {
            (source_id_of(*its), str(kind)): finding
            for its, findings in self.open_findings().items()
            for kind, finding in findings.items()
        }
        told = (
            one
            if one.source_type != JOB_SOURCE_TYPE
            else standing_of_finding(one, is_open.get((one.source_id or "", one.alert_type)))
            for one in page.found
        )
        return replace(page, found=tuple(told))

    def run_details(self, run_id: int) -> RunDetails | None:
        """Tell everything about one run; None where there is no such run."""
        details = super().run_details(run_id)
        if details is None or details.run.job_name is None:
            return details
        its = JobKey(details.run.job_name, details.run.environment)
        return replace(details, expected=self._expected(its.job_name, ()).get(its))

    def _expected(self, job_name: str | None, jobs: Sequence[str]) -> Mapping[JobKey, ExpectedJob]:
        found = newest_of_open().subquery("finding")
        query = (
            select(*JOB_COLUMNS, *found.c)
            .outerjoin_from(job, found, found.c.source_id == SOURCE_ID)
            .where(IS_SAID)
            .order_by(*job.primary_key)
        )
        if job_name is not None:
            query = query.where(job.c.job_name == storable(job_name))
        if jobs:
            query = query.where(fits_any(job.c.job_name, jobs, self.engine))
        expected: dict[JobKey, ExpectedJob] = {}
        found_rows = self._readable(query) or ()
        for _, rows in groupby(found_rows, key=lambda row: (row.job_name, row.environment)):
            its_rows = list(rows)
            record = job_from(its_rows[0][: len(JOB_COLUMNS)])
            findings = (finding_from(row) for row in its_rows if row.alert_type is not None)
            known = [finding for finding in findings if finding is not None]
            expected[JobKey(record.job_name, record.environment)] = expected_job(record, known)
        return expected
