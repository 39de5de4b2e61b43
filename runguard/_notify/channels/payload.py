"""A message as JSON, for webhooks and commands.

`key` is stable for all attempts of one delivery, `conversation` for all messages of one incident.
"""

from __future__ import annotations

import json

from ..._failure.redaction import Redactor
from ..._monitor.notices import Message


def payload(message: Message) -> bytes:
    """Return the message in UTF-8; what UTF-8 cannot say is a question mark."""
    body = {
        "type": f"runguard.{message.kind}",
        "key": message.key,
        "conversation": message.conversation,
        "is_first": message.is_first,
        "kind": str(message.kind),
        "severity": message.severity,
        "subject": message.subject,
        "text": message.text,
        "data": dict(message.data),
    }
    try:
        written = _json(body)
    except (TypeError, ValueError, RecursionError):  # somebody is told all the same
        written = _json({**body, "data": Redactor().clean_json(body["data"])})
    return written.encode(errors="replace")


def _json(body: dict[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, default=str)
