"""Inside an application of one's own: any prefix, its login in front, its store or another."""

from __future__ import annotations

import logging
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import create_engine
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Mount

import runguard
from runguard import ConfigurationError
from runguard.web import create_app
from tests.web.conftest import PASSWORD, TOKEN, USER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.web.conftest import Client

PREFIX = "/ops/runguard"
PAGES = ["/", "/jobs/payments", "/runs", "/runs/1", "/alerts", "/alerts/1", "/nothing"]


def starlette_around(application: Any, **options: Any) -> Starlette:
    return Starlette(routes=[Mount(PREFIX, application)], **options)


def fastapi_around(application: Any) -> FastAPI:
    host = FastAPI()
    host.mount(PREFIX, application)
    return host


@pytest.mark.parametrize("around", [starlette_around, fastapi_around])
@pytest.mark.parametrize("path", PAGES)
def test_every_address_on_a_page_stays_below_the_prefix(
    filled_file: str,
    application_at: Callable[..., Any],
    client_of: Callable[..., Client],
    around: Callable[[Any], Any],
    path: str,
) -> None:
    client = client_of(around(application_at(filled_file)), prefix=PREFIX)
    for headers in ({}, {"HX-Request": "true"}):  # the page, and what updates it
        answer = client.get(path, headers=headers)

        assert answer.status_code == (404 if path == "/nothing" else 200)
        addresses = re.findall(r'(?:href|src|action|hx-\w+)="(/[^"]*)"', answer.text)
        assert [one for one in addresses if not one.startswith(PREFIX)] == []


def test_a_login_and_its_cookies_stay_below_the_prefix(
    filled_file: str, client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=filled_file)
    client = client_of(starlette_around(create_app(token=TOKEN)), prefix=PREFIX)
    answer = client.log_in(token=TOKEN, next="/runs")

    assert answer.headers["location"] == f"{PREFIX}/runs"
    assert all(f"; Path={PREFIX};" in one for one in answer.headers.get_list("set-cookie"))
    assert client.get("/api/v1/overview").status_code == 200


def test_the_hosts_own_login_stands_in_front(
    filled_file: str, client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=filled_file)
    host = fastapi_around(create_app(access="host"))

    @host.middleware("http")
    async def only_known(request: Request, call_next: Any) -> Any:
        known = request.headers.get("x-key") == "known"
        return await call_next(request) if known else PlainTextResponse("who?", status_code=401)

    client = client_of(host, at="https://ops.example", prefix=PREFIX)

    assert client.get("/", headers={"X-Key": "known"}).status_code == 200
    assert client.get("/").text == "who?"


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser] | None:
        name = conn.headers.get("x-user")
        return None if name is None else (AuthCredentials(["operator"]), SimpleUser(name))


@pytest.mark.parametrize(
    ("headers", "sent", "who"),
    [
        ({"X-User": "jiwon"}, {"by": "somebody else"}, "jiwon"),
        ({}, {"by": "하늘"}, "하늘"),
        ({}, {}, "web"),
    ],
)
def test_the_hosts_user_is_who_resolved(
    filled_file: str,
    client_of: Callable[..., Client],
    headers: dict[str, str],
    sent: dict[str, str],
    who: str,
) -> None:
    runguard.configure(database_url=filled_file)
    authentication = Middleware(AuthenticationMiddleware, backend=ByHeader())
    host = starlette_around(create_app(access="host"), middleware=[authentication])
    client = client_of(host, prefix=PREFIX)
    answer = client.post("/api/v1/alerts/resolve", json={"alert_ids": [1], **sent}, headers=headers)

    assert answer.json()["alerts"][0]["resolved_by"] == who


def test_the_host_may_name_the_user_itself(
    filled_file: str, client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=filled_file)
    application = create_app(access="host", actor_of=lambda request: request.headers["x-name"])
    client = client_of(starlette_around(application), prefix=PREFIX)
    answer = client.post(
        "/api/v1/alerts/resolve", json={"alert_ids": [1]}, headers={"X-Name": "on call"}
    )

    assert answer.json()["alerts"][0]["resolved_by"] == "on call"


