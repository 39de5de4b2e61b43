"""Real errors with secrets in them, through the public API: the secret is nowhere afterwards."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import psycopg
import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

import runguard
import runguard.testing
from runguard import run_scope
from tests.unit import test_redaction_real_texts as real

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]

SECRETS = ("hunter2", "ter2", "ABCDEFGHIJKLMNOP")


def httpx_refused() -> object:
    return httpx.get(f"http://app:hunter2@127.0.0.1:{real.closed_port()}/orders?token=hunter2")


def httpx_in_a_chain() -> object:
    try:
        return real.httpx_bad_status()
    except httpx.HTTPStatusError as error:
        raise RuntimeError(f"page 3 of https://api.example/?api_key=hunter2: {error}") from error


def a_group() -> object:
    errors: list[Exception] = []
    for fail in (real.requests_bad_status, real.psycopg_malformed_url, real.json_text):
        try:
            fail()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup(f"{errors!r}", errors)


FAILURES = [
    httpx_refused,
    httpx_in_a_chain,
    a_group,
    real.httpx_bad_status,
    real.httpx_invalid_port,
    real.requests_refused,
    real.requests_bad_status,
    real.requests_malformed_url,
    real.urllib_invalid_port,
    real.psycopg_malformed_url,
    real.psycopg_bad_percent,
    real.psycopg_bad_port,
    real.psycopg_space_in_password,
    real.psycopg_refused,
    real.sqlalchemy_parameters,
    real.sqlalchemy_many_parameters,
    real.sqlalchemy_malformed_url,
    real.process_arguments,
    real.process_url,
    real.json_text,
]


def raising(text: str) -> Callable[[], object]:
    def fail() -> object:
        raise RuntimeError(text)

    return fail


CASES = [
    *(pytest.param(failure, id=failure.__name__) for failure in FAILURES),
    *(pytest.param(raising(text), id=f"botocore-{n}") for n, (text, _) in enumerate(real.BOTOCORE)),
]


def error_of(fail: Callable[[], object]) -> Exception:
    try:
        fail()
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


def use_every_door(error: Exception) -> None:
    """Give runguard the error in all the ways that a job may."""
    with pytest.raises(type(error)) as caught, run_scope("raises") as run:
        logging.getLogger("job").error("%s %r", error, error, exc_info=error)
        run.note(error=error, texts=[str(error), {repr(error)}])
        run.link(str(error), f"https://example.org/{quote(str(error)[:500])}")
        raise error
    assert caught.value is error
    with run_scope("declares") as run:
        run.fail(f"{error!r}")
        for number, text in enumerate([str(error), repr(error)]):
            run.emit_alert(
                text,
                source_type=text,
                source_id=text,
                severity="low",
                title=text,
                message=text,
                detail={text: {"error": error, "texts": [text], f"{number}": {text}}},
            )


def of_runguard(lines: list[str]) -> str:
    # The clients log their own URLs; what runguard writes is in question here.
    return "\n".join(line for line in lines if line.startswith("runguard"))


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("fail", CASES)
def test_a_real_errors_secret_is_nowhere(
    url: str,
    stored: Callable[[], str],
    printed: Callable[[str], str],
    log_lines: Callable[[], list[str]],
    fail: Callable[[], object],
) -> None:
    use_every_door(error_of(fail))
    runguard.testing.reset()

    found = stored()
    assert '"job_name": "raises"' in found
    assert '"log_tail": "' in found
    assert leaks(found) == []
    assert leaks(of_runguard(log_lines())) == []
    assert leaks(printed(url)) == []


def test_what_waits_in_the_spool_holds_no_secret(
    tmp_path: Path, log_lines: Callable[[], list[str]]
) -> None:
    address = f"postgresql://app:hunter2@127.0.0.1:{real.closed_port()}/sales?sslpassword=hunter2"
    runguard.configure(
        database_url=address, spool_dir=tmp_path / "spool", store_timeout=timedelta(seconds=0.2)
    )
    use_every_door(error_of(a_group))

    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert {path.name.rpartition("-")[2].partition(".")[2] for path in files} == {
        "start.json",
        "end.json",
        "alert.json",
    }
    assert leaks("\n".join(f"{path} {path.read_text()}" for path in files)) == []
    lines = of_runguard(log_lines())
    assert "runguard.internal_error" in lines
    assert leaks(lines) == []


@pytest.mark.parametrize("command", [["doctor"], ["runs"], ["spool", "status"], ["spool", "flush"]])
@pytest.mark.parametrize(
    "address",
    [
        "postgresql://app:hunter2@127.0.0.1:{port}/sales?sslpassword=hunter2",
        "postgresql://app:hunter2@127.0.0.1:{port}/sales?password=hunter2",
        "postgresql://app:hunter2/x@127.0.0.1:{port}/sales",
        "postgresql://app:hunter2@127.0.0.1:port/sales",
        "postgresql//app:hunter2@127.0.0.1/sales",
        "host=127.0.0.1 password=hunter2",
        "nosuchdb://app:hunter2@127.0.0.1/sales",
    ],
)
def test_no_command_shows_the_password_of_a_store_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, command: list[str], address: str
) -> None:
    from runguard._cli.app import app

    given = address.format(port=real.closed_port())
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", given)
    monkeypatch.setenv("RUNGUARD_STORE_TIMEOUT_SECONDS", "0.1")
    for arguments in (command, [*command, "--database-url", given]):
        done = CliRunner().invoke(app, arguments, prog_name="runguard")

        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert leaks(done.output) == []


def test_a_databases_detail_of_a_secret_column_is_hidden(
    migrated_pg_url: str, stored: Callable[[], str], url: str
) -> None:
    libpq = make_url(migrated_pg_url).set(drivername="postgresql")
    with psycopg.connect(libpq.render_as_string(hide_password=False)) as connection:
        connection.execute("create table account (api_key text unique, name text not null)")
        connection.execute("insert into account values ('hunter2', 'Kim')")
        for values in ("('hunter2', 'Lee')", "('hunter2-more', null)"):
            with (
                pytest.raises(psycopg.IntegrityError),
                run_scope("accounts"),
                connection.transaction(),
            ):
                connection.execute(f"insert into account values {values}")

    assert "duplicate key value violates unique constraint" in stored()
    assert "null value in column" in stored()
    assert leaks(stored()) == []


def test_own_patterns_guard_every_door(
    sqlite_url: str, stored: Callable[[], str], log_lines: Callable[[], list[str]]
) -> None:
    runguard.testing.reset()
    runguard.configure(database_url=sqlite_url, redact=[r"hunter2", r"member (?P<secret>\d+)"])
    use_every_door(ValueError("hunter2 is no member 900101"))

    assert "[redacted] is no member [redacted]" in stored()
    assert leaks(stored()) == []
    assert "900101" not in stored() + of_runguard(log_lines())


def test_where_redaction_fails_a_placeholder_is_stored(
    sqlite_url: str, stored: Callable[[], str], sql: Sql
) -> None:
    def broken(text: str) -> str:
        raise LookupError(text)

    runguard.testing.reset()
    runguard.configure(database_url=sqlite_url, redact=[broken])
    use_every_door(ValueError("hunter2 is wrong"))

    rows = sql("select status, error_message from run_log order by id")
    assert [row["status"] for row in rows] == ["FAILED", "FAILED"]
    assert rows[0]["error_message"] == (
        "[runguard could not redact this text; 16 characters withheld]"
    )
    assert leaks(stored()) == []
