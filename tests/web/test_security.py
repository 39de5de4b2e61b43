"""Who gets in, who may change things, and what a browser is told to allow."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError
from runguard._web.app import build_app
from runguard._web.auth.access import LOCAL_NAMES, Access, basic_credentials, is_loopback
from runguard._web.auth.session import SESSION_SECONDS, Signer
from runguard._web.auth.throttle import (
    FREE_TRIES,
    LONGEST_WAIT_SECONDS,
    MOST_ADDRESSES,
    MOST_FAILURES_A_MINUTE,
    MOST_WAITING,
    MOST_WAITING_IN_ALL,
    TRIES_AT_ONCE,
    Throttle,
)
from tests.web.conftest import PASSWORD, TOKEN, USER
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.web.conftest import Client

PAGES = ["/", "/jobs/payments", "/runs", "/runs/1", "/alerts", "/alerts/1"]
WRITES = ["/alerts/resolve", "/alerts/review"]
BOTH = Access.by_login(token=TOKEN, user=USER, password=PASSWORD, hosts=LOCAL_NAMES)


@pytest.fixture
def client_with(
    filled_file: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> Callable[..., Client]:
    """A browser of an application with such access, over SQLite; more options are the browser's."""

    def make(access: Access, *, application: dict[str, Any] | None = None, **options: Any) -> Any:
        built = application_at(filled_file, access=access, **(application or {}))
        return client_of(built, **options)

    return make


@pytest.fixture
def guarded(client_with: Callable[..., Client]) -> Client:
    """A browser before a login by token, or by user and password."""
    return client_with(BOTH)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def cookie_named(answer: httpx.Response, part: str) -> str:
    [found] = [one for one in answer.headers.get_list("set-cookie") if part in one]
    return found


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/static/nothing.css", "/health"])
def test_every_answer_has_the_headers_that_keep_a_browser_in_check(
    file_client: Client, path: str
) -> None:
    headers = file_client.get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


def test_only_a_post_changes_something(file_client: Client) -> None:
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "FOO"):
        for path in ("/alerts/resolve", "/api/v1/alerts/resolve", "/runs/1", "/login"):
            assert file_client.request(method, path).status_code == 405


@pytest.mark.parametrize("host", ["localhost:abc", "localhost:99999999", "localhost:"])
def test_a_port_that_is_none_is_no_error(file_client: Client, host: str) -> None:
    assert file_client.get("/", headers={"Host": host}).status_code == 200


def test_pages_are_not_kept_by_any_cache(file_client: Client) -> None:
    assert file_client.get("/").headers["cache-control"] == "no-store"
    assert file_client.get("/api/v1/overview").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8722", "127.0.0.1:1", "[::1]:8722"])
def test_this_machine_is_known_by_its_own_names(file_client: Client, host: str) -> None:
    assert file_client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", ""])
@pytest.mark.parametrize("path", ["/", "/api/v1/overview", "/login"])
def test_a_foreign_name_that_leads_here_is_refused(
    file_client: Client, path: str, host: str
) -> None:
    answer = file_client.get(path, headers={"Host": host})

    assert answer.status_code == 421
    assert "payments" not in answer.text


def test_health_needs_neither_a_name_nor_a_login(guarded: Client) -> None:
    answer = guarded.get("/health", headers={"Host": "10.1.2.3"})

    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_login_a_page_is_the_login_form(guarded: Client, path: str) -> None:
    answer = guarded.get(path)

    assert answer.status_code == 401
    assert 'name="token"' in answer.text
    assert "payments" not in answer.text.replace("/jobs/payments", "")


@pytest.mark.parametrize("path", ["/overview", "/runs/1", "/openapi.json", "/nothing"])
def test_without_a_login_the_api_says_how(guarded: Client, path: str) -> None:
    answer = guarded.get(f"/api/v1{path}")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "Authorization: Bearer" in answer.json()["remedy"]


def test_a_script_in_a_browser_is_not_asked_by_the_browsers_own_window(guarded: Client) -> None:
    answer = guarded.get("/api/v1/overview", headers={"Sec-Fetch-Site": "same-origin"})

    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_live_page_whose_session_ended_reloads(guarded: Client) -> None:
    answer = guarded.get("/", headers={"HX-Request": "true"})

    assert (answer.status_code, answer.headers["hx-refresh"]) == (401, "true")


