"""One answer for all tabs that ask the same: what is shared, with whom, and for how long."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import testing
from runguard._store.queries.reports import Reports
from runguard._web.auth.access import Access
from runguard._web.sharing import MOST_ANSWERS, SharingMiddleware
from runguard._web.state import Visitor
from tests.web.conftest import PASSWORD, USER
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from tests.web.conftest import Client

PAGES = ("/", "/jobs/payments", "/runs", "/runs/4", "/alerts", "/alerts/1")
LIVE = {"HX-Request": "true"}
JIWON = Visitor(USER, "session-7")
SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_answer_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is: where time is to pass, a test has a clock of its own."""
    defaults: Any = SharingMiddleware.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "clock", lambda: 100.0)


@pytest.fixture
def later(file_client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a second pass for the pages; else none does. No age of a run changes in it."""
    [newest] = file_client.get("/api/v1/runs?limit=1").json()["runs"]
    now = datetime.fromisoformat(newest["started_at"]) + timedelta(seconds=30)
    if now.second > 50:  # what is cut into minutes, hours or days stays as it is too
        now += 10 * SECOND

    def later() -> None:
        nonlocal now
        now += SECOND

    monkeypatch.setattr(Reports, "now", lambda _: now)
    return later


def poll(client: Client, path: str = "/", *, known: httpx.Response | None = None) -> httpx.Response:
    """Ask as a tab does when it is due; `known` is what it shows."""
    tag = {} if known is None else {"If-None-Match": known.headers["ETag"]}
    return client.get(path, headers={**LIVE, "Cache-Control": "max-age=5", **tag})


def come_back(client: Client, path: str = "/", *, known: httpx.Response) -> httpx.Response:
    """Ask as a tab does whose reader has come back to it."""
    again = {"Cache-Control": "no-cache", "If-None-Match": known.headers["ETag"]}
    return client.get(path, headers={**LIVE, **again})


def run(url: str, job_name: str) -> None:
    runguard.configure(database_url=url)
    with runguard.run_scope(job_name):
        pass
    testing.reset()


@pytest.mark.parametrize("path", PAGES)
def test_a_second_tab_gets_the_answer_of_the_first_without_a_statement(
    file_client: Client, statements: list[str], path: str
) -> None:
    first = poll(file_client, path)
    statements.clear()
    second = poll(file_client, path)

    assert (second.status_code, second.text) == (200, first.text)
    assert statements == []


@pytest.mark.parametrize("path", PAGES)
def test_where_nothing_changed_nothing_is_sent(file_client: Client, path: str) -> None:
    first = poll(file_client, path)
    again = poll(file_client, path, known=first)

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


# The page of run 4 counts seconds down until its job may alert again.
@pytest.mark.parametrize("path", sorted({*PAGES} - {"/runs/4"}))
def test_where_only_time_has_passed_nothing_is_sent(
    file_client: Client, later: Callable[[], None], path: str
) -> None:
    first = poll(file_client, path)
    later()
    second = come_back(file_client, path, known=first)
    later()
    third = come_back(file_client, path, known=first if second.status_code == 304 else second)

    # The mark of the present on the timeline may move once in two seconds, and not twice.
    assert 304 in (second.status_code, third.status_code)


@pytest.mark.usefixtures("later")
def test_the_first_poll_of_a_page_that_was_just_loaded_is_sent_nothing(file_client: Client) -> None:
    loaded = Page(file_client.get("/").text).by_id("live")
    tag = {"If-None-Match": loaded.attributes["data-tag"]}

    assert file_client.get("/", headers={**LIVE, **tag}).status_code == 304


def test_what_was_made_for_all_is_what_each_would_get(file_client: Client) -> None:
    shared = poll(file_client)
    plain = poll(file_client)
    bare = file_client.get(
        "/", headers={**LIVE, "Cache-Control": "max-age=5", "Accept-Encoding": "identity"}
    )

    assert shared.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in bare.headers
    assert shared.text == plain.text == bare.text
    assert shared.headers["Cache-Control"] == "no-store"
    assert 'id="watch"' in shared.text
    assert "<html" not in shared.text


def test_who_comes_back_sees_what_a_job_did_meanwhile(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(filled_file))
    first = poll(client)
    run(filled_file, "late_comer")

    assert "late_comer" in come_back(client, known=first).text
    assert "late_comer" in poll(client).text  # and so does every tab from then on


def test_a_write_of_the_page_is_on_it_at_the_next_poll_of_every_tab(file_client: Client) -> None:
    first = poll(file_client, "/alerts/1")
    assert "Resolve" in first.text
    answer = file_client.send_form("/alerts/resolve", {"alert_id": "1", "next": "/alerts/1"})
    assert answer.status_code == 303

    assert "resolved" in poll(file_client, "/alerts/1", known=first).text


def test_a_silence_that_a_program_sets_is_seen_as_well(file_client: Client) -> None:
    assert "silenced" not in poll(file_client).text
    silence = {"job": "payments", "reason": "moving", "ends_at": "9999-01-01T00:00:00Z"}
    file_client.post("/api/v1/silences", json=silence).raise_for_status()

    assert "silenced" in poll(file_client).text


def test_nothing_that_was_made_is_for_who_is_not_let_in(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    access = Access.by_login(user=USER, password=PASSWORD)
    application = application_at(filled_file, access=access)
    client, stranger = client_of(application), client_of(application)
    client.log_in(user=USER, password=PASSWORD)
    theirs = poll(client)

    assert theirs.status_code == 200
    assert poll(stranger).status_code == 401
    assert poll(stranger, known=theirs).status_code == 401


def test_a_zone_and_a_query_have_answers_of_their_own(file_client: Client) -> None:
    utc = poll(file_client)
    file_client.cookies.set("runguard_zone", "Asia/Seoul")
    seoul = poll(file_client)

    assert 'data-zone="UTC"' in utc.text
    assert 'data-zone="Asia/Seoul"' in seoul.text
    assert poll(file_client, "/?state=failing").text != seoul.text


def test_a_page_that_is_loaded_is_always_new(file_client: Client, statements: list[str]) -> None:
    poll(file_client)
    statements.clear()
    page = file_client.get("/", headers={"Cache-Control": "max-age=5"})

    assert "<html" in page.text
    assert statements
    assert "ETag" not in page.headers


class Application:
    """Stands for the pages: it says how often it was asked, and what it was told of who asks."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.may_answer = asyncio.Event()
        self.fails = False

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        said = f"answer {len(self.scopes)}".encode()
        await self.may_answer.wait()
        if self.fails:
            raise RuntimeError("no store")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})


