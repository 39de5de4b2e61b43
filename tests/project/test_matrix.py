"""`make test-matrix` chooses its rows well and reports what its tests said."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.project.matrix import (
    PAGE,
    POSTGRESES,
    ROOT,
    SQLALCHEMYS,
    SUITES,
    Result,
    constraints_for,
    counts,
    rows,
    written_into,
)

PYTHONS = ["3.11", "3.12", "3.13"]
RESULT = Result("3.13.0", "2.1.9", "3.3.9", "3.40.1", 18, 300, 1, 2, 61.5)


def test_every_two_versions_meet() -> None:
    chosen = [(row.python, row.sqlalchemy, row.postgres) for row in rows(PYTHONS)]

    columns = (PYTHONS, SQLALCHEMYS, POSTGRESES)
    for one, other in itertools.combinations(range(3), 2):
        met = {(row[one], row[other]) for row in chosen}
        assert met == set(itertools.product(columns[one], columns[other]))
    assert len(chosen) == 6


def test_everything_is_the_product() -> None:
    assert len(set(rows(PYTHONS, everything=True))) == 12


def test_only_sqlalchemy_leaves_its_pinned_version() -> None:
    pinned = (ROOT / "constraints.txt").read_text()

    made = constraints_for("2.0", pinned)

    assert set(made.splitlines()) ^ set(pinned.splitlines()) == {
        "sqlalchemy==2.0.*",
        *re.findall("^SQLAlchemy==.*", pinned, re.MULTILINE),
    }


def test_an_error_counts_as_a_failed_test() -> None:
    report = '<testsuites><testsuite tests="9" errors="1" failures="2" skipped="3"/></testsuites>'

    assert counts(report) == (3, 3, 3)


def test_the_table_is_written_into_the_page_with_its_day() -> None:
    page = "# Before\n<!-- matrix -->\nNot run yet.\n<!-- end of matrix -->\nafter\n"

    written = written_into(page, [RESULT], day="2026-11-26")

    assert written.startswith("# Before\n<!-- matrix -->\nRun on 2026-11-26: ")
    assert "| 3.13.0 | 2.1.9 | 3.3.9 | 18 | 3.40.1 | 300 | 1 | 2 |\n" in written
    assert written.endswith("<!-- end of matrix -->\nafter\n")
    assert "Not run yet." not in written


def test_a_page_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="end of matrix"):
        written_into("# Before\n", [RESULT], day="2026-11-26")


def test_the_suites_and_the_page_are_there() -> None:
    assert [suite for suite in SUITES if not (ROOT / suite).exists()] == []
    assert "<!-- matrix -->" in PAGE.read_text()
