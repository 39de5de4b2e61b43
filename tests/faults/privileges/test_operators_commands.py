"""The command line needs no more than an operator's rights."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from tests.faults.privileges.test_grants import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.privileges.conftest import World


@pytest.mark.parametrize("role", ["operator", "job"])
def test_reading_needs_no_right_to_write(world: World, cli: Callable[..., Any], role: str) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=timedelta(minutes=2))
    fail()
    runguard.testing.reset()

    for command in (
        *(["jobs"], ["show", "last"], ["explain", "failed"], ["report", "--format", "html"]),
        *(["runs", "--since", "1h", "--trigger", "manual"], ["alerts", "--group", "unknown"]),
    ):
        answer = cli(*command, "--database-url", world.url(role))
        assert (answer.exit_code, bool(answer.stdout)) == (0, True), command


def test_an_operator_resolves_and_a_job_may_not(world: World, cli: Callable[..., Any]) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=timedelta(minutes=2))
    fail()
    runguard.testing.reset()
    refused = cli("resolve", "1", "--database-url", world.url("job"))
    done = cli("resolve", "1", "--json", "--database-url", world.url("operator"))

    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "permission denied" in refused.stderr
    assert "run `runguard doctor --for operator`" in refused.stderr
    assert [alert["resolved"] for alert in json.loads(done.stdout)] == [True]
