"""`runguard web` as a process: a real server on a real port, started and stopped."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from runguard import ConfigurationError, run_scope
from runguard._store.migrate import upgrade
from runguard._web.app import STATIC_FOLDER, build_app
from runguard._web.server import access_for, bind, url_of
from tests.cli.conftest import cli
from tests.support.mail_server import MailServer
from tests.support.processes import until
from tests.support.stores import open_store
from tests.web.conftest import OPEN, PASSWORD, TOKEN, USER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.conftest import Answer
    from tests.web.conftest import Client

__all__ = ["cli"]

PROGRAM = Path(sys.executable).with_name("runguard")
FILES = sorted(
    path.relative_to(STATIC_FOLDER).as_posix()
    for path in STATIC_FOLDER.rglob("*")
    if path.is_file()
)
GREETING = re.compile(r"runguard web: (http://\S+/)( \(read-only\))?")
WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
{code}
"""


@contextmanager
def served(*arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `runguard web`; gives the process and the line that it greets with."""
    process = subprocess.Popen(
        [PROGRAM, "web", *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stderr is not None
            yield process, process.stderr.readline()
        finally:
            process.kill()


def refused(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "web", "--port", "0", *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def address_in(line: str) -> str:
    found = GREETING.match(line)
    assert found is not None, line
    return found[1]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_serves_and_ends_cleanly(filled_file: str, end: int) -> None:
    with served("--port", "0", "--database-url", filled_file) as (process, greeting):
        address = address_in(greeting)
        overview = httpx.get(f"{address}api/v1/overview", timeout=60).json()
        process.send_signal(end)
        stdout, stderr = process.communicate(timeout=30)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    assert len(overview["jobs"]) == 4
    assert (process.returncode, stdout, stderr) == (0, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0", "--read-only"],
        ["--port", "0", "--host", "0.0.0.0", "--token-file", "TOKEN"],
        ["--port", "0", "--host", "localhost"],
    ],
    ids=" ".join,
)
def test_the_ways_to_start_it_work(filled_file: str, tmp_path: Path, arguments: list[str]) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    given = [str(file) if one == "TOKEN" else one for one in arguments]

    with served(*given, RUNGUARD_DATABASE_URL=filled_file) as (process, greeting):
        port = address_in(greeting).rpartition(":")[2]
        answer = httpx.get(
            f"http://127.0.0.1:{port}api/v1/session",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)

    assert answer.json()["read_only"] is ("--read-only" in arguments)
    assert process.returncode == 0


def test_an_allowed_name_without_a_login_is_a_warning(filled_file: str) -> None:
    arguments = ("--port", "0", "--allow-host", "ops.example", "--database-url", filled_file)
    with served(*arguments) as (process, warning):
        assert process.stderr is not None
        address = address_in(process.stderr.readline())
        answer = httpx.get(f"{address}api/v1/session", headers={"Host": "ops.example"}, timeout=60)

    assert "There is no login" in warning
    assert answer.status_code == 200


def test_nothing_of_a_request_is_written_anywhere_and_the_same_mistake_once(
    filled_file: str,
) -> None:
    secret = "a-secret-in-an-address"
    with served("--port", "0", RUNGUARD_DATABASE_URL=filled_file) as (process, greeting):
        address = httpx.URL(address_in(greeting))
        httpx.get(f"{address}?token={secret}", timeout=60)
        for _ in range(50):
            with socket.create_connection((address.host, address.port), timeout=20) as client:
                client.sendall(f"no request {secret}\r\n\r\n".encode())
                assert client.recv(100).startswith(b"HTTP/1.1 400")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert secret not in stdout + stderr
    assert stderr.splitlines() == ["Invalid HTTP request received."]


def test_a_proxy_may_take_a_prefix_away(filled_file: str) -> None:
    arguments = ("--port", "0", "--root-path", "/ops/", "--database-url", filled_file)
    with served(*arguments) as (_, greeting):
        address = address_in(greeting)
        document = httpx.get(
            f"{address.removesuffix('ops/')}api/v1/openapi.json", timeout=60
        ).json()

    assert address.endswith("/ops/")
    assert document["servers"] == [{"url": "/ops/api/v1"}]


def test_a_taken_port_is_said_with_the_remedy(filled_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = refused("--port", port, "--database-url", filled_file)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"found {port} in use" in done.stderr
    assert "--port 0" in done.stderr


def test_other_machines_are_let_in_only_with_a_login(filled_file: str) -> None:
    done = refused("--host", "0.0.0.0", "--database-url", filled_file)

    assert done.returncode == 2
    assert "expected a token, or a user and a password, found neither" in done.stderr
    assert "RUNGUARD_WEB_TOKEN" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--host", "no such name"], {}, "--host: expected an address of this machine"),
        (["--host", "192.0.2.1"], {}, "--host: expected an address of this machine"),
        (["--token-file", "/nothing/there"], {}, "--token-file: expected a file with a token"),
        (["--root-path", "x"], {}, "--root-path: expected a path such as /x"),
        (["--proxy", "nobody"], {}, "--proxy: expected an address or a network such as 10.0.0.0/8"),
        ([], {"RUNGUARD_WEB_TOKEN": "short"}, "the token: expected at least 16 characters"),
        ([], {"RUNGUARD_WEB_USER": "jiwon"}, "expected a user and a password"),
        (["--database-url", "mysql://x/y"], {}, "--database-url: expected a URL"),
    ],
)
def test_what_cannot_be_used_is_code_2_and_one_line(
    cli: Callable[..., Answer],
    filled_file: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    arguments: list[str],
    environ: dict[str, str],
    said: str,
) -> None:
    def serve(*_: object) -> None:
        pytest.fail("it serves")

    monkeypatch.setattr("uvicorn.Server.run", serve)
    done = cli(
        "web", "--port", "0", *arguments, **{"RUNGUARD_DATABASE_URL": filled_file, **environ}
    )

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("runguard: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_schema_is_code_4(pg_url: str) -> None:
    done = refused("--database-url", pg_url)

    assert done.returncode == 4
    assert "runguard db upgrade" in done.stderr


def test_a_store_that_is_away_is_code_3() -> None:
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:1/nothing"
    done = refused("--database-url", url, RUNGUARD_STORE_TIMEOUT_SECONDS="0.2")

    assert done.returncode == 3
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["fastapi", "itsdangerous", "jinja2", "starlette", "uvicorn"])
def test_without_the_extra_the_command_says_how_to_get_it(missing: str) -> None:
    code = "sys.argv = ['runguard', 'web']\nfrom runguard.__main__ import main\nsys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name=missing, code=code)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'runguard-runlog[web]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_the_extra_create_app_says_how_to_get_it() -> None:
    code = (
        "from runguard.web import create_app\n"
        "try:\n    create_app(access='host')\n"
        "except ModuleNotFoundError as missing:\n    print(missing)"
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(name="starlette", code=code)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "pip install 'runguard-runlog[web]'" in done.stdout


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_ours_is_sent_with_its_kind_and_kept_as_long_as_its_address(
    client_of: Callable[..., Client], file: str
) -> None:
    client = client_of(build_app(list, read_only=True, access=OPEN))  # type: ignore[arg-type]
    kept, asked_again = client.get(f"/static/{file}?v=1"), client.get(f"/static/{file}")

    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert kept.status_code == 200
    assert kept.headers["content-type"].startswith(kinds.get(Path(file).suffix, ""))
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asked_again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["../pages.py", "%2e%2e/pages.py", "..%2fpages.py", "%00", "vendor", "/etc/passwd"]
)
def test_no_other_file_is_sent(client_of: Callable[..., Client], path: str) -> None:
    client = client_of(build_app(list, read_only=True, access=OPEN))  # type: ignore[arg-type]

    assert client.get(f"/static/{path}").status_code == 404


def read_only_url(url: str) -> str:
    """The same database for a role whose transactions may not write, as on a standby."""
    parsed = make_url(url)
    with psycopg.connect(
        parsed.set(drivername="postgresql").render_as_string(hide_password=False),
        autocommit=True,
    ) as connection:
        connection.execute(
            f'alter database "{parsed.database}" set default_transaction_read_only = on'
        )
    return url


def test_a_standby_is_found_out_at_the_start(filled_pg_url: str) -> None:
    with served("--port", "0", "--database-url", read_only_url(filled_pg_url)) as (_, greeting):
        address = address_in(greeting)
        session = httpx.get(f"{address}api/v1/session", timeout=60).json()
        overview = httpx.get(f"{address}api/v1/overview", timeout=60).json()

    assert "(read-only)" in greeting
    assert session["read_only"] is True
    assert len(overview["jobs"]) == 4


def test_a_store_that_became_read_only_says_so(
    filled_pg_url: str, application_at: Callable[..., Any], client_of: Callable[..., Client]
) -> None:
    client = client_of(application_at(read_only_url(filled_pg_url)))
    answer = client.post("/api/v1/alerts/resolve", json={"alert_ids": [1]})

    assert answer.status_code == 403
    assert "accepts no writes" in answer.json()["detail"]
    assert client.get("/api/v1/runs").status_code == 200


def test_a_role_that_may_only_read_sees_everything_and_is_told(
    filled_pg_url: str,
    postgres: Any,
    application_at: Callable[..., Any],
    client_of: Callable[..., Client],
) -> None:
    parsed = make_url(filled_pg_url)
    role = f"reader_of_{parsed.database}"
    with postgres.connect(parsed.database) as connection:
        connection.execute(f'create role "{role}" login')
        connection.execute(f'grant select on all tables in schema public to "{role}"')
    try:
        client = client_of(application_at(parsed.set(username=role).render_as_string(False)))
        reads = [
            client.get(f"/api/v1/{path}").status_code
            for path in ("overview", "runs", "runs/1", "alerts", "alerts/1", "failures")
        ]
        write = client.post("/api/v1/alerts/resolve", json={"alert_ids": [1]})
    finally:
        with postgres.connect(parsed.database) as connection:
            connection.execute(f'drop owned by "{role}"')
            connection.execute(f'drop role "{role}"')

    assert reads == [200] * 6
    assert write.status_code == 403
    assert "may not do this" in write.json()["detail"]


def test_a_store_that_is_away_is_503_and_comes_back(
    private_postgres: Callable[..., Any],
    application_at: Callable[..., Any],
    client_of: Callable[..., Client],
) -> None:
    server = private_postgres()
    upgrade(server.url())
    client = client_of(application_at(server.url()))
    before = client.get("/api/v1/overview").status_code
    server.stop()
    page, api = client.get("/alerts/1"), client.get("/api/v1/overview")
    server.start()

    assert before == 200
    assert (api.status_code, api.headers["retry-after"]) == (503, "5")
    assert api.json()["title"] == "Service Unavailable"
    assert page.status_code in (200, 503)
    assert client.get("/api/v1/overview").status_code == 200


def test_a_fault_of_our_own_shows_no_traceback(
    client_of: Callable[..., Client], caplog: pytest.LogCaptureFixture
) -> None:
    secret = "hunter2geheim"

    def broken() -> Any:
        raise ZeroDivisionError(f"a bug, and postgresql://u:{secret}@h/d")

    application = build_app(broken, read_only=False, access=OPEN)
    answer = client_of(application).get("/api/v1/overview")

    assert answer.status_code == 500
    assert "ZeroDivisionError" not in answer.text
    assert secret not in answer.text + caplog.text
    assert "runguard.internal_error" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def socket_at() -> Iterator[Callable[[str], socket.socket]]:
    made = []

    def make(host: str) -> socket.socket:
        made.append(bind(host, 0))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_on_loopback_only_its_names_and_the_allowed_ones_are_known(
    socket_at: Callable[[str], socket.socket],
) -> None:
    nothing = {"token": None, "user": None, "password": None}
    access = access_for(socket_at("127.0.0.1"), **nothing, allow_hosts=["Ops.Example:443"])

    assert access.kind == "open"
    assert access.allows_host("ops.example")
    assert access.allows_host("127.0.0.1:8722")
    assert not access.allows_host("example")


def test_elsewhere_every_name_is_known_unless_some_are_given(
    socket_at: Callable[[str], socket.socket],
) -> None:
    login = {"token": None, "user": USER, "password": PASSWORD}
    everywhere = socket_at("0.0.0.0")

    assert access_for(everywhere, **login).allows_host("any.example")
    named = access_for(everywhere, **login, allow_hosts=["ops.example"])
    assert not named.allows_host("any.example")
    with pytest.raises(ConfigurationError, match="other machines can reach it"):
        access_for(everywhere, token=None, user=None, password=None)


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
    ],
)
def test_the_address_can_be_typed_into_a_browser(
    socket_at: Callable[[str], socket.socket], host: str, shown: str
) -> None:
    try:
        bound = socket_at(host)
    except ConfigurationError:
        pytest.skip(f"this machine has no {host}")

    assert url_of(bound, "/ops") == f"{shown}{bound.getsockname()[1]}/ops/"


def _unwatched_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("RUNGUARD_DELIVER", "off")
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url := f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(ValueError, match="x"), run_scope("nightly"):
        raise ValueError("x")
    return url


def test_meanwhile_it_tells_people_of_alerts_and_watches_jobs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = _unwatched_failure(monkeypatch, tmp_path)
    with MailServer() as mail, served("--port", "0", RUNGUARD_NOTIFY=mail.url()) as (process, _):
        until(lambda: mail.mails and open_store(url).monitors())
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)

    assert mail.mails[0].message["Subject"].startswith("UNKNOWN nightly failed")
    assert [one.kind for one in open_store(url).monitors()] == ["web"]
    assert (process.returncode, stderr) == (0, "")


@pytest.mark.parametrize("option", ["--no-monitor", "--read-only"])
def test_it_leaves_that_to_others_where_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    url = _unwatched_failure(monkeypatch, tmp_path)
    with (
        MailServer() as mail,
        served("--port", "0", option, RUNGUARD_NOTIFY=mail.url()) as (process, greeting),
    ):
        httpx.get(address_in(greeting), timeout=60)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert mail.mails == []
    assert open_store(url).channel_states() == ()
    assert open_store(url).monitors() == []
