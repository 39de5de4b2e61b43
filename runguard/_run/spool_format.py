"""Records as JSON: what a file of the spool holds. `spool_reading` reads it back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from .._models import Failure, SpooledAlert, SpooledRun

FORMAT: Final = 1

Record = SpooledRun | SpooledAlert


def encode(record: Record, *, store: str = "") -> bytes:
    """Return a record as JSON in ASCII; `store` says for people where it belongs."""
    kind = type(record).__name__
    plain = {"format": FORMAT, "kind": kind, "store": store, **_plain(record._asdict())}
    return json.dumps(plain, ensure_ascii=True).encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return _plain(asdict(value))
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, UUID) else value
