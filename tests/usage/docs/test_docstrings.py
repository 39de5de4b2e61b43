"""Public names say what they are, what they take, since when, and show examples that work."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from typing import TYPE_CHECKING, Any

import pytest

import runguard
import runguard.schema
import runguard.testing
import runguard.web
from tests.usage.docs.pages import ROOT, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PUBLIC = {
    **{f"runguard.{name}": getattr(runguard, name) for name in runguard.__all__},
    "runguard.Run.fail": runguard.Run.fail,
    "runguard.Run.emit_alert": runguard.Run.emit_alert,
    "runguard.Run.aemit_alert": runguard.Run.aemit_alert,
    "runguard.web.create_app": runguard.web.create_app,
    "runguard.schema.include_object": runguard.schema.include_object,
    "runguard.schema.keeping_ours": runguard.schema.keeping_ours,
    **{
        f"runguard.testing.{name}": getattr(runguard.testing, name)
        for name in runguard.testing.__all__
        if not name.endswith("Record")  # rows of tables, which the reference of those explains
    },
}
FUNCTIONS = {
    name: one
    for name, one in PUBLIC.items()
    # What Alembic calls, and what points at its twin.
    if inspect.isfunction(one) and not re.search("schema|aemit", name)
}


def examples() -> Iterator[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    for path in sorted((ROOT / "runguard").rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            yield from (test for test in finder.find(module) if test.examples)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_says_what_it_is_and_since_when(name: str) -> None:
    doc = inspect.cleandoc(PUBLIC[name].__doc__ or "")

    assert re.search(r"\bAdded in 0\.\d\.", doc), doc


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_in_the_reference(name: str) -> None:
    pages = text_of("docs/reference/api.md") + text_of("docs/reference/errors.md")
    listed = re.findall(r"^\.\. auto\w+:: (\S+)$", pages, re.MULTILINE)

    assert name in listed or name.startswith("runguard.Run.")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_explains_each_argument(name: str) -> None:
    doc = inspect.cleandoc(FUNCTIONS[name].__doc__ or "")
    parameters: Any = inspect.signature(FUNCTIONS[name]).parameters

    assert [one for one in parameters if one != "self" and f"    {one}: " not in doc] == []


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_an_example_in_a_docstring_works(example: doctest.DocTest) -> None:
    example.globs.update(vars(runguard))

    result = doctest.DocTestRunner().run(example)

    assert result.attempted > 0
    assert result.failed == 0
