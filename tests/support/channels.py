"""Messages and channels for tests, and texts that are meant to break one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runguard._monitor.notices import ChannelSpec, Message, NoticeKind
from runguard._notify.channels.factory import open_channel
from runguard._notify.secret_refs import SecretReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runguard._notify.channels.base import Channel

HOSTILE = {
    "line breaks": "one\r\nBcc: eve@example.org\r\n\r\ntwo\u2028three\x85four",
    "control characters": "a\x00b\x1b[31mc\x07d\x7fe\x9bf",
    "markup": "<script>alert(1)</script> <b>&amp; *bold* <!channel> `x`",
    "lone surrogates": "a\ud800b\udfffc",
    "long": "확인" * 8 * 1024,
    "one long word": "x" * 16 * 1024,
    "dots": ".\r\n..\r\n.\n",
    "turned around": "\u202egnp.exe\u2066",
}


def message(**changes: Any) -> Message:
    """A message as `message.py` makes it."""
    return Message(
        **{
            "key": "delivery-7",
            "conversation": "incident-3",
            "kind": NoticeKind.OPENED,
            "severity": "high",
            "subject": "TIMEOUT enrolment_sync failed (high) – 등록",
            "text": "Read timed out.\n\nfirst seen 02:00\n",
            "data": {"job_name": "enrolment_sync", "run_id": 41},
            **changes,
        }
    )


def channel(*, environ: Mapping[str, str] | None = None, **parts: Any) -> Channel:
    """Open a channel of what is configured: `url=…`, `webhook=…` or `command=…`."""
    spec = ChannelSpec(**{"name": "oncall", "source": "runguard.toml, [channels.oncall]", **parts})
    return open_channel(spec, SecretReader(environ or {}))
