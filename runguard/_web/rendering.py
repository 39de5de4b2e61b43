"""Templates to pages. Every text is escaped; only what `charts` draws is markup already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .._frozen import frozen
from .._monitor import wording
from .._monitor.expectation_words import schedule
from .._monitor.progress import percent_of, progress_words, time_left
from .._monitor.records import ReviewStatus
from .._monitor.trail import SilenceState, silence_label, told_briefly
from .._monitor.watched import found_since
from .._monitor.wording import Label, Tone
from .._reasons import ErrorReason
from . import charts
from .foreign_texts import ForeignTexts, isolated
from .state import path_of, prefix_of, state_of, visitor_of

HERE: Final = Path(__file__).parent
KEPT_SPANS: Final = ("7d", "30d")  # beside the one that is shown where none was chosen
ICON: Final = "icon.svg"
_ICONS: Final = {Tone.BAD: "icon-bad.svg", Tone.WARN: "icon-warn.svg"}
# What the clock alone changes: itself, until when the reader has seen alerts, and how long ago a
# time was. The first two stay true of what is shown, the script keeps the third right.
_BY_THE_CLOCK: Final = re.compile(
    r'(?<=<data id="clock" value=")[^"]*|(?<=name="seen" value=")[^"]*|(?<=data-form="age">)[^<]*'
)
_DOT_SEGMENTS: Final = frozenset({".", ".."})


@frozen
class Tab:
    """What a browser's tab shows of a page: its title and its icon follow the state."""

    title: str
    tone: Tone = Tone.NEUTRAL

    @property
    def icon(self) -> str:
        """The file of the icon."""
        return _ICONS.get(self.tone, ICON)

    @classmethod
    def of(cls, label: Label, what: str) -> Tab:
        """Return the tab of something in a state."""
        return cls(f"{label.sign} {what}", label.tone)


def render(request: Request, name: str, context: Mapping[str, Any]) -> Response:
    """Return a page, or, where htmx asks for it, only the live part of it.

    A page has a live part where its context has `live`: that of `overview.html` is
    `overview_live.html`. The tag names the content of the live part. The page holds it, and a part
    has it as its `ETag`, so that a part that has not changed need not be sent.
    """
    state, visitor = state_of(request), visitor_of(request)
    url = url_of(request)
    now: datetime | None = context.get("now")
    span = kept_span(request)
    asked: str = request.scope["query_string"].decode("latin-1")
    here = url(path_of(request), span=None) + (f"?{asked}" if asked else "")
    everywhere = {
        "url": url,
        "job_url": partial(job_url, url),
        "kept_span": span,
        "static": lambda file: url(f"/static/{file}", v=_version_of(file)),
        "here": here,
        "section": path_of(request).split("/")[1],
        "site_title": state.title,
        "read_only": state.read_only,
        "user": visitor.user,
        "logged_in": visitor.session is not None,
        "live": False,
        "trouble": (),
        "tab": None,
        "now": now,
        "ago": lambda instant: ago(instant, now),
    }
    everywhere["is_part"] = is_live_part = is_part(request) and bool(context.get("live"))
    values = {**everywhere, **context}
    tag, live = "", ""
    if "live" in context:
        live = _filled(name.replace(".html", "_live.html"), values)
        above = _filled("banner.html", values)
        tag = _tag_of(live + above)
        if is_live_part:
            return HTMLResponse(_encoded(live + above), headers={"ETag": tag})
    # `live_part` is markup that a template of ours has made, and escaped.
    page = _filled(name, {**values, "live_part": Markup(live), "tag": tag})  # noqa: S704
    return HTMLResponse(_encoded(page))