def test_what_the_application_keeps_for_a_request_does_not_reach_the_host(
    filled_file: str, client_of: Callable[..., Client]
) -> None:
    seen: list[dict[str, Any]] = []
    runguard.configure(database_url=filled_file)
    inner = starlette_around(create_app(access="host"))

    async def host(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {"mine": 1}
        await inner(scope, receive, send)
        seen.append(dict(scope["state"]))

    client_of(host, prefix=PREFIX).get("/")

    assert seen == [{"mine": 1}]


def test_it_uses_the_store_of_the_process(
    client_of: Callable[..., Client], sqlite_url: str
) -> None:
    runguard.configure(database_url=sqlite_url)
    client = client_of(create_app(access="host"))
    with runguard.run_scope("in_this_process"):
        pass

    [one] = client.get("/api/v1/overview").json()["jobs"]
    assert one["job"]["job_name"] == "in_this_process"


def test_it_takes_another_store_by_its_engine(
    client_of: Callable[..., Client], filled_file: str
) -> None:
    engine = create_engine(filled_file)
    client = client_of(create_app(access="host", engine=engine))

    assert len(client.get("/api/v1/overview").json()["jobs"]) == 4
    engine.dispose()


def test_nothing_is_connected_before_the_first_request() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        app = create_app(access="host", database_url=f"postgresql://nobody@127.0.0.1:{port}/none")

        assert app.routes
        with pytest.raises(BlockingIOError):  # nobody stands at the door
            server.accept()


def test_own_patterns_reach_what_the_pages_log(
    client_of: Callable[..., Client], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    runguard.configure(database_url=f"sqlite:///{tmp_path / 'x.db'}", redact=[r"member-\d+"])
    (tmp_path / "member-900101").write_text("a file where a folder should be")
    app = create_app(access="host", database_url=f"sqlite:///{tmp_path / 'member-900101' / 'x.db'}")

    assert client_of(app).get("/").status_code == 503
    assert "runguard.internal_error" in caplog.text
    assert "member-900101" not in caplog.text


def test_a_setting_that_cannot_be_used_is_told(
    monkeypatch: pytest.MonkeyPatch, client_of: Callable[..., Client]
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"postgresql//u:{PASSWORD}@h/d")
    monkeypatch.setattr(logging.getLogger("runguard"), "level", logging.CRITICAL)
    answer = client_of(create_app(access="host")).get("/api/v1/overview")

    assert answer.status_code == 500
    assert "RUNGUARD_DATABASE_URL: expected a URL" in answer.json()["detail"]
    assert PASSWORD not in answer.text


def test_several_processes_share_a_secret(
    filled_file: str, client_of: Callable[..., Client]
) -> None:
    runguard.configure(database_url=filled_file)
    one, other = (
        client_of(create_app(token=TOKEN, secret="between the workers")) for _ in range(2)
    )
    one.log_in(token=TOKEN)
    other.cookies.update(one.cookies)

    assert other.get("/api/v1/overview").status_code == 200


@pytest.mark.parametrize(
    ("environ", "fields"),
    [
        ({"RUNGUARD_WEB_TOKEN": TOKEN}, {"token": TOKEN}),
        (
            {"RUNGUARD_WEB_USER": USER, "RUNGUARD_WEB_PASSWORD": PASSWORD},
            {"user": USER, "password": PASSWORD},
        ),
    ],
    ids=["token", "password"],
)
def test_the_environment_may_say_who_comes_in(
    environ: dict[str, str],
    fields: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    client_of: Callable[..., Client],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "runguard")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client = client_of(create_app())
    client.log_in(**fields)

    assert client.get("/api/v1/overview").status_code == 200
    assert "unknown_setting" not in caplog.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "expected a login, found none"),
        ({"access": "everyone"}, "access: expected 'host' or 'login', found 'everyone'"),
        ({"access": "host", "token": TOKEN}, "found 'host', which uses none"),
        ({"token": "short"}, "expected at least 16 characters"),
        ({"access": "host", "database_url": "mysql://x/y"}, "found the backend 'mysql'"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        create_app(**options)

    assert said in str(caught.value)
