"""Imports point down only; each foreign package has its one place."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the ground up: a module imports from its own line and from lines above it in this table.
LAYERS = {
    "words": {"_errors", "_models", "_records", "_version"},
    "core": {
        "_alerting",
        "_classification",
        "_endings",
        "_evidence",
        "_evidence_text",
        "_exceptions",
        "_explaining",
        "_overview",
        "_ports",
        "_redaction",
        "_redaction_rules",
    },
    "adapters": {"_storage"},
    "machinery": {
        "_config",
        "_decorator",
        "_events",
        "_keeper",
        "_life",
        "_off_loop",
        "_options",
        "_outage",
        "_pruning",
        "_reaping",
        "_run",
        "_run_key",
        "_runtime",
        "_scope",
        "_spool",
    },
    "edges": {
        "__init__",
        "__main__",
        "_cli",
        "_demo",
        "_exec",
        "_exec_child",
        "_web",
        "schema",
        "testing",
        "web",
    },
}
LAYER_OF = {module: layer for layer, modules in LAYERS.items() for module in modules}
HEIGHT = {layer: height for height, layer in enumerate(LAYERS)}

PURE = {"words", "core"}
IMPURE_MODULES = {
    *("asyncio", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets"),
    *("select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile"),
    *("threading", "time"),
}

# The places of a foreign package, as prefixes of module names.
PLACES = {
    "alembic": ("_storage.migrations", "migrations"),
    "jinja2": ("_web",),
    "markupsafe": ("_web",),
    "platformdirs": ("_runtime",),
    "psycopg": ("_storage", "migrations"),
    "rich": ("_cli", "_demo"),
    "sqlalchemy": ("_storage", "migrations"),
    "starlette": ("_web",),
    "structlog": ("_events",),
    "typer": ("_cli", "__main__"),
    "uvicorn": ("_cli", "_web"),
}
# Only the composition root picks a store; these edges reach for the schema, not for a store.
STORAGE_USERS = ("_runtime", "_storage", "_cli", "schema", "migrations")


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


def wrong_imports(module: str, source: str) -> list[str]:
    """A sentence for each import that breaks an arrow; `module` is named without `runguard`."""
    head = module.split(".", maxsplit=1)[0]
    layer = LAYER_OF.get(head, "edges")
    wrong = []
    for name, for_types_only in imports(module, source):
        top, *rest = name.split(".")
        says = f"{module} imports {name}, but "
        if top == "runguard":
            target = rest[0] if rest and rest[0] in LAYER_OF else "__init__"
            if HEIGHT[LAYER_OF[target]] > HEIGHT[layer]:
                wrong.append(f"{says}{layer} may not import from {LAYER_OF[target]} above it")
            elif target == "_storage" and head not in STORAGE_USERS:
                wrong.append(f"{says}only the composition root picks a store")
        elif top not in sys.stdlib_module_names:
            allowed = PLACES.get(top, ())
            at_home = any(f"{module}.".startswith(f"{place}.") for place in allowed)
            if not at_home and not (for_types_only and layer not in PURE):
                wrong.append(f"{says}{top} belongs in {' and '.join(allowed) or 'no module'} only")
        # `os.path` only handles text; `import os` opens the way to everything else in it.
        elif layer in PURE and top in IMPURE_MODULES and not name.startswith("os.path."):
            wrong.append(f"{says}{layer} has no clock, no environment and no I/O")
    return wrong


def sources() -> dict[str, Path]:
    """Every module of the package and of the migrations, by its name without `runguard`."""
    files = [*(ROOT / "runguard").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("runguard."): path
        for path in sorted(files)
    }


@pytest.mark.parametrize("module", sources())
def test_imports_point_down_only(module: str) -> None:
    assert wrong_imports(module, sources()[module].read_text()) == []


def test_every_module_stands_in_a_layer() -> None:
    heads = {module.split(".")[0] for module in sources()}

    assert heads - set(LAYER_OF) - {"migrations"} == set(), "name these in LAYERS"
    assert heads >= {"_errors", "_models", "__init__"}


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        ("_models", "from ._redaction import Redactor", "words may not import from core above it"),
        ("_alerting", "from runguard._storage import tables", "core may not import from adapters"),
        ("_storage.sqlite", "from .._config import Settings", "may not import from machinery"),
        ("_storage.sqlite", "from .. import configure", "may not import from edges above it"),
        ("_scope", "def f():\n from ._storage.opening import g", "only the composition root"),
        ("_scope", "from runguard import testing", "machinery may not import from edges"),
        ("_scope", "import sqlalchemy.orm", "sqlalchemy belongs in _storage and migrations only"),
        ("_storage.tables", "from alembic import op", "belongs in _storage.migrations and"),
        ("_decorator", "import requests", "requests belongs in no module only"),
        ("_alerting", "import time", "core has no clock, no environment and no I/O"),
        ("_models", "from os import environ", "words has no clock, no environment and no I/O"),
        ("_ports", "if TYPE_CHECKING:\n from sqlalchemy import Engine", "sqlalchemy belongs in"),
    ],
)
def test_a_wrong_import_is_named_in_a_sentence(module: str, source: str, sentence: str) -> None:
    [said] = wrong_imports(module, source)

    assert said.startswith(f"{module} imports ")
    assert sentence in said


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("_runtime", "def f():\n from ._storage.opening import open_store"),
        ("_runtime", "if TYPE_CHECKING:\n from sqlalchemy import Engine"),
        ("_storage.migrations", "import alembic.command, sqlalchemy"),
        ("_storage.rows", "from .._models import NewRun\nfrom .tables import alert"),
        ("_alerting", "from datetime import timedelta\nfrom uuid import UUID"),
        ("_exceptions", "from os.path import dirname"),
        ("migrations.env", "from alembic import context\nfrom runguard._storage import tables"),
    ],
)
def test_a_right_import_is_let_through(module: str, source: str) -> None:
    assert wrong_imports(module, source) == []
