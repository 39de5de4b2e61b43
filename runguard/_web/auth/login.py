"""Logging in and out."""

from __future__ import annotations

import re
from typing import Final

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..forms import SentForm, text_in
from ..problems import Problem
from ..rendering import render
from ..state import CurrentState, prefix_of, state_of, visitor_of
from .throttle import Throttle

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
LONGEST_NAME: Final = 64

_PORT: Final = re.compile(r":(\d{1,5})$")

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
async def ask(request: Request, state: CurrentState) -> Response:
    """Show the form; whoever is in already is led to the overview."""
    if state.access.kind != "login" or visitor_of(request).session is not None:
        return _redirect(request, "/")
    return await login_form(request, next_path="/")


@router.post(LOGIN)
async def enter(request: Request, state: CurrentState, form: SentForm) -> Response:
    """Take the form: a token with a name for it, or a user and a password."""
    next_path = _local_path(text_in(form, "next"))
    if state.access.kind != "login":
        return _redirect(request, "/")
    await wait_before_looking(state.throttle, request)
    user: str | None
    if token := text_in(form, "token"):
        user, right = text_in(form, "name")[:LONGEST_NAME] or None, state.access.is_token(token)
    else:
        user = str(form.get("user", ""))
        right = state.access.is_user(user, str(form.get("password", "")))
    if not right:
        state.throttle.failed(address_of(request))
        said = "The login failed. Check what you typed, and try again."
        return await login_form(request, next_path=next_path, status=401, said=said)
    state.throttle.succeeded(address_of(request))
    return _with_session(_redirect(request, next_path), request, state.signer.new_session(user))


@router.post(LOGOUT)
async def leave(request: Request, state: CurrentState) -> Response:
    """End the session in this browser."""
    if (session := visitor_of(request).session) is not None:
        state.signer.end(session)
    return _with_session(_redirect(request, "/"), request, None)


async def login_form(
    request: Request, *, next_path: str, status: int = 200, said: str = ""
) -> Response:
    """Show the form for a token, or for a user and a password, or both."""
    access = state_of(request).access
    context = {
        "asks_for_token": access.asks_for_token,
        "asks_for_password": access.asks_for_password,
        "next_path": next_path,
        "said": said,
    }
    response = await run_in_threadpool(render, request, "login.html", context)
    response.status_code = status
    return response


async def wait_before_looking(throttle: Throttle, request: Request) -> None:
    """Wait before a secret is looked at, where its sender's address was wrong before.

    Raises:
        Problem: too many from there wait already.
    """
    if not await throttle.wait(address_of(request)):
        raise Problem(
            429,
            "Too many logins from your address wait to be looked at.",
            remedy="Try again in half a minute.",
            headers={"Retry-After": "30"},
        )


def address_of(request: Request) -> str | None:
    """Return the address of who sent a request, where the server knows it."""
    return None if request.client is None else request.client.host


def cookie_name(request: Request) -> str:
    """Return the name of the session's cookie."""
    # Browsers do not keep the cookies of two ports apart.
    port = _PORT.search(request.headers.get("host", ""))
    return f"runguard_session_{port[1] if port else 'web'}"


def _with_session(response: Response, request: Request, cookie: str | None) -> Response:
    """Let a browser keep the cookie, or forget it; no script reads it, no other site sends it."""
    path = prefix_of(request) or "/"
    secure = "; Secure" if request.url.scheme == "https" else ""
    gone = "; Max-Age=0" if cookie is None else ""
    response.headers.append(
        "set-cookie",
        f"{cookie_name(request)}={cookie or ''}; Path={path}; HttpOnly; SameSite=Strict"
        f"{secure}{gone}",
    )
    return response


def _redirect(request: Request, path: str) -> Response:
    return RedirectResponse(f"{prefix_of(request)}{path}", status_code=303)


def _local_path(path: str) -> str:
    """Return the path, or `/` where it would lead elsewhere."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_ours and path.isprintable() else "/"
