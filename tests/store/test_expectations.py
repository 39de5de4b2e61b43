"""Conformance: what is expected of jobs, and whose word holds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from runguard import SchemaOutOfDate
from runguard._monitor.expectations import Declarer, Expectation, JobDeclaration
from runguard._store.declaring import declare_jobs
from runguard._watch.judge import judge
from runguard._watch.schedule import expectation_problem
from tests.store.drafts import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._monitor.expectations import JobRecord
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

HOURLY = Expectation(every=timedelta(hours=1))
NIGHTLY = Expectation(cron="0 2 * * *", tz="Asia/Seoul", grace=timedelta(minutes=30))
DAY = 24 * 3600


def said(
    expectation: Expectation | None = NIGHTLY,
    job_name: str = "nightly",
    by: Declarer = Declarer.CODE,
    **more: Any,
) -> JobDeclaration:
    return JobDeclaration(
        **{"job_name": job_name, "expectation": expectation, "by": by, "who": "host-1", **more}
    )


def code_says(store: OperatorStore, *declarations: JobDeclaration) -> None:
    declare_jobs(store, declarations, timeout=TIMEOUT)


def only(store: OperatorStore) -> JobRecord:
    [job] = store.expected_jobs()
    return job


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def writes(store: OperatorStore) -> Iterator[list[str]]:
    """The statements that are sent."""
    store.expected_jobs()
    sent: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    yield sent
    event.remove(store.engine, "before_cursor_execute", note)


def test_what_code_expects_is_read_back(store: OperatorStore) -> None:
    code_says(store, said(owner="ops", runbook="https://wiki/1", description="copies"))

    job = only(store)

    assert (job.job_name, job.environment, job.expectation) == ("nightly", None, NIGHTLY)
    assert (job.owner, job.runbook, job.description) == ("ops", "https://wiki/1", "copies")
    assert (job.declared_by, job.declared_who) == (Declarer.CODE, "host-1")
    assert (job.retired_at, job.next_due_at, job.judged_at) == (None, None, None)
    assert job.declared_at is not None
    assert job.declarations["code"]["expectation"] == NIGHTLY.as_document()


def test_code_declares_in_one_statement_that_changes_nothing_the_second_time(
    store: OperatorStore, back_door: BackDoor, writes: list[str]
) -> None:
    both = [said(), said(HOURLY, "hourly", environment="staging")]
    code_says(store, *both)
    assert len([one for one in writes if "job" in one]) == 1
    back_door.age("job.updated_at", DAY)
    before = back_door.rows("select updated_at from job")

    code_says(store, *both)

    assert back_door.rows("select updated_at from job") == before
    names = [(job.job_name, job.environment) for job in store.expected_jobs()]
    assert names == [("hourly", "staging"), ("nightly", None)]


def test_another_schedule_is_judged_from_now_on_and_another_limit_goes_on(
    store: OperatorStore, back_door: BackDoor
) -> None:
    code_says(store, said())
    judged = "update job set judged_at = updated_at, next_due_at = updated_at"
    back_door.rows(judged)
    back_door.age("job.declared_at", DAY)
    before = only(store)

    code_says(store, said(Expectation(**NIGHTLY.as_document() | {"min_records": 5, "grace": None})))
    limited = only(store)
    code_says(store, said(HOURLY))
    moved = only(store)

    assert limited.expectation.min_records == 5
    assert (limited.declared_at, limited.judged_at) == (before.declared_at, before.judged_at)
    assert moved.declared_at is not None
    assert before.declared_at is not None
    assert moved.declared_at > before.declared_at
    assert (moved.judged_at, moved.next_due_at) == (None, None)


@pytest.mark.parametrize("first", [Declarer.CODE, Declarer.FILE, Declarer.PERSON])
def test_a_person_s_word_holds_before_a_file_s_and_that_before_code_s(
    store: OperatorStore, first: Declarer
) -> None:
    every = {by: Expectation(every=timedelta(hours=1 + n)) for n, by in enumerate(Declarer)}
    others = [by for by in Declarer if by is not first]
    for by in [first, *others]:
        if by is Declarer.CODE:
            code_says(store, said(every[by]))
        else:
            store.declare(said(every[by], by=by))

    job = only(store)
    assert (job.declared_by, job.expectation) == (Declarer.PERSON, every[Declarer.PERSON])
    assert set(job.declarations) == {"code", "file", "person"}

    held = [store.withdraw("nightly", None, by=by, who="ana") for by in reversed(Declarer)]

    assert [job and job.expectation for job in held] == [
        every[Declarer.FILE],
        every[Declarer.CODE],
        Expectation(),
    ]
    assert store.expected_jobs() == []
    assert store.withdraw("nightly", None, by=Declarer.CODE, who="ana") is None


def test_each_text_is_that_of_the_highest_voice_which_names_one(store: OperatorStore) -> None:
    store.declare(said(None, by=Declarer.FILE, owner="platform"))
    code_says(store, said(owner="dev", runbook="https://wiki/code"))

    job = only(store)

    assert (job.owner, job.runbook) == ("platform", "https://wiki/code")
    assert (job.declared_by, job.expectation) == (Declarer.CODE, NIGHTLY)


def test_code_that_changes_its_mind_moves_nothing_where_a_file_holds(
    store: OperatorStore, back_door: BackDoor
) -> None:
    store.declare(said(by=Declarer.FILE))
    back_door.rows("update job set judged_at = updated_at")
    before = only(store)

    code_says(store, said(HOURLY))
    code_says(store, said(Expectation(every=timedelta(hours=2)), owner="dev"))

    job = only(store)
    assert (job.expectation, job.declared_by) == (NIGHTLY, Declarer.FILE)
    assert (job.declared_at, job.judged_at) == (before.declared_at, before.judged_at)
    assert job.owner == "dev"
    assert job.declarations["code"]["expectation"] == {"every": 7200.0}
    assert "owner" in job.declarations["code"]


def test_code_that_expects_no_more_lets_go(store: OperatorStore) -> None:
    code_says(store, said(owner="dev"))

    code_says(store, said(None, owner="dev"))

    assert (only(store).expectation, only(store).owner) == (Expectation(), "dev")
    assert "expectation" not in only(store).declarations["code"]


def test_a_file_that_says_what_it_said_before_is_one_question_however_long_it_is(
    store: OperatorStore,
) -> None:
    file = [said(HOURLY, f"job{number}", by=Declarer.FILE) for number in range(9)]
    store.declare_file(file, who="host-1")
    asked: list[str] = []

    def note(*args: Any) -> None:
        asked.extend([args[2]] if "FROM job" in args[2] else [])

    event.listen(store.engine, "before_cursor_execute", note)

    assert store.declare_file(file, who="host-1") == 0
    assert len(asked) == 1


def test_a_file_is_declared_as_a_whole(store: OperatorStore) -> None:
    file = [said(by=Declarer.FILE), said(HOURLY, "hourly", by=Declarer.FILE)]
    other = said(HOURLY, "other", by=Declarer.FILE, who="host-2")
    assert store.declare_file(file, who="host-1") == 2
    assert store.declare_file([other], who="host-2") == 1

    assert store.declare_file(file, who="host-1") == 0
    assert store.declare_file([], who="host-1", environment="staging") == 0
    assert store.declare_file(file[:1], who="host-1") == 1

    assert [job.job_name for job in store.expected_jobs()] == ["nightly", "other"]


def test_a_retired_job_is_not_among_those_expected_and_comes_back_from_now_on(
    store: OperatorStore, back_door: BackDoor
) -> None:
    code_says(store, said())
    back_door.rows("update job set judged_at = updated_at")
    back_door.age("job.declared_at", DAY)
    [before] = store.expected_jobs()

    retired = store.retire("nightly")

    assert retired is not None
    assert retired.retired_at is not None
    assert store.expected_jobs() == []
    assert store.expected_jobs(with_retired=True) == [retired]
    code_says(store, said(HOURLY))
    assert store.expected_jobs() == []

    again = store.unretire("nightly")

    assert again is not None
    assert again.declared_at is not None
    assert before.declared_at is not None
    assert again.declared_at > before.declared_at
    assert (again.retired_at, again.judged_at) == (None, None)
    assert store.retire("unheard-of") is None


def test_jobs_are_found_by_name_pattern_and_environment(store: OperatorStore) -> None:
    code_says(
        store,
        said(job_name="billing.a"),
        said(job_name="billing.a", environment="staging"),
        said(job_name="other"),
    )

    def found(*args: Any, **more: Any) -> list[tuple[str, str | None]]:
        return [(one.job_name, one.environment) for one in store.expected_jobs(*args, **more)]

    assert found(["billing.*"]) == [("billing.a", None), ("billing.a", "staging")]
    assert found(["other", "nothing"]) == [("other", None)]
    assert found(environment="staging") == [("billing.a", "staging")]
    assert found(environment=None) == [("billing.a", None), ("other", None)]


@pytest.mark.parametrize(
    "odd",
    [
        *('{"every": "soon"}', '{"every": 1e300}', '{"cron": ["0 2 * * *"]}', '{"tz": 5}'),
        *('{"min_records": "many"}', "[]", '"text"', "no JSON"),
    ],
)
def test_a_row_that_somebody_wrote_by_hand_is_read_as_far_as_it_can_be(
    store: OperatorStore, back_door: BackDoor, odd: str
) -> None:
    if odd == "no JSON" and back_door.engine.dialect.name == "postgresql":
        pytest.skip("jsonb takes none")
    insert = (
        "insert into job (job_name, expectation, declarations, owner)"
        " values ('odd', cast(:odd as {}), cast(:odd as {}), 'x')"
    )
    kind = "jsonb" if back_door.engine.dialect.name == "postgresql" else "text"
    back_door.rows(insert.format(kind, kind), odd=odd)

    assert (only(store).expectation, only(store).owner) == (Expectation(), "x")
    [facts] = store.jobs_to_judge(limit=1)
    assert expectation_problem(facts.job.expectation) is None
    assert judge(facts, now=store.now()).findings == ()
    assert store.declare_file([said(HOURLY, "odd", Declarer.FILE)], who="host-1") == 1
    assert only(store).expectation == HOURLY


def test_a_store_of_an_older_release_says_so(store: OperatorStore, back_door: BackDoor) -> None:
    back_door.rows("drop table job")

    with pytest.raises(SchemaOutOfDate):
        code_says(store, said())
