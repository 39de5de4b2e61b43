"""Every request passes here first: its name for us, who sent it, and whether it may change things.

A browser sends cookies, and what it remembers of HTTP Basic, along with requests that another
site has made it send. So what changes something must come from a page of ours: by `Sec-Fetch-Site`
or `Origin`, and by a token that only our pages hold. A program that sends no header of a browser
needs no such token: nobody can make it send anything.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem, answer_problem, problem_of, wants_json
from .rendering import render
from .security import HEADERS, Access, Seal, Throttle, basic_credentials
from .site import FIELD_OF_CSRF, HEADER_OF_CSRF, Visitor, path_of, site_of

MOST_BODY_BYTES: Final = 64 * 1024
MOST_FIELDS: Final = 1000
LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
HEALTH: Final = "/health"
STATIC: Final = "/static/"
SESSION: Final = "/api/v1/session"

_PORT: Final = re.compile(r":(\d{1,5})$")
_BROWSER_HEADERS: Final = ("origin", "sec-fetch-site", "cookie")
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
# A cookie that is `SameSite=Strict` does not come with a link from a mail. One reload by our own
# page brings it.
_ONCE_MORE: Final = """\
<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0">
<title>runguard</title><p><a href="">Go on</a></p></html>
"""


class Gate:
    """The outermost layer: lets in, refuses, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, *, access: Access, seal: Seal, throttle: Throttle) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._access = access
        self._seal = seal
        self._throttle = throttle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # A copy: where we are mounted, the state is also that of the application around us.
        scope = {**scope, "state": {**scope.get("state", {})}}
        request = Request(scope, receive)
        sender = _Sender(send)
        try:
            try:
                answer = await self._refused(request, sender)
                if answer is None:
                    # A copy again: below, a mount moves the paths of its own.
                    await self._app({**scope}, request.receive, sender)
                    return
            except Exception as error:
                if sender.started or isinstance(error, ClientDisconnect):
                    raise
                answer = await run_in_threadpool(_answer_to, request, error)
            await answer(scope, request.receive, sender)
        except ClientDisconnect:
            pass

    async def _refused(self, request: Request, sender: _Sender) -> Response | None:
        path = path_of(request)
        # Until we know better, nobody; an error page asks for it.
        request.state.visitor = Visitor(user=None, csrf_token="")
        request.state.csrf_token = ""
        if path == HEALTH:
            return None
        if not self._access.allows_host(request.headers.get("host", "")):
            raise _wrong_host(request, self._access)
        if path.startswith(STATIC):
            return None
        visitor = self._identify(request, sender)
        sender.is_for_a_browser = path == SESSION or not path.startswith("/api/")
        if visitor is None:
            return await self._ask_who(request)
        if request.method == "POST":  # nothing else that changes something has a route
            self._prove_it_is_ours(request)
            await self._read_body(request)
            self._prove_it_is_wanted(request)
            if site_of(request).read_only and path not in (LOGIN, LOGOUT):
                raise Problem(
                    403,
                    "This page was started read-only: nothing was changed.",
                    title="Read-only",
                    remedy="Resolve alerts with `runguard resolve`, or on a page without"
                    " --read-only.",
                )
        return None

    def _identify(self, request: Request, sender: _Sender) -> Visitor | None:
        """Find out who sends; None where they must tell first."""
        session = self._seal.session(request.cookies.get(_cookie_name(request, "session")))
        if session is not None and self._access.kind == "login":
            visitor = self._visitor(session.user, session.nonce, logged_in=True)
            nonce = session.nonce
        else:
            nonce = request.cookies.get(_cookie_name(request, "visit"), "")
            if not 16 <= len(nonce) <= 64:
                nonce = secrets.token_urlsafe(16)
                sender.visit_cookie = _set_cookie(request, "visit", nonce, same_site="Lax")
            visitor = self._visitor(None, nonce)
        request.state.visitor = visitor
        request.state.csrf_token = visitor.csrf_token
        request.state.nonce = nonce
        request.state.came_by_token = False
        if self._access.kind != "login" or visitor.logged_in:
            return visitor
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() in ("bearer", "basic"):
            visitor = self._visitor(self._authorized(request, scheme.lower(), credentials), nonce)
            request.state.visitor = visitor
            request.state.came_by_token = scheme.lower() == "bearer"
            return visitor
        return visitor if path_of(request) == LOGIN else None

    def _visitor(self, user: str | None, nonce: str, *, logged_in: bool = False) -> Visitor:
        return Visitor(user, self._seal.csrf_token(nonce), logged_in)

    def _authorized(self, request: Request, scheme: str, credentials: str) -> str | None:
        """Return the user of an `Authorization` header, None for a token."""
        check_throttle(self._throttle, request)
        user: str | None = None
        if scheme == "bearer":
            right = self._access.is_token(credentials.strip())
        else:
            user, password = basic_credentials(credentials) or ("", "")
            right = self._access.is_user(user, password)
        address = address_of(request)
        if not right:
            self._throttle.failed(address)
            raise Problem(
                401,
                "The credentials in the Authorization header are not right.",
                remedy="Check them; after a few wrong ones you must wait.",
                headers=self._challenge(request),
            )
        self._throttle.succeeded(address)
        return user

    async def _ask_who(self, request: Request) -> Response:
        if wants_json(request):
            ways = [
                *(["a token as `Authorization: Bearer …`"] * self._access.asks_for_token),
                *(["a user and a password as HTTP Basic"] * self._access.asks_for_password),
            ]
            raise Problem(
                401,
                "This needs a login.",
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
        return await run_in_threadpool(
            login_page, request, self._access, next_path=f"{here}{query}", status=401
        )

    def _challenge(self, request: Request) -> dict[str, str]:
        # A browser would open its own window for Basic, also for a request of a script.
        basic = self._access.asks_for_password and "sec-fetch-site" not in request.headers
        kind = "Basic" if basic else "Bearer"
        return {"WWW-Authenticate": f'{kind} realm="runguard", charset="UTF-8"'}

    def _prove_it_is_ours(self, request: Request) -> None:
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            found, ours = f"Sec-Fetch-Site: {site}", site in ("same-origin", "none")
        elif origin is not None:
            host = request.headers.get("host", "")
            found, ours = f"Origin: {origin}", origin.partition("://")[2] == host.lower()
        else:
            return
        if not ours:
            raise Problem(
                403,
                f"expected a request from a page of ours, found {found}",
                remedy="Nothing was changed. Behind a proxy, let it pass the Host header on.",
            )

    async def _read_body(self, request: Request) -> None:
        """Read a form into `request.state.form`, JSON into `request.state.json`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        expected = _JSON if path_of(request).startswith("/api/") else _FORM
        if kind != expected:
            raise Problem(
                415,
                f"expected Content-Type {expected}, found {kind or 'none'!r}",
                remedy=f"Send the header Content-Type: {expected}.",
            )
        body = await _body_of(request)
        try:
            if expected == _JSON:
                request.state.json = json.loads(body)
            else:
                pairs = parse_qsl(
                    body.decode(),
                    keep_blank_values=True,
                    max_num_fields=MOST_FIELDS,
                    errors="strict",
                )
                request.state.form = FormData([*pairs])
        except (ValueError, RecursionError):
            raise Problem(
                400,
                f"expected a body of {expected}"
                + (f" with at most {MOST_FIELDS} fields" if expected == _FORM else "")
                + ", found one that cannot be read",
            ) from None

    def _prove_it_is_wanted(self, request: Request) -> None:
        if request.state.came_by_token:
            return  # no browser sends it by itself
        form: FormData | None = getattr(request.state, "form", None)
        if form is None and not any(name in request.headers for name in _BROWSER_HEADERS):
            return
        token = request.headers.get(HEADER_OF_CSRF)
        if token is None and form is not None:
            token = str(form.get(FIELD_OF_CSRF, ""))
        if not self._seal.is_csrf_token(token or "", request.state.nonce):
            raise Problem(
                403,
                "The form is too old, or not from here: its token does not fit this visit.",
                title="Please send it again",
                remedy="Nothing was changed. Go back, reload the page, and send it again; the"
                " page needs cookies.",
            )


class Doors:
    """Logging in and out. On the event loop, so that no two guesses pass the throttle at once."""

    def __init__(self, *, access: Access, seal: Seal, throttle: Throttle) -> None:
        """Open for those whom `access` lets in."""
        self._access = access
        self._seal = seal
        self._throttle = throttle

    async def ask(self, request: Request) -> Response:
        """Show the form; whoever is in already is led to the overview."""
        if self._access.kind != "login" or request.state.visitor.logged_in:
            return _redirect(request, "/")
        return login_page(request, self._access, next_path="/")

    async def enter(self, request: Request) -> Response:
        """Take the form: a token with a name for it, or a user and a password."""
        form: FormData = request.state.form
        next_path = _local_path(str(form.get("next", "/")))
        if self._access.kind != "login":
            return _redirect(request, "/")
        check_throttle(self._throttle, request)
        fields = {name: str(form.get(name, "")) for name in ("token", "name", "user", "password")}
        user: str | None
        if fields["token"]:
            user, right = (
                fields["name"].strip()[:64] or None,
                self._access.is_token(fields["token"].strip()),
            )
        else:
            user = fields["user"]
            right = self._access.is_user(user, fields["password"])
        if not right:
            self._throttle.failed(address_of(request))
            said = "That was not right. Check it and try again."
            return login_page(request, self._access, next_path=next_path, status=401, said=said)
        self._throttle.succeeded(address_of(request))
        response = _redirect(request, next_path)
        cookie = _set_cookie(request, "session", self._seal.new_session(user), same_site="Strict")
        response.headers.append("set-cookie", cookie)
        return response

    async def leave(self, request: Request) -> Response:
        """End the session in this browser."""
        if request.state.visitor.logged_in:
            self._seal.end(request.state.nonce)
        response = _redirect(request, "/")
        gone = _set_cookie(request, "session", "", same_site="Strict") + "; Max-Age=0"
        response.headers.append("set-cookie", gone)
        return response


def login_page(
    request: Request, access: Access, *, next_path: str, status: int = 200, said: str = ""
) -> Response:
    """Show the form for a token, or for a user and a password, or both."""
    context: Mapping[str, Any] = {
        "asks_for_token": access.asks_for_token,
        "asks_for_password": access.asks_for_password,
        "next_path": next_path,
        "said": said,
    }
    response = render(request, "login.html", context)
    response.status_code = status
    return response


def check_throttle(throttle: Throttle, request: Request) -> None:
    """Refuse to look at a secret while its sender must wait."""
    if seconds := throttle.seconds_to_wait(address_of(request)):
        raise Problem(
            429,
            "Too many wrong logins.",
            remedy=f"Wait {seconds} seconds, then try again.",
            headers={"Retry-After": str(seconds)},
        )


def address_of(request: Request) -> str | None:
    """Return the address of who sent a request, where the server knows it."""
    return None if request.client is None else request.client.host


class _Sender:
    """Puts the headers, and the cookie of a first visit, on an answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.visit_cookie: str | None = None
        self.is_for_a_browser = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if self.visit_cookie is not None and self.is_for_a_browser:
                headers.append("set-cookie", self.visit_cookie)
        await self._send(message)


def _answer_to(request: Request, error: Exception) -> Response:
    return answer_problem(request, problem_of(error, request))


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise Problem(
                413,
                f"expected at most {MOST_BODY_BYTES} bytes, found more",
                remedy="Choose fewer alerts at once.",
            )
    return bytes(body)


def _wrong_host(request: Request, access: Access) -> Problem:
    found = request.headers.get("host", "")[:100]
    known = ", ".join(sorted(access.hosts or ()))
    return Problem(
        421,
        f"expected one of the names {known}, found {found!r}",
        title="This page is not known by that name",
        remedy="Open it by one of these names, or start it with --allow-host NAME.",
    )


def _cookie_name(request: Request, what: str) -> str:
    # Browsers do not keep the cookies of two ports apart.
    port = _PORT.search(request.headers.get("host", ""))
    return f"runguard_{what}_{port[1] if port else 'web'}"


def _set_cookie(request: Request, what: str, value: str, *, same_site: str) -> str:
    path = request.scope.get("root_path", "").rstrip("/") or "/"
    secure = "; Secure" if request.url.scheme == "https" else ""
    name = _cookie_name(request, what)
    return f"{name}={value}; Path={path}; HttpOnly; SameSite={same_site}{secure}"


def _redirect(request: Request, path: str) -> Response:
    prefix = request.scope.get("root_path", "").rstrip("/")
    return RedirectResponse(f"{prefix}{path}", status_code=303)


def _local_path(path: str) -> str:
    """Return the path, or `/` where it would lead elsewhere."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_ours and path.isprintable() else "/"
