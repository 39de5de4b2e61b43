"""How often a page asks the store: a number that no number of jobs, runs or alerts changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import testing
from tests.web.conftest import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.web.conftest import Client

# Statements of the page, on either database. The store's own first look at itself is not counted.
MOST = {
    # One of each of these reads which environments there are.
    "/": 13,  # another what is expected of jobs, two more who ran when
    "/?span=30d": 13,
    "/jobs/payments": 22,  # four of them for the calendar
    "/runs": 5,
    "/runs?job=payments&status=FAILED&since=24h": 5,
    "/runs/4": 16,
    "/alerts": 9,
    "/alerts/1": 11,
    "/silences": 3,
}


def asked_by(client: Client, path: str, statements: list[str]) -> int:
    assert client.get(path).status_code == 200  # whatever is looked up once is looked up here
    statements.clear()
    client.get(path)
    return len([one for one in statements if not one.lower().startswith(("pragma", "set "))])


@pytest.mark.parametrize("path", MOST)
def test_a_page_asks_no_more_than_it_is_allowed(
    client: Client, statements: list[str], path: str
) -> None:
    assert asked_by(client, path, statements) <= MOST[path], "\n\n".join(statements)


@pytest.mark.parametrize("path", MOST)
def test_more_jobs_and_failures_ask_no_more(
    filled_file: str,
    application_at: Callable[..., Any],
    client_of: Callable[..., Client],
    statements: list[str],
    path: str,
) -> None:
    client = client_of(application_at(filled_file))
    before = asked_by(client, path, statements)
    runguard.configure(database_url=filled_file)
    for number in range(12):
        fail(f"job {number}", "HTTP 503 Service Unavailable")
        fail("payments", "HTTP 503 Service Unavailable")
    testing.reset()

    assert asked_by(client, path, statements) == before
