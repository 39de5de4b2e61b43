"""A message's body as HTML for mail: inline styles, light and dark, nothing loaded from anywhere.

Programs that read mail know no style sheets, or a few rules of them: each element carries its
colours for light, and one `prefers-color-scheme` rule a class carries those for dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final
from urllib.parse import urlsplit

from .body import CODE, LOG, Body

_FONT: Final = (
    "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,"
    "sans-serif;font-size:15px;line-height:1.5"
)
_MONO: Final = (
    "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;"
    "line-height:1.45;white-space:pre-wrap;overflow-wrap:anywhere"
)
_TONES: Final = {"bad": "#b3261e", "warn": "#9a6700", "ok": "#1a7f37"}
_DARK: Final = (
    "@media (prefers-color-scheme:dark){"
    ".page{background:#16181c!important;color:#e4e6ea!important}"
    ".card{background:#1f2227!important;border-color:#343941!important}"
    ".dim{color:#a2a9b4!important}"
    ".code{background:#14161a!important;color:#e4e6ea!important}"
    ".line{border-color:#343941!important}"
    ".link{color:#8ab4f8!important}"
    ".bad{color:#ff8f86!important}.warn{color:#e3b341!important}.ok{color:#5fd37d!important}"
    ".bar-bad{border-color:#ff8f86!important}.bar-warn{border-color:#e3b341!important}"
    ".bar-ok{border-color:#5fd37d!important}}"
)


def mail_html(body: Body) -> str:
    """Write a body as a page of HTML; each of its texts is escaped."""
    tone = body.tone if body.tone in _TONES else "warn"
    parts = "".join(part for part in _parts(body, tone) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<meta name="supported-color-schemes" content="light dark">'
        f"<title>{escape(body.subject)}</title><style>{_DARK}</style></head>\n"
        '<body class="page" style="margin:0;padding:16px;background:#f3f4f6;color:#1c1e21;'
        f'{_FONT}">'
        '<div class="card" style="max-width:640px;margin:0 auto;background:#ffffff;'
        'border:1px solid #d9dce1;border-radius:8px;overflow:hidden">'
        f'<div class="bar-{tone}" style="border-left:4px solid {_TONES[tone]};padding:20px 24px">'
        f"{parts}</div></div></body></html>\n"
    )


def _parts(body: Body, tone: str) -> Iterator[str]:
    yield (
        f'<h1 class="{tone}" style="margin:0 0 12px;font-size:19px;line-height:1.35;'
        f'overflow-wrap:anywhere;color:{_TONES[tone]}">{escape(body.headline)}</h1>'
    )
    yield _code(body.error) if body.error else ""
    yield _table(body.facts) if body.facts else ""
    yield _list(body.items) if body.items else ""
    if body.code:
        yield _small_heading(CODE)
        yield _code(body.code)
    if body.log:
        yield _small_heading(LOG)
        yield _code(body.log)
    yield from (_paragraph(note) for note in body.notes)
    yield _buttons(body.links) if body.links else ""
    yield _typed(body.commands) if body.commands else ""


def _code(text: str) -> str:
    return (
        '<div class="code" style="margin:0 0 16px;padding:12px;border-radius:6px;'
        f'background:#f3f4f6;color:#1c1e21;{_MONO}">{escape(text)}</div>'
    )


def _table(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        '<tr><th class="dim line" scope="row" style="padding:5px 16px 5px 0;text-align:left;'
        "vertical-align:top;font-weight:normal;white-space:nowrap;color:#5c6370;"
        f'border-top:1px solid #e6e8eb">{escape(label)}</th>'
        '<td class="line" style="padding:5px 0;width:100%;overflow-wrap:anywhere;'
        f'border-top:1px solid #e6e8eb">{escape(value)}</td></tr>'
        for label, value in facts
    )
    return (
        '<table style="margin:0 0 16px;width:100%;border-collapse:collapse;font-size:14px">'
        f"{rows}</table>"
    )


def _list(items: Iterable[str]) -> str:
    rows = "".join(
        f'<li style="margin:0 0 4px;overflow-wrap:anywhere">{escape(item)}</li>' for item in items
    )
    return f'<ul style="margin:0 0 16px;padding-left:20px;font-size:14px">{rows}</ul>'


def _small_heading(text: str) -> str:
    return (
        '<h2 class="dim" style="margin:0 0 6px;font-size:13px;font-weight:600;color:#5c6370">'
        f"{escape(text)}</h2>"
    )


def _paragraph(text: str) -> str:
    return f'<p style="margin:0 0 8px;overflow-wrap:anywhere">{escape(text)}</p>'


def _buttons(links: Iterable[tuple[str, str]]) -> str:
    shown = "".join(_link(words, address) for words, address in links)
    return f'<p style="margin:16px 0 8px">{shown}</p>'


def _link(words: str, address: str) -> str:
    """Write a link; of an address that is none of the web's, its text."""
    style = "display:inline-block;margin-right:20px;overflow-wrap:anywhere"
    try:
        is_web = urlsplit(address).scheme in ("http", "https")
    except ValueError:
        is_web = False
    if not is_web:
        return f'<span style="{style}">{escape(words)}: {escape(address)}</span>'
    return (
        f'<a class="link" href="{escape(address)}" style="{style};color:#1a56db">'
        f"Open the {escape(words.lower())}</a>"
    )


def _typed(commands: Iterable[tuple[str, str]]) -> str:
    lines = "".join(
        f'<div class="dim" style="margin:0 0 4px;color:#5c6370">{escape(what)}: '
        f'<code style="{_MONO}">{escape(command)}</code></div>'
        for what, command in commands
    )
    return (
        '<div class="line" style="margin:16px 0 0;padding:12px 0 0;border-top:1px solid #e6e8eb;'
        f'font-size:13px">{lines}</div>'
    )
