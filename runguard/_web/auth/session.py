"""Sessions: signed, not stored. A restart ends them, unless the application has a `secret`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import Final

from itsdangerous import BadData, URLSafeTimedSerializer

from ..._frozen import frozen
from .access import Access
from .throttle import forget_oldest

SESSION_SECONDS: Final = 12 * 3600
_LONGEST_COOKIE: Final = 2048


@frozen
class Session:
    """What the cookie of a login holds; `id` is of this login alone."""

    user: str | None
    id: str


class Signer:
    """Signs the cookie of a login, and reads it back."""

    def __init__(self, access: Access, secret: str | None = None) -> None:
        """Take a secret that several processes share; without one, each has its own."""
        root = secrets.token_bytes(32) if secret is None else secret.encode()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._serializer = URLSafeTimedSerializer(
            # With a new token or password all sessions end.
            hmac.digest(root, b"runguard web|" + access.fingerprint(), "sha256"),
            salt="runguard.session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def new_session(self, user: str | None) -> str:
        """Return the cookie of a new login."""
        cookie = self._serializer.dumps([user, secrets.token_urlsafe(16)])
        return cookie if isinstance(cookie, str) else cookie.decode()

    def session(self, cookie: str | None) -> Session | None:
        """Read a cookie; None where it is not ours, was changed, or has ended."""
        if cookie is None or len(cookie) > _LONGEST_COOKIE:
            return None
        try:
            session = Session(*self._serializer.loads(cookie, max_age=SESSION_SECONDS))
        except BadData:
            return None
        return None if session.id in self._ended else session

    def end(self, session_id: str) -> None:
        """End a session in this process; a copy of its cookie is none either."""
        self._ended[session_id] = None
        forget_oldest(self._ended)