def test_a_link_from_elsewhere_brings_the_session_after_one_reload(guarded: Client) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    first = guarded.get("/runs/1", headers=elsewhere)
    second = guarded.get("/runs/1", headers={**elsewhere, "Sec-Fetch-Site": "same-origin"})

    assert first.status_code == 200
    assert '<meta http-equiv="refresh" content="0">' in first.text
    assert second.status_code == 401


@pytest.mark.parametrize("headers", [bearer(TOKEN), basic(USER, PASSWORD)], ids=["token", "user"])
def test_credentials_of_a_program_let_it_in(guarded: Client, headers: dict[str, str]) -> None:
    assert guarded.get("/api/v1/overview", headers=headers).status_code == 200
    assert guarded.get("/api/v1/overview").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        bearer(""),
        bearer(TOKEN[:-1]),
        bearer(f"{TOKEN}x"),
        bearer(PASSWORD),
        basic(USER, TOKEN),
        basic(USER, ""),
        basic("", PASSWORD),
        basic(USER.upper(), PASSWORD),
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic"},
    ],
)
def test_wrong_credentials_do_not(guarded: Client, headers: dict[str, str]) -> None:
    answer = guarded.get("/api/v1/overview", headers=headers)

    assert answer.status_code == 401
    assert "are wrong" in answer.json()["detail"]


@pytest.mark.parametrize(
    "fields",
    [{"token": TOKEN}, {"token": f" {TOKEN} "}, {"user": USER, "password": PASSWORD}],
    ids=["token", "pasted token", "password"],
)
def test_a_login_lasts_for_the_visit(guarded: Client, fields: dict[str, str]) -> None:
    answer = guarded.log_in(**fields, next="/runs?status=FAILED")

    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?status=FAILED")
    assert guarded.get("/api/v1/overview").status_code == 200
    assert guarded.get("/login").headers["location"] == "/"


def test_the_session_is_a_cookie_that_no_script_reads(
    guarded: Client, client_with: Callable[..., Client]
) -> None:
    plain = cookie_named(guarded.log_in(token=TOKEN), "session")
    encrypted = client_with(BOTH, at="https://localhost").log_in(token=TOKEN)

    assert plain.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert "Max-Age" not in plain
    assert cookie_named(encrypted, "session").endswith("; HttpOnly; SameSite=Strict; Secure")
    assert TOKEN not in plain


def test_two_pages_on_one_machine_keep_their_sessions_apart(
    client_with: Callable[..., Client],
) -> None:
    one, other = (client_with(BOTH, at=f"http://localhost:{port}") for port in (8722, 8723))

    names = {
        cookie_named(each.log_in(token=TOKEN), "session").partition("=")[0] for each in (one, other)
    }
    assert len(names) == 2


@pytest.mark.parametrize(
    "fields", [{"token": "wrong"}, {"user": USER, "password": "wrong"}, {"user": USER}, {}]
)
def test_a_wrong_login_is_asked_again(guarded: Client, fields: dict[str, str]) -> None:
    answer = guarded.log_in(**fields)

    assert answer.status_code == 401
    assert guarded.get("/api/v1/overview").status_code == 401


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example/x",
        "https://evil.example",
        "/\\evil.example",
        "javascript:x",
        "",
        "//[",
        "/\t/x",
    ],
)
def test_a_login_never_leads_elsewhere(guarded: Client, elsewhere: str) -> None:
    assert guarded.log_in(token=TOKEN, next=elsewhere).headers["location"] == "/"


def test_a_login_from_another_site_is_refused(guarded: Client) -> None:
    answer = guarded.send_form(
        "/login", {"token": TOKEN}, headers={"Origin": "http://evil.example"}
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_logging_out_ends_it(guarded: Client) -> None:
    guarded.log_in(token=TOKEN)
    copied = dict(guarded.cookies)
    answer = guarded.send_form("/logout", {})

    assert answer.status_code == 303
    assert guarded.get("/api/v1/overview").status_code == 401
    guarded.cookies.update(copied)
    assert guarded.get("/api/v1/overview").status_code == 401


def test_a_changed_or_old_session_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    signer, other = Signer(BOTH), Signer(BOTH)
    cookie = signer.new_session("jiwon")
    content, _, signature = cookie.rpartition(".")

    session = signer.session(cookie)
    assert session is not None
    assert session.user == "jiwon"
    assert other.session(cookie) is None
    for changed in (f"x{cookie}", f"{content}.{signature[:-2]}", content, ".", "é.é", "x" * 9999):
        assert signer.session(changed) is None
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + SESSION_SECONDS + 2)
    assert signer.session(cookie) is None