async def ask(
    middleware: SharingMiddleware,
    method: str = "GET",
    *,
    visitor: Visitor = JIWON,
    root_path: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    path: str = "/",
    query: str = "",
) -> bytes:
    """Ask for a part as a tab does, and return what comes."""
    given = {"hx-request": "true", "cache-control": "max-age=5", **headers}
    body = b""

    async def send(message: Any) -> None:
        nonlocal body
        body += message.get("body", b"")

    scope = {
        "type": "http",
        "method": method,
        "root_path": root_path,
        "path": f"{root_path}{path}",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "state": {"visitor": visitor},
    }
    await middleware(scope, None, send)  # type: ignore[arg-type]
    return body


def test_tabs_that_come_together_wait_for_one_answer() -> None:
    async def scenario() -> None:
        application = Application()
        middleware = SharingMiddleware(application)
        tabs = [asyncio.create_task(ask(middleware)) for _ in range(50)]
        await asyncio.sleep(0)  # all of them have asked
        tabs[0].cancel()  # it leaves, and takes nothing away
        await asyncio.sleep(0)
        application.may_answer.set()

        assert set(await asyncio.gather(*tabs[1:])) == {b"answer 1"}

    asyncio.run(scenario())


def test_an_answer_is_made_anew_once_it_is_as_old_as_the_tab_allows() -> None:
    async def scenario() -> None:
        now = [100.0]
        application = Application()
        application.may_answer.set()
        middleware = SharingMiddleware(application, clock=lambda: now[0])
        assert await ask(middleware) == b"answer 1"
        now[0] += 4.9
        assert await ask(middleware) == b"answer 1"
        now[0] += 0.1
        assert await ask(middleware) == b"answer 2"
        now[0] += 31
        assert await ask(middleware, headers={"cache-control": "max-age=3600"}) == b"answer 3"

    asyncio.run(scenario())


def test_an_answer_that_was_begun_before_a_write_is_for_those_who_asked_before_it() -> None:
    async def scenario() -> None:
        application = Application()
        middleware = SharingMiddleware(application)
        before = asyncio.create_task(ask(middleware))
        await asyncio.sleep(0)
        write = asyncio.create_task(ask(middleware, "POST"))
        await asyncio.sleep(0)
        application.may_answer.set()

        assert (await write, await before) == (b"answer 2", b"answer 1")
        assert await ask(middleware) == b"answer 3"

    asyncio.run(scenario())


def test_users_and_prefixes_have_answers_of_their_own() -> None:
    async def scenario() -> None:
        application = Application()
        application.may_answer.set()
        middleware = SharingMiddleware(application)
        asked: list[dict[str, Any]] = [
            {},
            {"visitor": Visitor("minji", "session-8")},
            {"visitor": Visitor(USER)},
            {"visitor": Visitor()},
            {"root_path": "/ops"},
            {"visitor": Visitor(USER, "session-9")},  # another session of the same user
        ]
        answers = [await ask(middleware, **one) for one in asked]

        assert answers == [*(f"answer {n}".encode() for n in range(1, 6)), b"answer 1"]

    asyncio.run(scenario())


def test_what_needs_no_login_pushes_out_no_answer() -> None:
    async def scenario() -> None:
        application = Application()
        application.may_answer.set()
        middleware = SharingMiddleware(application, clock=lambda: 100.0)
        await ask(middleware)
        for number in range(MOST_ANSWERS):
            await ask(middleware, path="/health", query=str(number))

        assert await ask(middleware) == b"answer 1"

    asyncio.run(scenario())


def test_a_failure_is_everybodys_who_waited_and_is_not_kept() -> None:
    async def scenario() -> None:
        application = Application()
        application.fails = True
        application.may_answer.set()
        middleware = SharingMiddleware(application)
        tabs = [ask(middleware) for _ in range(3)]
        failed = await asyncio.gather(*tabs, return_exceptions=True)
        application.fails = False

        assert {str(one) for one in failed} == {"no store"}
        assert len(application.scopes) == 1
        assert await ask(middleware) == b"answer 2"

    asyncio.run(scenario())


def test_the_request_that_makes_it_holds_no_secret_and_nothing_else_of_who_asks() -> None:
    async def scenario() -> None:
        application = Application()
        application.may_answer.set()
        secrets = {"cookie": "runguard=s3cret; runguard_zone=UTC", "authorization": "Bearer s3cret"}
        await ask(SharingMiddleware(application), headers=secrets)
        [scope] = application.scopes

        assert "s3cret" not in repr(scope)
        assert "session-7" not in repr(scope)
        assert scope["state"]["visitor"].user == USER
        assert not re.search("accept|if-none|host", repr(scope["headers"]))

    asyncio.run(scenario())
