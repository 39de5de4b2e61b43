"""Texts that jobs and other programs wrote, in templates: they turn nothing around, hide nothing.

A template need not think of it, and cannot forget it: `ForeignTexts` passes every text that it
shows through `isolated`, and where no element can stand, as in a title, through `spelled`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from jinja2 import Environment
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from .._monitor.visible import visible

# Letters that are written from right to left: Hebrew, Arabic and what is near them.
_RIGHT_TO_LEFT: Final = (
    r"\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\U00010800-\U00010fff\U0001e800-\U0001efff"
)
_TURNED: Final = re.compile(f"[{_RIGHT_TO_LEFT}](?:.*[{_RIGHT_TO_LEFT}])?")  # within a line
_BEHIND_SIGNS: Final = re.compile(r"(?<=[._/:-])(?=\w)")
_ISOLATE: Final = "\u2068"
_END: Final = "\u2069"

# The attributes that people read; what stands in another one is exact.
_READ: Final = frozenset({"alt", "aria-label", "data-label", "data-title", "placeholder", "title"})
_IN_TEXT_ONLY: Final = re.compile(r"<(title|option|textarea)\b[^<>]*>[^<]*$")
_IN_ATTRIBUTE: Final = re.compile(r'([\w:-]+)="[^"]*$')


def isolated(value: object) -> Markup:
    """Return a text for a page: what is written from right to left turns nothing but itself."""
    if hasattr(value, "__html__"):
        return escape(value)
    text = visible(value, lines=True)
    if text.isascii():
        return escape(text)
    parts, end = [], 0
    for found in _TURNED.finditer(text):
        parts += [escape(text[end : found.start()]), Markup("<bdi>%s</bdi>") % found[0]]
        end = found.end()
    return Markup().join([*parts, escape(text[end:])])


def spelled(value: object) -> Markup:
    """Return the same for where no element can stand."""
    if hasattr(value, "__html__"):
        return escape(value)
    text = visible(value, lines=True)
    return escape(_TURNED.sub(lambda found: f"{_ISOLATE}{found[0]}{_END}", text))


def breakable(value: object) -> Markup:
    """Return a name that may be broken behind the signs between its parts."""
    text = visible(value, lines=True)
    if _TURNED.search(text):
        return isolated(value)
    return Markup("<wbr>").join(_BEHIND_SIGNS.split(text))


class ForeignTexts(Extension):
    """Puts the filter that its place needs behind each expression of a template."""

    def __init__(self, environment: Environment) -> None:
        """Give the environment the filters."""
        super().__init__(environment)
        environment.filters.update(isolated=isolated, spelled=spelled, breakable=breakable)

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Yield the tokens of a template, and the filters."""
        html, words = "", [""] * 3
        block = ""
        for token in stream:
            words = [*words[1:], token.value]
            if token.type == "data":
                html += token.value
            elif token.type == "name" and words[1] == "block":
                block = token.value
            elif token.value == "endblock":
                block = ""
            if token.type == "variable_end" and (name := _filter_for(html, block)):
                for kind, value in (("rparen", ")"), ("pipe", "|"), ("name", name)):
                    yield Token(token.lineno, kind, value)
                html += "x"
            yield token
            if token.type == "variable_begin" and _filter_for(html, block):
                yield Token(token.lineno, "lparen", "(")


def _filter_for(html: str, block: str) -> str | None:
    """Return the filter of an expression that stands behind this, None where it must be exact."""
    if block == "title" or _IN_TEXT_ONLY.search(html):
        return "spelled"
    tag = html.rfind("<")
    if tag <= html.rfind(">"):
        return "isolated"
    attribute = _IN_ATTRIBUTE.search(html, tag)
    return "spelled" if attribute is not None and attribute[1] in _READ else None
