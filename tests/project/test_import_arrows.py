"""Who may import whom: the rules are about folders, and there is no circle."""

from __future__ import annotations

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WORDS = {"_models", "_reasons", "_errors", "_version", "_frozen"}
PURE = {"_failure", "_monitor"}
JUDGES = {"_failure", "_monitor", "_watch"}  # as pure, and they know calendars
# Folder or file at the root of the package → what it may import besides its own. What is not
# named here is a surface, which may import all of these but no other surface.
MAY_IMPORT = {
    "_version": set[str](),
    "_frozen": set[str](),
    "_reasons": set[str](),
    "_models": {"_frozen"},
    "_errors": {"_models"},
    "_failure": WORDS,
    "_monitor": WORDS,
    "_watch": WORDS | PURE,
    "_clock": set[str](),
    "_idle": {"_clock"},
    "_secret_file": WORDS,
    "_database_url": set[str](),
    "_settings": WORDS | PURE | {"_database_url", "_secret_file"},
    "_events": WORDS | PURE,
    "_run": WORDS | JUDGES | {"_clock", "_database_url", "_settings", "_events"},
    "_store": WORDS | PURE | {"_clock", "_idle"},
    "_exposition": WORDS | PURE,
    "_notify": WORDS | JUDGES | {"_clock", "_settings", "_secret_file", "_events"},
    "_api": WORDS | PURE | {"_settings", "_events", "_run", "_store"},
    "_rounds": WORDS
    | JUDGES
    | {"_clock", "_settings", "_secret_file", "_events", "_run", "_store", "_notify", "_api"},
}
BELOW_SURFACES = set(MAY_IMPORT)
# The commands that start another surface; the package's own face; the console script.
SURFACES_MAY_ALSO_IMPORT = {
    "_cli": {"_exec", "_web", "web", "__init__"},
    "testing": {"_testing"},
    "pytest_plugin": {"_testing", "testing"},
    "web": {"_web"},
    "integrations": {"__main__"},  # `manage.py runguard`
    "__init__": set[str](),
    "__main__": {"_cli"},
}
# A foreign package → the places that may import it, as prefixes of module names.
PLACES = {
    "apprise": ("_notify.channels.apprise",),
    "alembic": ("_store.migrate", "migrations"),
    "apscheduler": ("integrations.apscheduler",),
    "arq": ("integrations.arq",),
    "celery": ("integrations.celery",),
    "cronsim": ("_notify.quiet", "_watch"),
    "oncalendar": ("_watch",),
    "django": ("integrations.django",),
    "dramatiq": ("integrations.dramatiq",),
    "fastapi": ("_web",),
    "h11": ("_web",),
    "huey": ("integrations.huey",),
    "itsdangerous": ("_web",),
    "jinja2": ("_web",),
    "markupsafe": ("_web",),
    "platformdirs": ("_run.embedded",),
    "procrastinate": ("integrations.procrastinate",),
    "prometheus_client": ("_exposition",),
    "psycopg": ("_store", "_testing.exceptions", "migrations"),
    "redis": ("integrations.rq",),
    **dict.fromkeys(("aiohttp", "httpx", "multidict", "requests"), ("_testing.exceptions",)),
    **dict.fromkeys(("urllib3", "yarl"), ("_testing.exceptions",)),
    "pytest": ("pytest_plugin",),
    "rich": ("_cli",),
    "rq": ("integrations.rq",),
    "pydantic": ("_web",),
    "pydantic_core": ("_web",),
    "sqlalchemy": ("_store", "migrations"),
    "starlette": ("_web",),
    "opentelemetry": ("integrations.opentelemetry",),
    "structlog": ("_events", "_run.run_logger"),
    "typer": ("_cli", "__main__"),
    "uvicorn": ("_cli", "_web"),
}
# Gone when the JSON API is described by its framework.
TIED = {("_web.openapi", "_web.api")}
IMPURE_MODULES = {
    *("asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *("select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile"),
    *("threading", "time"),
}


@cache
def sources() -> dict[str, Path]:
    """Every module of the package and of the migrations, by its name without `runguard`."""
    files = [*(ROOT / "runguard").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("runguard."): path
        for path in sorted(files)
    }


@cache
def imports(module: str, source: str) -> list[tuple[str, bool]]:
    """The absolute names that a module imports, each with whether it is for type checkers only."""
    tree = ast.parse(source)
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = ["runguard", *module.split(".")][: -node.level] if node.level else []
            base = ".".join([*package, node.module] if node.module else package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [(name, node in typing_only) for name in names]
    return found


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def may_import(room: str) -> set[str]:
    if room in MAY_IMPORT:
        return MAY_IMPORT[room] | {room}
    return BELOW_SURFACES | SURFACES_MAY_ALSO_IMPORT.get(room, set()) | {room}


def wrong_imports(module: str, source: str, rooms: set[str]) -> list[str]:
    """A sentence for each import that breaks a rule; `module` is named without `runguard`."""
    room = room_of(module)
    wrong = []
    for name, for_types_only in imports(module, source):
        top, *rest = name.split(".")
        says = f"{module} imports {name}, but "
        if top == "runguard":
            target = rest[0] if rest and rest[0] in rooms else "__init__"
            if target not in may_import(room):
                wrong.append(f"{says}{room} may not import {target}")
        elif top not in sys.stdlib_module_names:
            allowed = PLACES.get(top, ())
            at_home = any(f"{module}.".startswith(f"{place}.") for place in allowed)
            if not at_home and not (for_types_only and room not in PURE | WORDS):
                wrong.append(f"{says}{top} belongs in {' and '.join(allowed) or 'no module'} only")
        # `os.path` only handles text; `import os` opens the way to everything else in it.
        elif room in JUDGES | WORDS and top in IMPURE_MODULES and not name.startswith("os.path."):
            wrong.append(f"{says}{room} has no clock, no environment and no I/O")
    return wrong


ROOMS = {room_of(module) for module in sources()} - {"migrations"}


@pytest.mark.parametrize("module", sources())
def test_a_module_imports_only_what_its_folder_may(module: str) -> None:
    if room_of(module) == "migrations":
        allowed = {"_store", "_errors", "_models"}
        found = imports(module, sources()[module].read_text())
        ours = {name.split(".")[1] for name, _ in found if name.startswith("runguard.")}
        assert ours <= allowed
    else:
        assert wrong_imports(module, sources()[module].read_text(), ROOMS) == []


def import_graph() -> dict[str, set[str]]:
    """Who imports whom, module by module, imports for type checkers and inside functions too."""
    modules = {name for name in sources() if room_of(name) != "migrations"}
    graph: dict[str, set[str]] = {}
    for module in modules:
        graph[module] = set()
        for name, _ in imports(module, sources()[module].read_text()):
            parts = name.split(".")[1:] if name.startswith("runguard.") else []
            while parts and ".".join(parts) not in modules:
                parts.pop()
            target = ".".join(parts)
            if parts and target != module and (module, target) not in TIED:
                graph[module].add(target)
    return graph


def test_there_is_no_circle() -> None:
    try:
        order = tuple(TopologicalSorter(import_graph()).static_order())
    except CycleError as circle:
        pytest.fail(" → ".join(circle.args[1]))

    assert order.index("_models") < order.index("_run.scope")


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        ("_models", "from ._failure.redaction import Redactor", "may not import _failure"),
        ("_failure.alert", "from runguard._store import tables", "may not import _store"),
        ("_store.base", "from .._settings import Settings", "_store may not import _settings"),
        ("_store.base", "from .. import configure", "_store may not import __init__"),
        ("_run.scope", "def f():\n from .._store.factory import g", "_run may not import _store"),
        ("_run.scope", "from runguard import testing", "_run may not import testing"),
        ("_web.pages", "from .._cli.output import write", "_web may not import _cli"),
        ("_run.scope", "import sqlalchemy.orm", "sqlalchemy belongs in _store and migrations only"),
        ("_store.rows", "from alembic import op", "belongs in _store.migrate and"),
        ("_run.decorator", "import flask", "flask belongs in no module only"),
        ("_failure.alert", "import time", "_failure has no clock, no environment and no I/O"),
        ("_models", "from os import environ", "_models has no clock, no environment and no I/O"),
        ("_monitor.records", "if TYPE_CHECKING:\n from sqlalchemy import Engine", "belongs in"),
    ],
)
def test_a_wrong_import_is_named_in_a_sentence(module: str, source: str, sentence: str) -> None:
    [said] = wrong_imports(module, source, ROOMS)

    assert said.startswith(f"{module} imports ")
    assert sentence in said
