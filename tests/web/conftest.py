"""The pages over a store that jobs have filled, asked by a browser without scripts."""

from __future__ import annotations

import asyncio
import logging
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import Engine, event

import runguard
from runguard import testing
from runguard._web.app import build_app
from runguard._web.auth.access import LOCAL_NAMES, Access
from tests.support.stores import open_store
from tests.support.worlds import world_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.applications import Starlette

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

TOKEN = "a-token-that-is-long-enough"
USER, PASSWORD = "jiwon", "correct horse battery"
HOSTILE = "<script>alert(1)</script> \" onload='x' &amp; 한국어 javascript:x"
FORM = "application/x-www-form-urlencoded"
OPEN = Access("open", hosts=LOCAL_NAMES)


class Client:
    """A browser as the server sees it: it keeps cookies, follows nothing, runs no script."""

    def __init__(
        self,
        application: Any,
        *,
        at: str = "http://localhost:8722",
        address: str = "127.0.0.1",
        prefix: str = "",
    ) -> None:
        self._runner = asyncio.Runner()
        transport = httpx.ASGITransport(application, client=(address, 50000))
        self._client = httpx.AsyncClient(transport=transport, base_url=at)
        self._at = at
        self.prefix = prefix

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        asked = self._client.request(method, f"{self.prefix}{path}", **options)
        return self._runner.run(asked)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def send_form(self, path: str, fields: Mapping[str, Any], **options: Any) -> httpx.Response:
        """Send a form as one of our pages would: a browser says from where."""
        headers = {"Origin": self._at, "Content-Type": FORM, **options.pop("headers", {})}
        return self.post(path, data=fields, headers=headers, **options)

    def log_in(self, **fields: str) -> httpx.Response:
        """Send the login form; what is not given is empty."""
        return self.send_form("/login", fields)

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'runguard.db'}"


@pytest.fixture(params=["postgresql", "sqlite"])
def store_url(request: pytest.FixtureRequest) -> str:
    """An empty store of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "migrated_pg_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture(scope="session")
def _filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that jobs have filled, to be copied: filling it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("filled")
    with world_in(folder):
        fill(f"sqlite:///{folder / 'runguard.db'}")
    return folder / "runguard.db"


@pytest.fixture(scope="session")
def _filled_database(
    postgres: PostgresAddress, _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with (
        postgres.database(template=_migrated_template) as name,
        world_in(tmp_path_factory.mktemp("filled")),
    ):
        fill(postgres.url(name))
        yield name


@pytest.fixture
def filled_file(sqlite_url: str, _filled_once: Path) -> str:
    """A SQLite file that jobs have filled, where the kind of store makes no difference."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    shutil.copy(_filled_once, file)
    return sqlite_url


@pytest.fixture
def filled_pg_url(postgres: PostgresAddress, _filled_database: str) -> Iterator[str]:
    """A PostgreSQL database that jobs have filled."""
    with postgres.database(template=_filled_database) as name:
        yield postgres.url(name)


@pytest.fixture(params=["postgresql", "sqlite"])
def filled_url(request: pytest.FixtureRequest) -> str:
    """The one, then the other."""
    name = "filled_file" if request.param == "sqlite" else "filled_pg_url"
    url: str = request.getfixturevalue(name)
    return url


def fill(url: str) -> None:
    """Runs of four jobs: a success, a storm of one failure, others, and texts that are hostile."""
    runguard.configure(database_url=url)
    with runguard.run_scope("payments") as run:
        run.total_records = 512
    for _ in range(3):
        fail("payments", "HTTP 503 Service Unavailable")
    fail("invoices/monthly", "timed out", trigger_type="SCHEDULER")
    fail("주문 동기화", HOSTILE)
    with runguard.run_scope("nightly", lock=True) as run:
        run.emit_alert(
            "NEW",
            source_type="student",
            source_id="17",
            severity="low",
            title=HOSTILE,
            message=HOSTILE,
            detail={"note": HOSTILE},
        )
    testing.reset()


def fail(job_name: str, reason: str, **options: Any) -> None:
    with runguard.run_scope(job_name, **options) as run:
        run.fail(reason)


@pytest.fixture
def open_store_at() -> Iterator[Callable[[str], OperatorStore]]:
    """Opens stores, and closes them at the end."""
    with ExitStack() as stores:

        def open_at(url: str) -> OperatorStore:
            store = open_store(url)
            stores.callback(store.close)
            return store

        yield open_at


@pytest.fixture
def application_at(open_store_at: Callable[[str], OperatorStore]) -> Callable[..., Starlette]:
    """Builds the application over a store; open to everyone on this machine, unless told."""

    def build(url: str, **options: Any) -> Starlette:
        store = open_store_at(url)
        settings = {"read_only": False, "access": OPEN, **options}
        return build_app(lambda: store, **settings)

    return build


@pytest.fixture
def client_of() -> Iterator[Callable[..., Client]]:
    """Makes clients of an application."""
    with ExitStack() as clients:

        def make(application: Any, **options: Any) -> Client:
            client = Client(application, **options)
            clients.callback(client.close)
            return client

        yield make


@pytest.fixture
def client(
    filled_url: str,
    application_at: Callable[..., Starlette],
    client_of: Callable[..., Client],
) -> Client:
    """A browser on this machine, over the filled store, PostgreSQL and SQLite."""
    return client_of(application_at(filled_url))


@pytest.fixture
def file_client(
    filled_file: str,
    application_at: Callable[..., Starlette],
    client_of: Callable[..., Client],
) -> Client:
    """The same over SQLite alone."""
    return client_of(application_at(filled_file))


@pytest.fixture(autouse=True)
def _quiet_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("runguard"), "level", logging.ERROR)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement of every engine, while a test runs."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)
