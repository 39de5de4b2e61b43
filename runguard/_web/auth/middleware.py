"""Who sent a request, and whether they may: asked before anything of it is read."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..problems import Problem, wants_json
from ..state import AppState, Visitor, path_of
from .access import Access, basic_credentials
from .login import (
    LOGIN,
    LOGOUT,
    address_of,
    cookie_name,
    login_form,
    wait_before_looking,
)
from .origin import refuse_foreign_write

HEALTH: Final = "/health"
STATIC: Final = "/static/"

# A cookie that is `SameSite=Strict` does not come with a link from a mail. One reload by our own
# page brings it.
_ONCE_MORE: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0">
<title>runguard</title><p><a href="">Go on</a></p></html>
"""


class AuthMiddleware:
    """Lets in, asks for a login, or refuses."""

    def __init__(self, app: ASGIApp, *, state: AppState) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] == "http":
            request = Request(scope, receive)
            answer = await self._refusal(request)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """Return the answer to who is not let in, None where all is well.

        Raises:
            Problem: the request is refused.
        """
        path = path_of(request)
        if path == HEALTH:
            return None
        if not self._state.access.allows_host(request.headers.get("host", "")):
            raise _wrong_host(request, self._state.access)
        if path.startswith(STATIC):
            return None
        visitor = await self._identify(request)
        if visitor is None:
            return await self._ask_who(request)
        request.state.visitor = visitor
        if request.method == "POST":  # nothing else that changes something has a route
            refuse_foreign_write(request)
            if self._state.read_only and path not in (LOGIN, LOGOUT):
                raise _read_only()
        return None

    async def _identify(self, request: Request) -> Visitor | None:
        """Find out who sends; None where they must log in first."""
        if self._state.access.kind != "login":
            return Visitor()
        session = self._state.signer.session(request.cookies.get(cookie_name(request)))
        if session is not None:
            return Visitor(session.user, session.id)
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "basic"):
            return Visitor(await self._authorized(request, scheme.lower(), credentials))
        return Visitor() if path_of(request) == LOGIN else None

    async def _authorized(self, request: Request, scheme: str, credentials: str) -> str | None:
        """Return the user of an `Authorization` header, None for a token."""
        access, throttle = self._state.access, self._state.throttle
        await wait_before_looking(throttle, request)
        user: str | None = None
        if scheme == "bearer":
            right = access.is_token(credentials.strip())
        else:
            user, password = basic_credentials(credentials) or ("", "")
            right = access.is_user(user, password)
        if not right:
            throttle.failed(address_of(request))
            raise Problem(
                401,
                "The credentials in the Authorization header are wrong.",
                remedy="Check them; after a few wrong ones the answer takes longer.",
                headers=self._challenge(request),
            )
        throttle.succeeded(address_of(request))
        return user

    async def _ask_who(self, request: Request) -> Response:
        if wants_json(request):
            access = self._state.access
            ways = [
                *(["a token as `Authorization: Bearer …`"] * access.asks_for_token),
                *(["a user and a password as HTTP Basic"] * access.asks_for_password),
            ]
            raise Problem(
                401,
                "A login is needed.",
                remedy=f"Send {' or '.join(ways)}.",
                headers=self._challenge(request),
            )
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers={"HX-Refresh": "true"})
        came_by_a_link = (
            request.headers.get("sec-fetch-site") == "cross-site"
            and request.headers.get("sec-fetch-mode") == "navigate"
            and request.method == "GET"
        )
        if came_by_a_link:
            return HTMLResponse(_ONCE_MORE)
        here = path_of(request) if request.method == "GET" else "/"
        query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
        return await login_form(request, next_path=f"{here}{query}", status=401)

    def _challenge(self, request: Request) -> dict[str, str]:
        # A browser would open its own window for Basic, also for a request of a script.
        basic = self._state.access.asks_for_password and "sec-fetch-site" not in request.headers
        kind = "Basic" if basic else "Bearer"
        return {"WWW-Authenticate": f'{kind} realm="runguard", charset="UTF-8"'}


def _wrong_host(request: Request, access: Access) -> Problem:
    found = request.headers.get("host", "")[:100]
    known = ", ".join(sorted(access.hosts or ()))
    return Problem(
        421,
        f"expected one of the names {known}, found {found!r}",
        title="This host name is not accepted",
        remedy="Use one of these names, or start the page with --allow-host NAME.",
    )


def _read_only() -> Problem:
    return Problem(
        403,
        "This page was started read-only: nothing was changed.",
        title="Read-only",
        remedy="Resolve alerts with `runguard resolve`, or on a page without --read-only.",
    )
