"""One engine for all shapes: a secret that a text hides is hidden in every other shape too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from runguard._failure.redaction import Redactor

CASES = Path(__file__).with_name("cases")
SHARED: dict[str, Any] = json.loads((CASES / "secrets.json").read_text())
OWN: dict[str, Any] = json.loads((CASES / "secret_kinds.json").read_text())
redactor = Redactor()


def shown(value: object) -> str:
    """What a row, an alert or a page would show of a detail."""
    return json.dumps(redactor.clean_json(value), ensure_ascii=False)


# How a text may travel: as it is, inside other structures, and as a piece of another text.
SHAPES: dict[str, Callable[[str], str]] = {
    "text": redactor.clean,
    "detail": lambda text: shown({"error": text}),
    "list": lambda text: shown(["a", text, "b"]),
    "tuple": lambda text: shown({"args": (text, 1)}),
    "deep": lambda text: shown({"a": [{"b": {"c": text}}]}),
    "exception": lambda text: shown({"error": ValueError(text)}),
    "bytes": lambda text: shown({"body": text.encode()}),
    "lines": lambda text: shown({"stderr": text}),
    "in a sentence": lambda text: redactor.clean(f"attempt 3 failed: {text}"),
    "after a line": lambda text: redactor.clean(f"attempt 3 failed\n{text}\n\ngiving up"),
}
# A secret may hold what these escape, so the escaped form of it must be gone.
ESCAPED: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps({"error": text}, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps({"e": json.dumps({"e": text})}, ensure_ascii=False),
    "repr": lambda text: repr({"error": text}),
    "percent": lambda text: "body=" + quote(text, safe=""),
    "form": lambda text: "body=" + quote(text, safe="/:@"),
}


def secrets_of(marked: str) -> list[str]:
    """The marked pieces; what stands on several lines is looked for line by line."""
    pieces = [
        line.strip() for piece in re.findall(r"(?s)«(.*?)»", marked) for line in piece.split("\n")
    ]
    return [piece for piece in pieces if len(piece) > 3]


ALL = [
    *((case["text"], case["secrets"], case["kind"]) for case in SHARED["hide"]),
    *(
        (marked.replace("«", "").replace("»", ""), secrets_of(marked), kind)
        for kind, cases in OWN["hide"].items()
        for marked in cases
    ),
]


def leaks(shape: Callable[[str], str]) -> list[tuple[str, str]]:
    """The secrets that a shape shows, each with its text."""
    return [
        (secret, text)
        for text, secrets, _ in ALL
        for cleaned in [shape(text)]
        for secret in secrets
        if secret in cleaned
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_secret_is_hidden_in_every_shape(shape: str) -> None:
    assert leaks(SHAPES[shape]) == []


@pytest.mark.parametrize("shape", ["detail", "list", "tuple", "deep"])
def test_an_ordinary_text_stays_in_every_shape(shape: str) -> None:
    for text in (*SHARED["keep"], *OWN["keep"]):
        assert json.dumps(text, ensure_ascii=False)[1:-1] in SHAPES[shape](text)


@pytest.mark.parametrize("escape", ESCAPED)
def test_a_secret_is_hidden_in_every_escape(escape: str) -> None:
    assert leaks(lambda text: redactor.clean(ESCAPED[escape](text))) == []
