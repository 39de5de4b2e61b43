"""Parts of pages that are made from the code when the documentation is built.

A page asks for a part with a line such as `<!-- generated: settings -->`. Nothing that stands in
the code is written down a second time, so no page can grow stale.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import logging
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer.main
from sphinx.errors import ExtensionError

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sqlalchemy import Column, Table

DOCS: Final = Path(__file__).parents[1]
_MARKER: Final = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Let Sphinx call us for each page that it reads."""
    app.connect("env-get-outdated", _pages_with_generated_parts)
    app.connect("source-read", _fill_in)
    return {"parallel_read_safe": True}


def _fill_in(_app: Sphinx, page: str, source: list[str]) -> None:
    def part(found: re.Match[str]) -> str:
        if found[1] not in PARTS:
            raise ExtensionError(f"{page}: expected one of {', '.join(PARTS)}, found {found[1]!r}")
        return "\n".join(PARTS[found[1]]())

    source[0] = _MARKER.sub(part, source[0])


def _pages_with_generated_parts(app: Sphinx, *_: object) -> list[str]:
    """They depend on the code, which Sphinx does not watch."""
    return [
        page for page in app.env.found_docs if _MARKER.search(app.env.doc2path(page).read_text())
    ]


def settings() -> Iterator[str]:
    """Make one table of `Settings`: names, variables, meanings and defaults."""
    from runguard import _settings

    meanings = described_attributes(_settings.Settings)
    variables = {setting: variable for setting, (variable, _) in _settings.FROM_ENVIRONMENT.items()}
    rows = []
    for field in dataclasses.fields(_settings.Settings):
        name = "redact" if field.name == "redactor" else field.name
        variable = f"`{variables[field.name]}`" if field.name in variables else ""
        rows.append((f"`{name}`", variable, meanings.pop(field.name), _default_of(field)))
    yield from table(("`configure`", "environment", "meaning", "default"), rows)


def described_attributes(owner: type) -> dict[str, str]:
    """Read the section `Attributes:` of a docstring."""
    section = inspect.cleandoc(owner.__doc__ or "").partition("\nAttributes:\n")[2]
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}


def _default_of(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING or field.default in ((), None):
        return "none"
    if hasattr(field.default, "total_seconds"):
        seconds = field.default.total_seconds()
        return f"{seconds / 60:g} minutes" if seconds % 60 == 0 else f"{seconds:g} seconds"
    return f"`{field.default}`"


def commands() -> Iterator[str]:
    """Make one section for each command: what its help says."""
    from runguard._cli.app import app

    for name, command in _commands_of(typer.main.get_command(app)):
        yield from ("", f"## runguard {name}", "")
        yield from _help_of(name, command)


def _commands_of(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands_of(command, *path, name)
        else:
            yield " ".join((*path, name)), command


def _help_of(name: str, command: Any) -> Iterator[str]:
    from runguard._cli.options import EXIT_CODES

    context = command.context_class(command, info_name=f"runguard {name}")
    yield inspect.cleandoc(command.help or "")
    yield from ("", *fenced(command.get_usage(context).removeprefix("Usage: ")), "")
    shown = (parameter.get_help_record(context) for parameter in command.get_params(context))
    rows = [(f"`{usage}`", text) for usage, text in filter(None, shown)]
    yield from table(("argument or option", "meaning"), rows)
    for part in (command.epilog or "").split("\n\n"):
        if part == EXIT_CODES:
            continue  # once, on the page of the exit codes
        title, _, rest = part.removeprefix("\b\n").partition("\n")
        if rest and title.endswith(":"):
            yield from ("", title, "", *fenced(inspect.cleandoc(rest)))
        elif rest:
            yield from ("", *fenced(inspect.cleandoc(f"{title}\n{rest}")))


def exit_codes() -> Iterator[str]:
    """Say what the exit codes of all commands but `exec` mean."""
    from runguard._cli.options import EXIT_CODES

    yield from table(
        ("exit code", "meaning"),
        re.findall(r"^ +(\d+)  +(.*)$", EXIT_CODES, re.MULTILINE),
    )


def tables() -> Iterator[str]:
    """Make one section for each table: columns with types, defaults and meanings, then indexes."""
    from runguard._store.schema.indexes import metadata

    meanings = tomllib.loads((DOCS / "reference" / "columns.toml").read_text("utf-8"))
    if unknown := meanings.keys() - metadata.tables.keys():
        raise ExtensionError(f"columns.toml: there is no table {', '.join(sorted(unknown))}")
    for one in metadata.tables.values():
        yield from ("", f"## {one.name}", "")
        yield from _columns_of(one, dict(meanings.get(one.name, {})))
        yield from _indexes_of(one)


def _columns_of(one: Table, meanings: dict[str, str]) -> Iterator[str]:
    yield meanings.pop("_", "")
    rows = []
    for column in one.columns:
        if column.name not in meanings:
            raise ExtensionError(f"columns.toml: say what {one.name}.{column.name} means")
        rows.append((f"`{column.name}`", _type_of(column), meanings.pop(column.name)))
    if meanings:
        raise ExtensionError(f"columns.toml: {one.name} has no column {', '.join(meanings)}")
    yield from ("", *table(("column", "type", "meaning"), rows))


def _type_of(column: Column[Any]) -> str:
    from sqlalchemy.dialects import postgresql

    shown = column.type.compile(dialect=postgresql.dialect()).lower()
    shown = {"timestamp with time zone": "timestamptz"}.get(shown, shown)
    return shown if column.nullable else f"{shown}, not null"


def _indexes_of(one: Table) -> Iterator[str]:
    names = sorted(str(index.name) for index in one.indexes)
    if names:
        yield from ("", f"Indexes: {', '.join(f'`{name}`' for name in names)}.")


def json_api() -> Iterator[str]:
    """Make one section for each address, from the OpenAPI document that the server serves."""
    described = asyncio.run(_openapi())
    prefix = described["servers"][0]["url"].rstrip("/")
    for address, operations in described["paths"].items():
        for method, operation in operations.items():
            yield from ("", f"## {method.upper()} {prefix}{address}", "")
            yield from _operation(operation)


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    yield operation.get("description") or operation["summary"]
    rows = [
        (f"`{one['name']}`", one["in"], one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    if rows:
        yield from ("", *table(("parameter", "in", "meaning"), rows))
    answers = [
        (status, answer["description"], ", ".join(sorted(_schemas_in(answer))))
        for status, answer in operation["responses"].items()
    ]
    yield from ("", *table(("status", "answer", "schema"), answers))


def _schemas_in(answer: dict[str, Any]) -> set[str]:
    return {f"`{name}`" for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(answer))}


async def _openapi() -> dict[str, Any]:
    import httpx

    from runguard.web import create_app

    logging.getLogger("httpx").setLevel("WARNING")  # it logs each request
    transport = httpx.ASGITransport(create_app(access="host"))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/api/v1/openapi.json")
    described: dict[str, Any] = answer.raise_for_status().json()
    return described


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Make the lines of a Markdown table."""
    yield from (f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
    for row in rows:
        yield f"| {' | '.join(_cell(text) for text in row)} |"


def _cell(text: str) -> str:
    return " ".join(re.sub(r"([|*])", r"\\\1", text).split())


def fenced(text: str, language: str = "text") -> Iterator[str]:
    """Make the lines of a block."""
    yield from (f"```{language}", text, "```")


PARTS: Final[dict[str, Callable[[], Iterable[str]]]] = {
    "settings": settings,
    "commands": commands,
    "exit-codes": exit_codes,
    "tables": tables,
    "json-api": json_api,
}
