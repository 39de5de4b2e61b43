"""What a job says of its run: context, links and progress."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError, run_scope, tracked_run
from runguard._api import runtime
from runguard._failure.redaction import Redactor
from runguard._run.run_note import LARGEST_CONTEXT, MOST_LINKS, MOST_NAMES, context_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runguard._models import RunEnding, RunNote

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def endings(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> list[RunEnding]:
    """What the store is given at the end of each run."""
    store = runtime.store()
    found: list[RunEnding] = []
    finish = store.finish_run

    def finish_run(ending: RunEnding, *, timeout: float) -> Any:
        found.append(ending)
        return finish(ending, timeout=timeout)

    monkeypatch.setattr(store, "finish_run", finish_run, raising=False)
    return found


def note_of(endings: list[RunEnding]) -> RunNote:
    assert endings[-1].note is not None
    return endings[-1].note


def test_a_run_that_says_nothing_keeps_nothing(endings: list[RunEnding]) -> None:
    with run_scope("quiet"):
        pass

    assert endings[-1].note is None


def test_a_success_keeps_what_the_job_noted(endings: list[RunEnding]) -> None:
    with run_scope("sync", context={"tenant": "north"}) as run:
        run.note(term="2026W", page=1)
        run.note(page=2)
        run.link("report", "https://reports.example.org/4711")
        run.progress(3, 10)

    note = note_of(endings)
    assert note.context == {"tenant": "north", "term": "2026W", "page": 2}
    assert note.links == (("report", "https://reports.example.org/4711"),)
    assert (note.done, note.total) == (3, 10)
    assert note.traceback is note.log_tail is None


def test_what_is_noted_is_as_it_was_when_it_was_noted(endings: list[RunEnding]) -> None:
    pages = [1, 2]
    with run_scope("sync") as run:
        run.note(pages=pages)
        pages.clear()

    assert note_of(endings).context == {"pages": [1, 2]}


def test_secrets_are_hidden_in_context_and_links(endings: list[RunEnding]) -> None:
    with run_scope("sync") as run:
        run.note(password="hunter2", url="postgresql://app:hunter2@db/sales")
        run.note(settings={"api_key": "hunter2"})
        run.link("dump", "https://app:hunter2@files.example.org/dump")

    assert "hunter2" not in str(note_of(endings))
    assert note_of(endings).context["password"] == "[redacted]"  # type: ignore[index]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "https://a b", "", None, "x" * 9]
)
def test_a_link_that_is_no_web_address_is_left_out_and_told(
    endings: list[RunEnding], events: Events, url: Any
) -> None:
    with run_scope("sync") as run:
        run.link("report", url)
        run.link("report", url)

    assert endings[-1].note is None
    told = [fields for event, fields in events() if event == "runguard.internal_error"]
    assert [one["stage"] for one in told] == ["note"]
    assert "expected an http or https address" in told[0]["error"]


def test_odd_values_never_hurt_and_are_shown_as_text(endings: list[RunEnding]) -> None:
    class Odd:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    circle: list[Any] = []
    circle.append(circle)
    with run_scope("sync") as run:
        run.note(odd=Odd(), circle=circle, nan=float("nan"), text="a\0b", many={1, 2})

    context = note_of(endings).context
    assert json.loads(json.dumps(context, allow_nan=False)) == context
    assert set(context or ()) == {"odd", "circle", "nan", "text", "many"}


def test_context_is_cut_to_four_kibibytes_and_told_once(
    endings: list[RunEnding], events: Events
) -> None:
    with run_scope("sync") as run:
        for number in range(2 * MOST_NAMES):
            run.note(**{f"page{number}": "x" * 1000})
        for number in range(2 * MOST_LINKS):
            run.link(f"page{number}", "https://example.org/")

    note = note_of(endings)
    assert 0 < len(json.dumps(note.context)) <= LARGEST_CONTEXT
    assert len(note.links) == MOST_LINKS
    told = [fields["error"] for event, fields in events() if event == "runguard.internal_error"]
    assert len(told) == 3


@pytest.mark.parametrize("said", [("three", None), (None, 3), (object(), 3)])
def test_progress_that_is_no_number_is_left_out_and_told(
    endings: list[RunEnding], events: Events, said: tuple[Any, Any]
) -> None:
    with run_scope("sync") as run:
        run.progress(*said)

    assert endings[-1].note is None
    assert [event for event, _ in events() if event == "runguard.internal_error"]


def test_progress_is_kept_within_what_a_column_holds(endings: list[RunEnding]) -> None:
    with run_scope("sync") as run:
        run.progress(-3, 10**30)

    assert (note_of(endings).done, note_of(endings).total) == (0, 2**63 - 1)


@pytest.mark.parametrize(
    "say",
    [
        lambda run: run.note(a=1),
        lambda run: run.link("a", "https://example.org/"),
        lambda run: run.progress(1),
    ],
)
def test_a_run_that_has_ended_takes_nothing_more(sqlite_url: str, say: Callable[..., None]) -> None:
    with run_scope("sync") as run:
        pass

    with pytest.raises(RuntimeError, match="has ended"):
        say(run)


def test_track_counts_the_items_whose_turn_is_over(endings: list[RunEnding]) -> None:
    def job(pages: list[int]) -> None:
        with run_scope("sync") as run:
            for page in run.track(pages):
                if page == 3:
                    raise ValueError("page 3")

    with pytest.raises(ValueError, match="page 3"):
        job([1, 2, 3, 4])

    assert (note_of(endings).done, note_of(endings).total) == (2, 4)


def test_track_knows_no_total_of_what_has_no_length(endings: list[RunEnding]) -> None:
    with run_scope("sync") as run:
        assert list(run.track(iter("abc"))) == ["a", "b", "c"]
    assert (note_of(endings).done, note_of(endings).total) == (3, None)

    with run_scope("sync") as run:
        assert list(run.track(iter("abc"), total=3)) == ["a", "b", "c"]
    assert (note_of(endings).done, note_of(endings).total) == (3, 3)


def test_track_takes_a_stream_that_refuses_to_tell_its_length(endings: list[RunEnding]) -> None:
    class Stream:
        def __len__(self) -> int:
            raise TypeError("it has no end")

        def __iter__(self) -> Iterator[str]:
            return iter("ab")

    with run_scope("sync") as run:
        assert list(run.track(Stream())) == ["a", "b"]

    assert endings[-1].note is not None
    assert (endings[-1].note.done, endings[-1].note.total) == (2, None)


def test_track_takes_a_sequence_of_the_old_protocol(sqlite_url: str) -> None:
    class Pages:
        def __getitem__(self, number: int) -> int:
            return [10, 11][number]

    with run_scope("sync") as run:
        assert list(run.track(Pages())) == [10, 11]  # type: ignore[call-overload]


async def test_track_goes_through_asynchronous_items(endings: list[RunEnding]) -> None:
    async def pages() -> Any:
        for page in range(3):
            yield page

    async with run_scope("sync") as run:
        assert [page async for page in run.track(pages(), total=3)] == [0, 1, 2]

    assert (note_of(endings).done, note_of(endings).total) == (3, 3)


def test_track_refuses_what_cannot_be_gone_through(sqlite_url: str) -> None:
    with run_scope("sync") as run, pytest.raises(TypeError, match="expected an iterable"):
        run.track(3)  # type: ignore[call-overload]


def test_a_loop_may_go_on_after_its_run(sqlite_url: str) -> None:
    with run_scope("sync") as run:
        items = run.track("abc")
        next(items)

    assert list(items) == ["b", "c"]


def test_arguments_are_kept_by_name(endings: list[RunEnding]) -> None:
    @tracked_run("sync", keep=("term", "page", "tenant"))
    def sync(term: str, *, page: int = 1, **others: object) -> str:
        return f"{term}{page}{others}"

    assert sync("2026W", tenant="north", token="x") == "2026W1{'tenant': 'north', 'token': 'x'}"
    assert note_of(endings).context == {"term": "2026W", "page": 1, "tenant": "north"}


async def test_arguments_of_coroutines_and_methods_are_kept(endings: list[RunEnding]) -> None:
    class Job:
        @tracked_run("method", keep=("page",))
        def run(self, page: int) -> int:
            return page

        @staticmethod
        @tracked_run("static", keep="page")
        async def arun(page: int) -> int:
            return page

    assert Job().run(7) == 7
    assert note_of(endings).context == {"page": 7}
    assert await Job.arun(8) == 8
    assert note_of(endings).context == {"page": 8}


def test_a_call_that_does_not_fit_fails_as_it_would_without(endings: list[RunEnding]) -> None:
    @tracked_run("sync", keep=("page",))
    def sync(page: int) -> int:
        return page

    with pytest.raises(TypeError, match="unexpected keyword argument 'pages'"):
        sync(pages=3)  # type: ignore[call-arg]


def test_an_argument_that_there_is_not_is_refused_when_decorating() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'page'"):

        @tracked_run("sync", keep=("pages",))
        def sync(page: int) -> int:
            return page


def test_context_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match="context: expected a mapping"):
        run_scope("sync", context=["term"])  # type: ignore[arg-type]


class Unreadable(dict[str, int]):
    def items(self) -> Any:
        raise OSError("gone")


def test_context_of_any_kind_never_hurts(endings: list[RunEnding], events: Events) -> None:
    with run_scope("sync", context={"self": 1, 3: Unreadable, None: 4}):  # type: ignore[dict-item]
        pass
    assert set(note_of(endings).context or ()) == {"self", "3", "None"}

    with run_scope("sync", context=Unreadable(a=1)) as run:
        run.note(self=1)
    assert note_of(endings).context == {"self": 1}
    assert [event for event, _ in events() if event == "runguard.internal_error"]


def test_no_context_at_all_is_none() -> None:
    assert context_of({}, Redactor(), []) is None


def test_a_heartbeat_writes_the_progress_and_only_where_it_moved(
    sqlite_url: str, sql: Callable[..., list[dict[str, Any]]]
) -> None:
    beats = runtime.heartbeat
    with run_scope("sync") as run, run_scope("another") as another:
        beats._beat([run.key, another.key])
        assert sql("select * from run_note") == []
        run.progress(3, 10)
        beats._beat([run.key, another.key])
        [first] = sql("select done, total, progress_at from run_note")
        beats._beat([run.key, another.key])
        assert sql("select done, total, progress_at from run_note") == [first]
        run.progress(4, 10)
        beats._beat([run.key, another.key])
        [then] = sql("select done, total, progress_at from run_note")

    assert (first["done"], first["total"], then["done"]) == (3, 10, 4)
    assert then["progress_at"] > first["progress_at"]
    assert beats._progress == {}


def test_progress_is_not_remembered_of_a_run_that_ends_while_it_is_written(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats = runtime.heartbeat
    with run_scope("sync") as run:
        run.progress(3, 10)
        monkeypatch.setattr(runtime.store(), "beat", lambda *_, **__: beats.remove(run))
        beats._beat([run.key])
        assert beats._progress == {}


def test_odd_progress_never_stops_the_heartbeat(
    sqlite_url: str, sql: Callable[..., list[dict[str, Any]]]
) -> None:
    with run_scope("sync") as run:
        run.progress("three")  # type: ignore[arg-type]
        before = sql("select heartbeat_at from run_log")
        runtime.heartbeat._beat([run.key])
        assert sql("select heartbeat_at from run_log") != before
