"""`RUNGUARD_DATABASE_URL_FILE`: the URL of the store in a file, and nothing of it in a message."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import ConfigurationError, run_scope
from runguard._settings import settings_from
from tests.cli.conftest import cli

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cli"]

SECRET = "hunter2geheim"
FILE = "RUNGUARD_DATABASE_URL_FILE"


def url_from(file: Path, **environ: str) -> str | None:
    return settings_from({}, {FILE: str(file), **environ}).database_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "url"


def test_a_run_goes_into_the_store_whose_url_stands_in_the_file(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"  sqlite:///{tmp_path}/here.db\n\n")
    monkeypatch.setenv(FILE, str(file))
    with run_scope("job") as run:
        pass

    assert run.id == 1
    assert (tmp_path / "here.db").exists()


def test_a_relative_file_is_found_where_the_program_began(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("postgresql://app@db/prod")
    monkeypatch.chdir("/")

    settings = settings_from({}, {FILE: file.name}, here=str(file.parent))
    assert settings.database_url == "postgresql://app@db/prod"


def test_what_the_code_says_comes_first_and_the_file_is_not_read(file: Path) -> None:
    given = settings_from({"database_url": "sqlite:////x.db"}, {FILE: str(file)})

    assert given.database_url == "sqlite:////x.db"


def pipe(file: Path) -> None:
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.mkdir()


def holding(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def endless(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(10 * 1024**3)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _: None, "No such file or directory"),
        (folder, "expected a regular file"),
        (pipe, "expected a regular file"),
        (endless, "expected at most 16,384 bytes"),
        (holding(b" \n"), "found an empty file"),
        (holding(f"{SECRET}\n{SECRET}\n".encode()), "found 2 lines"),
        (holding(b"\xff\xfe" + SECRET.encode()), "expected a text in UTF-8"),
        (holding(SECRET.encode()), "found one that cannot be read"),
        (holding(f"postgresql://a:{SECRET}@h:port/d".encode()), "found one that cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_not_shown(
    make: Any, told: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(file)
    monkeypatch.setenv(FILE, str(file))
    with pytest.raises(ConfigurationError) as error:
        runguard.configure(lock_ttl=None)

    message = str(error.value)
    assert message.startswith(f"{FILE}: expected")
    assert told in message
    assert not any(part in message for part in (SECRET, "hunter"))


def test_two_urls_are_one_too_many(file: Path) -> None:
    file.write_text("sqlite:////x.db")
    with pytest.raises(ConfigurationError, match=f"{FILE}: .*RUNGUARD_DATABASE_URL, found both"):
        url_from(file, RUNGUARD_DATABASE_URL="sqlite:////y.db")


def test_doctor_looks_at_that_store_and_names_the_file(
    file: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    def store() -> dict[str, Any]:
        [check] = [
            one
            for one in cli("doctor", "--json", **{FILE: str(file)}).json
            if one["check"] == "store"
        ]
        return dict(check)

    file.write_text(f"sqlite:///{tmp_path}/here.db")
    found = store()
    file.unlink()
    missing = store()

    assert found["found"] == f"sqlite {tmp_path}/here.db ({FILE})"
    assert missing["found"].startswith(f"{FILE}: expected a file that can be read")
    assert missing["remedy"] == f"correct {FILE}"
