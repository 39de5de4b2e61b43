"""Texts that are safe in every channel, and times as their readers' clocks show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final

from .._failure.redaction import Redactor, harmless
from .._frozen import frozen

LONGEST_LINE: Final = 300
LONGEST_TEXT: Final = 16 * 1024  # bytes, as in a row

# Rows of other programs never passed a redaction.
_REDACTOR: Final = Redactor()


@frozen
class Times:
    """Says times in one zone: without their date where that is today's."""

    zone: tzinfo
    now: datetime

    def short(self, instant: datetime) -> str:
        """Say a time for a subject."""
        local = instant.astimezone(self.zone)
        is_today = local.date() == self.now.astimezone(self.zone).date()
        return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")

    def full(self, instant: datetime) -> str:
        """Say a time with its zone."""
        return f"{self.short(instant)} {instant.astimezone(self.zone).strftime('%Z')}".rstrip()


def line(text: str | None, longest: int = LONGEST_LINE) -> str:
    r"""Make one line of a name: no control characters, no line breaks, not too long.

    >>> line("nightly\nload\x1b[31m\u202e")
    'nightly load�'
    """
    # Bounded before anything else looks at it; what is dropped may make room for more.
    words = " ".join(harmless((text or "")[: 4 * longest]).split())
    return words if len(words) <= longest else f"{words[: longest - 1]}…"


def short_name(name: str | None, longest: int) -> str:
    """Make one line of a name, of which the end tells as much as the beginning.

    >>> short_name("warehouse.loading.customers.daily", 20)
    'warehouse.loa….daily'
    """
    whole = line(name, 1000)
    if len(whole) <= longest:
        return whole
    end = (longest - 1) // 3
    return f"{whole[: longest - 1 - end]}…{whole[-end:]}"


def redacted_line(text: str | None, longest: int = LONGEST_LINE) -> str:
    """Make one line of a text that may hold a secret."""
    return line(_REDACTOR.clean(text or ""), longest)


def redacted(text: str | None, *, longest: int = LONGEST_TEXT) -> str:
    """Make a text of several lines harmless, without its secrets and the white space around it."""
    return _REDACTOR.clean(text or "", limit=longest).strip()


def redacted_json(detail: Mapping[str, object]) -> object:
    """Make JSON of a detail, without its secrets."""
    return _REDACTOR.clean_json(detail)


def cut(text: str, longest: int) -> str:
    """Cut the end of a text, and say so.

    >>> cut("0123456789", 8)
    '0123456…'
    """
    return text if len(text) <= longest else f"{text[: max(0, longest - 1)]}…"[:longest]


def cut_beginning(text: str, longest: int) -> str:
    """Cut the beginning of a text, whose end tells more.

    >>> cut_beginning("0123456789", 8)
    '…3456789'
    """
    if len(text) <= longest:
        return text
    return f"…{text[len(text) - longest + 1 :]}" if longest > 1 else "…"[:longest]
