"""An ad-hoc script, tracked with a `with` block: remove the double rows from a CSV file.

    python examples/adhoc_cleanup.py examples/enrolments.csv --into clean.csv

The file has the columns `student,course,status`; the first row of each student and course is
kept. The file above has a row that says otherwise than an earlier one, which raises an alert of
the script's own, and two rows that nobody can read, which mark the run FAILED although the script
comes to its end: `runguard runs` and `runguard alerts` show both. It exits with 1 then, else 0.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from runguard import Run, RunStatus, run_scope

COLUMNS = ("student", "course", "status")

Enrolments = dict[tuple[str, str], str]


def main() -> int:
    """Clean the file that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()

    with run_scope("adhoc_cleanup") as run:
        enrolments = without_doubles(arguments.file, run)
        with arguments.into.open("w", newline="") as into:
            rows = csv.writer(into)
            rows.writerow(COLUMNS)
            rows.writerows((*key, status) for key, status in enrolments.items())
    print(f"run {run.id}: {run.total_records} rows read, {run.changed_records} doubles removed")
    return 1 if run.status is RunStatus.FAILED else 0


def without_doubles(file: Path, run: Run) -> Enrolments:
    """Read the file; tell the run what was counted, what contradicts, and what was unreadable."""
    enrolments: Enrolments = {}
    contradictions: list[str] = []
    unreadable = 0
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            run.total_records += 1
            student, course, status = (row.get(column) for column in COLUMNS)
            if not (student and course and status):
                unreadable += 1
            elif (student, course) not in enrolments:
                enrolments[student, course] = status
            else:
                run.changed_records += 1
                if enrolments[student, course] != status:
                    contradictions.append(f"{student} {course}")
    if contradictions:
        run.emit_alert(
            "CONTRADICTION",
            source_type="csv_file",
            source_id=file.name,
            severity="medium",
            title=f"{file.name} contradicts itself",
            message=f"Two states of {', '.join(contradictions)}: the first one was kept.",
            detail={"enrolments": contradictions},
        )
    if unreadable:
        run.fail(f"{unreadable} of {run.total_records} rows unreadable")
    return enrolments


if __name__ == "__main__":
    sys.exit(main())
