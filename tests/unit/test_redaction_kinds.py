"""Every kind of secret, in the shapes in which tools, clients and files show it."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from runguard._failure.redaction import Redactor

CASES = Path(__file__).with_name("cases")
SHARED: dict[str, Any] = json.loads((CASES / "secrets.json").read_text())


def kinds() -> Any:
    spec = importlib.util.spec_from_file_location("secret_kinds", CASES / "secret_kinds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OWN = kinds()
clean = Redactor().clean

SHARED_HIDE = [pytest.param(c["text"], c["secrets"], id=c["kind"]) for c in SHARED["hide"]]
OWN_HIDE = [
    pytest.param(marked, id=f"{kind}-{marked[:40]}")
    for kind, cases in OWN.HIDE.items()
    for marked in cases
]


def raw(marked: str) -> str:
    return marked.replace("«", "").replace("»", "")


@pytest.mark.parametrize(("text", "secrets"), SHARED_HIDE)
def test_a_shared_case_is_hidden(text: str, secrets: list[str]) -> None:
    assert [secret for secret in secrets if secret in clean(text)] == []


@pytest.mark.parametrize("text", SHARED["keep"])
def test_a_shared_ordinary_text_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("marked", OWN_HIDE)
def test_what_is_marked_is_hidden_and_all_else_stays(marked: str) -> None:
    assert clean(raw(marked)) == re.sub(r"(?s)«.*?»", "[redacted]", marked)


@pytest.mark.parametrize("text", OWN.KEEP)
def test_an_ordinary_text_stays(text: str) -> None:
    assert clean(text) == text
