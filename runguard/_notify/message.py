"""A message: its subject, its text, its HTML for mail, and its JSON, made of what is known."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from .._models import Severity
from .._monitor.notices import Message, NoticeFacts, NoticeKind
from .._monitor.wording import iso
from .body import body_of
from .config import NotifyConfig
from .mail_html import mail_html
from .notice_json import notice_json
from .texts import Times, cut

LONGEST_TEXT: Final = 3_500  # characters: what chats take in one piece
LONGEST_IN_MAIL: Final = 30_000

_OF_THEIR_OWN: Final = (NoticeKind.DIGEST, NoticeKind.UNDELIVERED, NoticeKind.TEST)


def build_message(
    facts: NoticeFacts, config: NotifyConfig, *, now: datetime, longest: int = LONGEST_TEXT
) -> Message:
    """Make the message of a delivery.

    Args:
        facts: What is known; texts in it may be hostile.
        config: Whose zone times are in, and where links lead.
        now: The time of sending.
        longest: Most characters of the plain text; `LONGEST_IN_MAIL` suits mail.
    """
    delivery, conversation = facts.delivery, _conversation_of(facts)
    body = body_of(facts, config, Times(config.timezone, now))
    is_known = facts.severity in list(Severity)
    return Message(
        key=_digest_of(conversation, delivery.id, iso(delivery.created_at)),
        conversation=conversation,
        kind=delivery.kind,
        severity=facts.severity if is_known else Severity.MEDIUM.value,
        subject=body.subject,
        text=cut(body.fitted(longest).text(), longest),
        html=mail_html(body.fitted(LONGEST_IN_MAIL)),
        data=notice_json(facts, config),
        is_first=facts.is_first_on_channel,
    )


def _conversation_of(facts: NoticeFacts) -> str:
    """Return what is the same for all messages of one incident, and for no other message."""
    delivery = facts.delivery
    if delivery.kind in _OF_THEIR_OWN:
        created_at = iso(delivery.created_at)
        return _digest_of(str(delivery.kind), delivery.channel, delivery.id, created_at)
    incident = delivery.incident or facts.alert_id
    return _digest_of(facts.source_type, facts.source_id, incident)


def _digest_of(*parts: str | int) -> str:
    """Return a short key that holds no name: it stands in headers, and in other systems."""
    written = repr(parts).encode(errors="backslashreplace")
    return hashlib.sha256(written).hexdigest()[:32]
