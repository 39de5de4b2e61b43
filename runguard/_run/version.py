"""Which version of the code runs: found once in a process, without starting one."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._errors import ConfigurationError
from .._failure.introspection import printable

if TYPE_CHECKING:
    from .._events import Events
    from .._settings import Settings

LONGEST_VERSION: Final = 64
# What platforms and pipelines tell a process of the code that it runs, the surest first.
VARIABLES: Final = (
    *("GIT_SHA", "GIT_COMMIT", "COMMIT_SHA", "SOURCE_COMMIT", "SOURCE_VERSION"),
    *("HEROKU_SLUG_COMMIT", "HEROKU_BUILD_COMMIT", "HEROKU_RELEASE_VERSION"),
    *("RENDER_GIT_COMMIT", "RAILWAY_GIT_COMMIT_SHA", "VERCEL_GIT_COMMIT_SHA", "COMMIT_REF"),
    *("KAMAL_VERSION", "CI_COMMIT_SHA", "GITHUB_SHA", "CIRCLE_SHA1", "BUILD_SOURCEVERSION"),
    *("SENTRY_RELEASE", "DD_VERSION", "FLY_MACHINE_VERSION", "K_REVISION"),
)
RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
# Compiled only where there is a text to match: it would take longer than all else here.
_SERVICE_VERSION: Final = r"(?:^|,)\s*service\.version=([^,]*)"
_COMMIT: Final = r"[0-9a-f]{40}(?:[0-9a-f]{24})?"
_LONGEST_FILE: Final = 4 * 1024 * 1024  # of packed references
_OWN_FOLDER: Final = Path(__file__).resolve().parents[1]
_DEEPEST: Final = 40  # folders


def find_version(
    settings: Settings, environ: Mapping[str, str], events: Events | None = None
) -> str | None:
    """Return the version of the code, at most 64 characters; None where nothing says it.

    In order: what is configured, the platform's variables, the commit of `.git` in a folder at or
    above the program's or the current one. Never raises.
    """
    if settings.version:
        return _fit(settings.version)
    if settings.package:
        from importlib import metadata

        try:
            return _fit(metadata.version(settings.package))
        except Exception:  # the next best thing is better than no run
            if events is not None:
                found = f"package: expected an installed distribution, found {settings.package!r}"
                events.internal_error("version", ConfigurationError(found))
    for variable in VARIABLES:
        if (given := _fit(environ.get(variable, ""))) is not None:
            return given
    resource = environ.get(RESOURCE, "")
    if resource and (of_service := re.search(_SERVICE_VERSION, resource)):
        from urllib.parse import unquote

        if (given := _fit(unquote(of_service[1]))) is not None:
            return given
    return commit_of(_folders())


def _fit(text: str) -> str | None:
    return printable(text.strip().strip("\"'"))[:LONGEST_VERSION] or None


def _folders() -> Iterator[Path]:
    """Yield where the program may lie: the main script's folder, then the current one.

    An installed program, such as the worker of a queue, is not the code that it runs: its folder
    comes last, since a virtual environment may lie in the project. That of Python itself does not
    count, which pyenv keeps below a repository of its own. Neither does that of `runguard exec`.
    """
    script = _main_script()
    is_installed = script is not None and _is_installed(script)
    if script is not None and not is_installed:
        yield script.parent
    with suppress(OSError):
        yield Path.cwd()
    if script is not None and is_installed and sys.prefix != sys.base_prefix:
        yield script.parent


def _main_script() -> Path | None:
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if isinstance(main, str):
        with suppress(OSError, ValueError, RuntimeError):
            script = Path(main).resolve()
            if script.stem != "runguard" and script.parent != _OWN_FOLDER:
                return script
    return None


def _is_installed(script: Path) -> bool:
    """Whether a program lies beside Python, or among the packages."""
    with suppress(OSError, RuntimeError):
        if script.parent == Path(sys.executable or "").parent.resolve():
            return True
    return not {"site-packages", "dist-packages"}.isdisjoint(script.parts)


def commit_of(folders: Iterator[Path]) -> str | None:
    """Return the commit that is checked out at or above the first of these folders that has one."""
    for folder in folders:
        for place in (folder, *folder.parents)[:_DEEPEST]:
            with suppress(OSError, ValueError):
                if (commit := _head_of(place / ".git")) is not None:
                    return commit
    return None


def _head_of(git: Path) -> str | None:
    """Read `HEAD`; `.git` is a file that names another folder in worktrees and submodules."""
    if git.is_file():
        named = _line_of(git)
        if not named.startswith("gitdir:"):
            return None
        git = git.parent / named.removeprefix("gitdir:").strip()
    head = _line_of(git / "HEAD")
    if not head.startswith("ref:"):
        return head if re.fullmatch(_COMMIT, head) else None  # detached
    name = head.removeprefix("ref:").strip()
    if not name.startswith("refs/") or ".." in name:
        return None
    places = [git]
    with suppress(OSError):  # a worktree has its references where the repository is
        places.append(git / _line_of(git / "commondir"))
    for place in places:
        with suppress(OSError):
            if re.fullmatch(_COMMIT, commit := _line_of(place / name)):
                return commit
    for place in places:
        with suppress(OSError):
            if (packed := _packed(place / "packed-refs", name)) is not None:
                return packed
    return None


def _line_of(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return lines.readline(4096).strip()


def _packed(file: Path, name: str) -> str | None:
    if file.stat().st_size > _LONGEST_FILE:
        return None
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            commit, _, named = line.strip().partition(" ")
            if named == name and re.fullmatch(_COMMIT, commit):
                return commit
    return None