def test_processes_that_share_a_secret_know_each_others_sessions_until_the_token_changes() -> None:
    cookie = Signer(BOTH, "shared between workers").new_session(None)
    changed = Access.by_login(token="another-token-that-is-long")

    assert Signer(BOTH, "shared between workers").session(cookie) is not None
    assert Signer(changed, "shared between workers").session(cookie) is None


class Waits(list[float]):
    """Notes how long somebody would wait."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


def test_guessing_is_slowed_down_and_the_right_secret_still_opens(
    client_with: Callable[..., Client],
) -> None:
    waits = Waits()
    guarded = client_with(BOTH, application={"throttle": Throttle(sleep=waits.sleep)})
    wrong = [guarded.get("/api/v1/runs", headers=bearer("wrong")) for _ in range(FREE_TRIES)]
    free = len(waits)
    wrong.append(guarded.log_in(token="wrong again"))
    right = guarded.log_in(token=TOKEN)

    assert {one.status_code for one in wrong} == {401}
    assert (free, waits) == (0, [0.5, 1.0])
    assert (right.status_code, right.headers["location"]) == (303, "/")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_further_failure_doubles_the_wait_up_to_a_bound() -> None:
    throttle = Throttle(clock=Clock())
    waits = []
    for _ in range(FREE_TRIES + 12):
        throttle.failed("10.0.0.1")
        waits.append(throttle.seconds_to_wait("10.0.0.1"))

    assert waits[: FREE_TRIES + 3] == [0] * (FREE_TRIES - 1) + [0.5, 1, 2, 4]
    assert waits[-1] == LONGEST_WAIT_SECONDS


def test_a_success_and_a_long_silence_forgive() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for address in ("10.0.0.1", "10.0.0.2"):
        for _ in range(FREE_TRIES):
            throttle.failed(address)
    throttle.succeeded("10.0.0.1")
    clock.now += 3601

    assert throttle.seconds_to_wait("10.0.0.1") == 0
    assert throttle.seconds_to_wait("10.0.0.2") == 0


def test_addresses_of_one_network_count_as_one() -> None:
    throttle = Throttle(clock=Clock())
    for number in range(FREE_TRIES):
        throttle.failed(f"2001:db8::{number}")

    assert throttle.seconds_to_wait("2001:db8::ffff") == 0.5
    assert throttle.seconds_to_wait("2001:db8:1::1") == 0
    assert throttle.seconds_to_wait("::ffff:10.0.0.1") == throttle.seconds_to_wait("10.0.0.1")


def test_many_addresses_together_are_slowed_down_but_not_those_who_were_right() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    throttle.succeeded("192.0.2.1")
    for number in range(MOST_FAILURES_A_MINUTE):
        throttle.failed(f"10.0.{number // 200}.{number % 200}")

    assert throttle.seconds_to_wait("198.51.100.1") == 1
    assert throttle.seconds_to_wait("192.0.2.1") == 0
    clock.now += 60
    assert throttle.seconds_to_wait("198.51.100.1") == 0


def test_a_crowd_of_guesses_from_one_address_is_looked_at_a_few_at_a_time() -> None:
    waiting: list[asyncio.Future[None]] = []

    async def sleep(_seconds: float) -> None:
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]

    async def crowd() -> tuple[int, list[bool], int]:
        throttle = Throttle(clock=Clock(), sleep=sleep)
        for _ in range(FREE_TRIES):
            throttle.failed("10.0.0.1")
        tries = [asyncio.create_task(throttle.wait("10.0.0.1")) for _ in range(MOST_WAITING + 1)]
        await asyncio.sleep(0)
        at_once = len(waiting)
        refused = [one.result() for one in tries if one.done()]
        while not all(one.done() for one in tries):
            for one in waiting:
                if not one.done():
                    one.set_result(None)
            await asyncio.sleep(0)
        return at_once, refused, sum(one.result() for one in tries)

    assert asyncio.run(crowd()) == (TRIES_AT_ONCE, [False], MOST_WAITING)


def test_guesses_from_many_addresses_leave_places_for_others() -> None:
    async def sleep(_seconds: float) -> None:
        await asyncio.get_running_loop().create_future()

    async def crowd() -> tuple[int, bool]:
        throttle = Throttle(clock=Clock(), sleep=sleep)
        addresses = [f"10.0.0.{one}" for one in range(MOST_WAITING_IN_ALL + 5)]
        for address in addresses:
            for _ in range(FREE_TRIES):
                throttle.failed(address)
        tries = [asyncio.create_task(throttle.wait(address)) for address in addresses]
        await asyncio.sleep(0)
        refused = sum(one.done() for one in tries)
        newcomer = await throttle.wait("192.0.2.1")
        for one in tries:
            one.cancel()
        return refused, newcomer

    assert asyncio.run(crowd()) == (5, True)


def test_what_the_throttle_remembers_is_bounded() -> None:
    throttle = Throttle(clock=Clock())
    for number in range(MOST_ADDRESSES + 100):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        throttle.succeeded(f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}")

    assert len(throttle._failures) == len(throttle._trusted) == MOST_ADDRESSES


@pytest.mark.parametrize("path", [*WRITES, "/login", "/logout"])
def test_a_form_that_does_not_say_from_where_changes_nothing(
    file_client: Client, path: str
) -> None:
    answer = file_client.post(path, data={"alert_id": "1", "review_status": "DONE"})

    assert answer.status_code == 403
    assert "found neither Origin nor Sec-Fetch-Site" in Page(answer.text).text
    alert = file_client.get("/api/v1/alerts/1").json()["alert"]
    assert (alert["resolved"], alert["review_status"]) == (False, "AUTO")


@pytest.mark.parametrize("path", [*WRITES, "/login", "/logout", "/api/v1/alerts/resolve"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"},
    ],
    ids=str,
)
def test_no_write_is_taken_from_another_site_with_a_session_or_without(
    guarded: Client, path: str, headers: dict[str, str]
) -> None:
    guarded.log_in(token=TOKEN)
    sent: dict[str, Any] = {"data": {"alert_id": "1"}}
    if path.startswith("/api/"):
        sent = {"json": {"alert_ids": [1]}}
    answer = guarded.post(path, headers=headers, **sent)

    assert answer.status_code == 403
    assert guarded.get("/api/v1/alerts/1").json()["alert"]["resolved"] is False


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({"Origin": "http://localhost:8722"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8722"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost:8722.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[::1"}, 403),
    ],
)
def test_what_changes_something_must_come_from_a_page_of_ours(
    file_client: Client, headers: dict[str, str], status: int
) -> None:
    answer = file_client.post("/api/v1/alerts/resolve", json={"alert_ids": [1]}, headers=headers)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "credentials", [basic(USER, PASSWORD), bearer(TOKEN)], ids=["basic", "token"]
)
def test_what_a_browser_remembers_is_not_enough_for_a_write_from_elsewhere(
    guarded: Client, credentials: dict[str, str]
) -> None:
    headers = {**credentials, "Sec-Fetch-Site": "cross-site"}
    answer = guarded.post("/api/v1/alerts/resolve", json={"alert_ids": [1]}, headers=headers)

    assert answer.status_code == 403


def test_what_a_page_may_send_anywhere_without_asking_is_no_write_to_the_api(
    file_client: Client,
) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = file_client.post(
            "/api/v1/alerts/resolve",
            content=b'{"alert_ids": [1]}',
            headers={"Content-Type": kind} if kind else {},
        )

        assert answer.status_code == 415
    asked = file_client.request(
        "OPTIONS",
        "/api/v1/alerts/resolve",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert asked.status_code == 405
    assert "access-control-allow-origin" not in asked.headers


def test_a_bearer_token_is_enough_for_a_write(guarded: Client) -> None:
    headers = {**bearer(TOKEN), "Origin": "http://localhost:8722"}
    answer = guarded.post("/api/v1/alerts/resolve", json={"alert_ids": [1]}, headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/overview", "/api/v1/runs/1"])
def test_the_store_is_never_asked_on_the_event_loop(
    open_store_at: Callable[[str], Any],
    client_of: Callable[..., Client],
    filled_file: str,
    path: str,
) -> None:
    store, on_a_loop = open_store_at(filled_file), []

    def store_of() -> Any:
        with contextlib.suppress(RuntimeError):
            on_a_loop.append(asyncio.get_running_loop())
        return store

    application = build_app(store_of, read_only=False, access=Access("open"))
    answer = client_of(application).get(path)

    assert (answer.status_code, on_a_loop) == (200, [])


def test_nothing_is_read_of_a_body_before_the_login(guarded: Client) -> None:
    answer = guarded.post("/api/v1/alerts/resolve", content=b"x" * 200_000)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("&".join(f"ids={number}" for number in range(1001)), 400),
        ("ids=" + "9" * 70_000, 413),
        (b"ids=%ff", 400),
    ],
    ids=["fields", "bytes", "encoding"],
)
def test_a_form_is_bounded(file_client: Client, content: str | bytes, status: int) -> None:
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": "http://localhost:8722",
    }

    assert file_client.post(WRITES[0], content=content, headers=headers).status_code == status


def test_read_only_refuses_every_write(client_with: Callable[..., Client]) -> None:
    client = client_with(Access("open"), application={"read_only": True})
    form = client.send_form("/alerts/resolve", {"alert_ids": "1"})
    api = client.post("/api/v1/alerts/resolve", json={"alert_ids": [1]})

    assert (form.status_code, api.status_code) == (403, 403)
    assert client.get("/api/v1/alerts/1").json()["alert"]["resolved"] is False
    assert client.get("/api/v1/session").json()["read_only"] is True


def test_read_only_still_lets_people_in_and_out(client_with: Callable[..., Client]) -> None:
    client = client_with(BOTH, application={"read_only": True})

    assert client.log_in(token=TOKEN).status_code == 303
    assert client.send_form("/logout", {}).status_code == 303


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"user": USER, "password": PASSWORD}, USER),
        ({"token": TOKEN, "name": "하늘"}, "하늘"),
        ({"token": TOKEN}, "named in the request"),
    ],
)
def test_the_login_says_who_resolved(guarded: Client, fields: dict[str, str], name: str) -> None:
    guarded.log_in(**fields)
    answer = guarded.post(
        "/api/v1/alerts/resolve", json={"alert_ids": [1], "by": "named in the request"}
    )

    assert answer.json()["alerts"][0]["resolved_by"] == name


def test_on_this_machine_it_is_its_user(
    file_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "operator")
    answer = file_client.post("/api/v1/alerts/resolve", json={"alert_ids": [1]})

    assert answer.json()["alerts"][0]["resolved_by"] == "operator"


def test_no_secret_is_in_a_log_an_answer_or_a_text_of_ours(
    guarded: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        guarded.log_in(token=f"{TOKEN}x"),
        guarded.log_in(user=USER, password=f"{PASSWORD}x"),
        guarded.get("/api/v1/runs", headers=bearer(f"{TOKEN}x")),
        guarded.log_in(token=TOKEN),
        guarded.get("/nothing"),
    ]

    seen = "".join([*(f"{one.headers}{one.text}" for one in answers), caplog.text, repr(BOTH)])
    assert TOKEN not in seen
    assert PASSWORD not in seen


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "expected a token, or a user and a password, found neither"),
        ({"token": "short"}, "expected at least 16 characters, found 5; make one: "),
        ({"user": "jiwon"}, "expected a user and a password, found one of them only"),
        ({"password": PASSWORD}, "expected a user and a password, found one of them only"),
        ({"user": "a:b", "password": PASSWORD}, "expected a name without ':'"),
        ({"user": "jiwon", "password": "short"}, "expected at least 8 characters"),
    ],
)
def test_weak_credentials_are_refused_and_not_repeated(given: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Access.by_login(**given)

    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("0.0.0.0", False), ("x", False)],
)
def test_loopback_is_known(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


def test_a_password_may_hold_a_colon() -> None:
    encoded = base64.b64encode(b"jiwon:a:b").decode()

    assert basic_credentials(encoded) == ("jiwon", "a:b")
