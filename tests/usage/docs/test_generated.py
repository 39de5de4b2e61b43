"""The parts of pages that are made from the code, and what keeps the two together."""

from __future__ import annotations

import importlib.util
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from runguard._settings import Settings
from runguard._version import __version__
from tests.usage.docs.pages import DOCS, PAGES, ROOT, text_of

if TYPE_CHECKING:
    from types import ModuleType


def extension() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generated", DOCS / "_extensions/generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = extension()


@pytest.mark.parametrize("part", GENERATED.PARTS)
def test_a_part_is_made_and_stands_on_one_page(part: str) -> None:
    lines = list(GENERATED.PARTS[part]())

    assert len(lines) > 4
    assert sum(f"<!-- generated: {part} -->" in text_of(page) for page in PAGES) == 1


def test_every_setting_says_what_it_means() -> None:
    said = GENERATED.described_attributes(Settings)

    assert set(said) == {field.name for field in fields(Settings)}


def test_the_changelog_begins_with_this_version_and_its_date() -> None:
    headings = [line for line in text_of("CHANGELOG.md").splitlines() if line.startswith("## ")]

    assert headings[0].startswith(f"## [{__version__}] - 20")


def test_an_address_of_the_project_can_be_followed_from_anywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert all(url.startswith("https://") for url in project.get("urls", {}).values())
