"""Writes come from our own pages, or from a program; never from a page of another site.

A browser sends cookies, and what it remembers of HTTP Basic, along with requests that another
site has made it send. It also says where such a request comes from: by `Sec-Fetch-Site` where the
connection is encrypted or local, and by `Origin` with every POST. So no form needs a token.

A form that says neither is refused: every browser in use says it, and programs have the API. The
API lets a request pass that says neither: it takes JSON alone, which a browser sends to another
site only after asking, and we never allow it.
"""

from __future__ import annotations

from starlette.requests import Request

from ..problems import Problem
from ..state import path_of


def refuse_foreign_write(request: Request) -> None:
    """Refuse what a page of another site has sent.

    Raises:
        Problem: it comes from elsewhere, or is a form that does not say from where.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        found, ours = f"Sec-Fetch-Site: {site}", site in ("same-origin", "none")
    elif origin is not None:
        host = request.headers.get("host", "").lower()
        found, ours = f"Origin: {origin}", origin.partition("://")[2] == host
    else:
        found = "neither Origin nor Sec-Fetch-Site"
        ours = path_of(request).startswith("/api/")
    if not ours:
        raise Problem(
            403,
            f"expected a request from a page of runguard, found {found}",
            remedy="Nothing was changed. Behind a proxy, let it pass the Host header on. Programs"
            " send JSON to /api/v1.",
        )
