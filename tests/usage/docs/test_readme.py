"""The README is short, and names the distribution right."""

from __future__ import annotations

import re

import pytest

from tests.usage.docs.pages import PAGES, text_of


def test_it_can_be_read_in_one_go() -> None:
    assert len(text_of("README.md").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES)
def test_plain_runguard_is_never_installed(page: str) -> None:
    assert not re.search(r"pip install [\"']?runguard(?!-runlog)", text_of(page))
