"""What others wrote, in one line that holds none of a channel's secrets."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from ..._failure.hiding import HIDDEN
from ..._failure.redaction import Redactor
from ..._monitor.visible import visible

LONGEST: Final = 400
"""Bytes of UTF-8 that are shown of what others wrote."""

# A password of a few letters could be guessed from a plain hash of it; slow and cut, it cannot.
_HASH_ROUNDS: Final = 20_000
_HASH_BYTES: Final = 8


def hider(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that makes a text one short line without these secrets."""
    spellings = sorted(
        {spelling for secret in secrets if secret for spelling in _spellings(secret)},
        key=len,
        reverse=True,
    )
    redactor = Redactor()

    def hide(text: str) -> str:
        text = text[: 16 * LONGEST].encode(errors="replace").decode()
        for spelling in spellings:
            text = text.replace(spelling, HIDDEN)
        return visible(" ".join(redactor.clean(text, limit=LONGEST).split()))

    return hide


def _spellings(secret: str) -> Iterable[str]:
    plain = secret.encode(errors="replace")
    yield secret
    yield repr(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
    yield base64.b64encode(plain).decode()


def one_line(text: str) -> str:
    """Return a text that fits into a header: no line breaks, nothing that UTF-8 cannot say."""
    clean = text.encode(errors="replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in clean).split())


def config_hash(*parts: object) -> str:
    """Return what changes with any of the parts, and does not betray them."""
    written = repr(parts).encode(errors="replace")
    slow = hashlib.pbkdf2_hmac("sha256", written, b"runguard channel", _HASH_ROUNDS)
    return slow[:_HASH_BYTES].hex()