def _filled(name: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(name).render(values)


def _encoded(text: str) -> bytes:
    """Encode a page: a text of a job may hold half a surrogate pair, which has no form in UTF-8."""
    return text.encode(errors="replace")


def _tag_of(live: str) -> str:
    """Return what changes with a live part, but not with the clock alone."""
    content = _encoded(_BY_THE_CLOCK.sub("", live))
    return f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'


def is_part(request: Request) -> bool:
    """Whether only the live part of a page is asked for, by a script of ours."""
    return bool(request.headers.get("hx-request") == "true")


def url_of(request: Request) -> Callable[..., str]:
    """Return what makes an address of a path: below our prefix, with what is asked for.

    The span that was chosen for charts goes along, until another one is chosen.
    """
    prefix, span = prefix_of(request), kept_span(request)

    def url(path: str, **asked: Any) -> str:
        if span is not None and not path.startswith("/static/"):
            asked.setdefault("span", span)
        given = [
            f"{name}={_quoted(str(value), '')}"
            for name, value in asked.items()
            if value is not None and value != ""
        ]
        return f"{prefix}{_quoted(path, '/')}{'?' if given else ''}{'&'.join(given)}"

    return url


@lru_cache(maxsize=2048)
def _quoted(text: str, safe: str) -> str:
    return quote(text, safe=safe, errors="replace")


def kept_span(request: Request) -> str | None:
    """Return the span that was chosen for charts."""
    span: str = request.query_params.get("span", "")
    return span if span in KEPT_SPANS else None


def job_url(url: Callable[..., str], job_name: str, environment: str | None = None) -> str:
    """Return the page of a job; a list of its runs where no path can hold its name."""
    segments = job_name.split("/")
    if not job_name or "" in segments or _DOT_SEGMENTS.intersection(segments):
        return url("/runs", job=job_name, environment=environment)
    return url(f"/jobs/{job_name}", environment=environment)


def moment(instant: datetime | None, *, exactly: bool = False) -> Markup:
    """Return a time: in UTC for whoever reads the page as it is, for a script to put it locally."""
    if instant is None:
        return Markup(wording.NOTHING)  # noqa: S704 - a constant
    exact = wording.utc(instant, exactly=True)
    said, form = (exact, "exact") if exactly else (wording.utc(instant), "short")
    return _time(instant, exact, form, said)


def ago(instant: datetime | None, now: datetime | None) -> Markup:
    """Return how long ago a time was, which a script keeps right."""
    if instant is None or now is None:
        return Markup(wording.NOTHING)  # noqa: S704 - a constant
    return _time(instant, wording.utc(instant, exactly=True), "age", wording.age(instant, now))


def _time(instant: datetime, exact: str, form: str, said: str) -> Markup:
    return Markup(  # noqa: S704 - of our own words and digits only
        f'<time datetime="{wording.iso(instant)}" title="{exact}" data-form="{form}">{said}</time>'
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        extensions=[ForeignTexts],
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        counted=wording.counted,
        wording=wording,
        review_statuses=tuple(ReviewStatus),
        reasons=frozenset(ErrorReason),
        groups=charts.GROUPS,
        markup=Markup,
        mark_of=charts.mark,
        silence_label=silence_label,
        told_briefly=told_briefly,
        found_since=found_since,
        schedule=schedule,
        percent_of=percent_of,
        progress_words=progress_words,
        time_left=time_left,
        SilenceState=SilenceState,
    )
    environment.filters.update(
        moment=moment,
        exactly=lambda instant: moment(instant, exactly=True),
        duration=wording.duration,
        group_class=charts.group_class,
        in_a_list=wording.in_a_list,
        iso=wording.iso,
        number=_number,
        part=_part,
        query_text=urlencode,
    )
    return environment


def _number(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:,}"


def _part(value: object) -> Markup:
    """Return a part of an explanation that leads nowhere: a time, or a text."""
    return moment(value) if isinstance(value, datetime) else isolated(value)


@cache
def _version_of(file: str) -> str:
    """Return what changes with a file's content, so that browsers may keep it for good."""
    return hashlib.sha256((HERE / "static" / file).read_bytes()).hexdigest()[:12]
