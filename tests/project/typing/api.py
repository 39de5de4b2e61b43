"""Checked by mypy and basedpyright, never run: what an editor knows of the public API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import assert_type
from uuid import UUID

import runguard
from runguard import ErrorGroup, Failure, Rule, Run, TriggerType, run_scope, tracked_run


@tracked_run("plain")
def plain(a: int, /, b: str, *, c: float = 1.0) -> bool:
    return bool(a and b and c)


@tracked_run("coroutine", trigger_type="SCHEDULER", lock=True, cooldown=timedelta(minutes=5))
async def coroutine(a: int) -> str:
    return str(a)


class Jobs:
    @tracked_run("method", trigger_type=TriggerType.RETRY, no_alert_on=(KeyError, ValueError))
    def method(self, n: int) -> int:
        return n

    @classmethod
    @tracked_run("class method", no_alert_on=KeyError)
    def class_method(cls, n: int) -> int:
        return n

    @staticmethod
    @tracked_run("static method")
    def static_method(n: int) -> int:
        return n


def signatures_are_kept() -> None:
    assert_type(plain(1, b="x", c=2.0), bool)
    assert_type(Jobs().method(1), int)
    assert_type(Jobs.class_method(1), int)
    assert_type(Jobs.static_method(1), int)
    job: Callable[[int], int] = Jobs().method
    assert_type(job(1), int)


async def coroutine_functions_stay_what_they_are() -> None:
    assert_type(await coroutine(1), str)


def wrong_calls_are_told() -> None:
    plain("1", b="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain(1, b="x", d=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    tracked_run(job_name="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    run_scope("x", trigger_type="CRON")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def a_block_has_a_run() -> None:
    with run_scope("block") as run:
        assert_type(run, Run)
        assert_type(run.id, int | None)
        assert_type(run.key, UUID)
        assert_type(run.fence, int | None)
        assert_type(run.lock_lost, bool)
        run.total_records += 1
        assert_type(
            run.emit_alert(
                "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
            ),
            bool,
        )
    assert_type(run.status, runguard.RunStatus)


async def an_async_block_has_a_run() -> None:
    async with run_scope("block") as run:
        assert_type(run, Run)
        assert_type(
            await run.aemit_alert(
                "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
            ),
            bool,
        )


def a_block_swallows_nothing() -> int:
    # Were the exit able to swallow, a checker would ask for a return after the block.
    with run_scope("block"):
        return 1


def what_is_expected_is_typed() -> None:
    nightly = runguard.Expect(cron="0 2 * * *", tz="Asia/Seoul", max_runtime=timedelta(hours=2))
    assert_type(nightly, runguard.Expect)
    assert_type(runguard.expect("nightly", every="1h", owner="data-team"), None)
    tracked_run("nightly", expect=nightly)
    run_scope("nightly", expect="learn")
    run_scope("x", expect="lern")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    runguard.Expect(evry="1h")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    runguard.expects()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def other_names() -> None:
    assert_type(runguard.current_run(), Run | None)
    assert_type(runguard.classify(ValueError("x")), Failure)
    assert_type(runguard.classify(ValueError("x")).error_group, ErrorGroup)
    runguard.configure(
        cooldown=timedelta(0),
        rules=[Rule(KeyError, "UNKNOWN"), Rule(lambda exc: "x" in str(exc), ErrorGroup.TIMEOUT)],
        redact=[r"\d{6}-\d{7}", str.lower],
        outage_policy="refuse",
        start_durability="relaxed",
    )
