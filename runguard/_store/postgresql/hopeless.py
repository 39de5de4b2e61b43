"""Which errors of connecting no second try heals. Loaded only where connecting has failed."""

from __future__ import annotations

import re
from typing import Final

# While it connects, libpq passes on a text only. These are what no second try heals, in the words
# of PostgreSQL, PgBouncer, libpq and OpenSSL.
_HOPELESS: Final = re.compile(
    r"authentication failed"
    r"|authentifi|autenti|подлинности|인증|認証|认证"  # a server's own language
    r"|no password supplied"
    r"|no pg_hba\.conf entry"
    r"|pg_hba\.conf rejects"
    r"|(?:role|user|database) \"[^\"]*\" (?:does not exist|is not permitted)"
    r"|role \"[^\"]*\" is not permitted to log in"
    r"|permission denied for database"
    r"|no such (?:database|user)|unsupported startup parameter|definition of service"
    r"|local user with ID"  # of a container: libpq finds no name for it
    r"|certificate"
    r"|server does not support SSL"
    r"|tls(?:v\d+)? alert"
    r"|(?:invalid|unsupported) (?:sslmode|port|channel_binding|connection option)"
    r"|private key file",
    re.IGNORECASE,
)


def is_hopeless(text: str) -> bool:
    """Whether somebody must mend what this text of libpq or a server says."""
    return _HOPELESS.search(text) is not None
