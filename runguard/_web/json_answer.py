"""Records as JSON, whatever their texts hold."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse


class JsonAnswer(JSONResponse):
    """Records as JSON; times in ISO 8601, in UTC."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        text = json.dumps(
            plain(content), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        # A surrogate without its partner has no UTF-8; JSON has an escape for it.
        return text.encode(errors="backslashreplace")


def plain(value: Any) -> Any:
    """Turn records into what JSON knows; a number that it does not know is null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
