"""Which version of the code a run keeps."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runguard import ConfigurationError, configure, run_scope
from runguard._api import runtime
from runguard._run.version import VARIABLES, commit_of, find_version
from runguard._settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef0123456789abcdef"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with a `.git` as git leaves it, on the branch `main`."""
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    return tmp_path


def test_what_is_configured_comes_first() -> None:
    assert find_version(Settings(version="1.4.2"), {"GIT_SHA": COMMIT}) == "1.4.2"


def test_then_the_package_that_is_named() -> None:
    found = find_version(Settings(package="pytest"), {"GIT_SHA": COMMIT})
    assert found == pytest.__version__


@pytest.mark.parametrize("variable", VARIABLES)
def test_then_the_variables_of_platforms(variable: str) -> None:
    assert find_version(Settings(), {variable: f" {COMMIT}\n"}) == COMMIT


def test_then_the_version_of_the_service() -> None:
    attributes = "service.name=sync,service.version=2026.11%2B3,host.name=w1"
    assert find_version(Settings(), {"OTEL_RESOURCE_ATTRIBUTES": attributes}) == "2026.11+3"


def test_a_version_is_at_most_64_printable_characters() -> None:
    assert find_version(Settings(version="x" * 100), {}) == "x" * 64
    assert find_version(Settings(), {"GIT_SHA": "a\x00b"}) == "a\\0b"


def test_the_commit_is_found_from_a_folder_below(repository: Path) -> None:
    (folder := repository / "src" / "jobs").mkdir(parents=True)

    assert commit_of(iter([folder])) == COMMIT


def test_the_commit_of_a_detached_head(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text(f"{OTHER}\n")

    assert commit_of(iter([repository])) == OTHER


def test_the_commit_of_a_packed_branch(repository: Path) -> None:
    (repository / ".git" / "refs" / "heads" / "main").unlink()
    (repository / ".git" / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{OTHER} refs/heads/mainly\n{COMMIT} refs/heads/main\n^{OTHER}\n"
    )

    assert commit_of(iter([repository])) == COMMIT


def test_the_commit_of_a_worktree(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    worktree = tmp_path_factory.mktemp("worktree")
    its = repository / ".git" / "worktrees" / "one"
    its.mkdir(parents=True)
    (its / "HEAD").write_text("ref: refs/heads/one\n")
    (its / "commondir").write_text("../..\n")
    (repository / ".git" / "refs" / "heads" / "one").write_text(f"{OTHER}\n")
    (worktree / ".git").write_text(f"gitdir: {its}\n")

    assert commit_of(iter([worktree])) == OTHER


@pytest.mark.parametrize(
    "head", [b"", b"\xff\xfe", b"ref: refs/heads/gone", b"ref: ../../../etc/passwd", b"x" * 9000]
)
def test_a_corrupt_head_is_no_version(repository: Path, head: bytes) -> None:
    (repository / ".git" / "HEAD").write_bytes(head)

    assert commit_of(iter([repository])) is None


def test_git_itself_agrees(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"], ["gc", "-q"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)

    assert commit_of(iter([tmp_path])) == head.stdout.strip()


def test_every_run_is_written_with_the_version(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(database_url=sqlite_url, version="1.4.2")
    found = []
    start = runtime.store().start_run

    def start_run(run: object, *, timeout: float) -> int:
        found.append(run)
        return start(run, timeout=timeout)  # type: ignore[arg-type]

    monkeypatch.setattr(runtime.store(), "start_run", start_run, raising=False)
    with run_scope("sync"):
        pass

    assert [run.version for run in found] == ["1.4.2"]  # type: ignore[attr-defined]


def test_a_package_that_is_not_installed_is_told_and_the_next_best_is_taken() -> None:
    from runguard._events import Events

    told: list[str] = []

    class Told(Events):
        def internal_error(self, stage: str, error: BaseException, **_: object) -> None:
            told.append(f"{stage}: {error}")

    assert find_version(Settings(package="no-such"), {"GIT_SHA": COMMIT}, Told()) == COMMIT
    assert told == ["version: package: expected an installed distribution, found 'no-such'"]


def test_a_version_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="version: expected a text, found 3"):
        configure(version=3)  # type: ignore[arg-type]


def test_a_variable_that_is_neither_true_nor_false_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNGUARD_CAPTURE_LOGS", "perhaps")

    with pytest.raises(ConfigurationError, match="RUNGUARD_CAPTURE_LOGS: expected true or false"):
        configure()


def test_the_main_scripts_folder_is_looked_at_first(repository: Path) -> None:
    (script := repository / "job.py").write_text(
        "from runguard._run.version import find_version\n"
        "from runguard._settings import Settings\n"
        "print(find_version(Settings(), {}))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd="/", capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == COMMIT


def test_a_command_that_runguard_runs_is_looked_for_in_the_current_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(repository / "bin" / "runguard"), raising=False
    )

    assert found_in(["/", repository], monkeypatch) == [None, COMMIT]


@pytest.mark.parametrize(
    "program", ["bin/celery", "lib/python3.11/site-packages/celery/__main__.py"]
)
def test_of_an_installed_program_the_current_folder_comes_first(
    repository: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    environment = repository / ".venv"
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", str(environment / program), raising=False
    )
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    (another := repository / "another" / ".git").mkdir(parents=True)
    (another / "HEAD").write_text(f"{OTHER}\n")

    monkeypatch.setattr(sys, "prefix", str(environment))
    assert found_in([another.parent, "/"], monkeypatch) == [OTHER, COMMIT]
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)  # Python itself, below pyenv's repository
    assert found_in([another.parent, "/"], monkeypatch) == [OTHER, None]


def found_in(folders: list[Path | str], monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    found = []
    for folder in folders:
        monkeypatch.chdir(folder)
        found.append(find_version(Settings(), {}))
    return found
