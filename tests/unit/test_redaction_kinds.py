"""Every kind of secret, in the shapes in which tools, clients and files show it.

In `cases/secret_kinds.json`, `«` and `»` stand around what must be hidden; all else stays.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runguard._failure.redaction import Redactor

CASES = Path(__file__).with_name("cases")
SHARED: dict[str, Any] = json.loads((CASES / "secrets.json").read_text())
OWN: dict[str, Any] = json.loads((CASES / "secret_kinds.json").read_text())
clean = Redactor().clean

SHARED_HIDE = [pytest.param(c["text"], c["secrets"], id=c["kind"]) for c in SHARED["hide"]]
OWN_HIDE = [
    pytest.param(marked, id=f"{kind}-{marked[:40]}")
    for kind, cases in OWN["hide"].items()
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


@pytest.mark.parametrize("text", OWN["keep"])
def test_an_ordinary_text_stays(text: str) -> None:
    assert clean(text) == text
