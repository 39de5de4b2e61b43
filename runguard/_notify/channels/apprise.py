"""Everything that Apprise knows: Slack, Teams, Telegram, PagerDuty and a hundred more.

The one file that imports it (extra `notify`). Apprise says only whether it sent; why not stands in
what it logs, which may hold a token. So its log lines of our threads are kept, and not printed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from ..._errors import nearest
from ..._monitor.notices import ChannelSpec, Message, NoticeKind, Outcome, Probe, SendResult
from .addresses import wrong
from .deadline import Deadline, send_within
from .hiding import config_hash, hider, one_line

INSTALL: Final = (
    "pip install 'runguard-runlog[notify]'      (in a checkout: pip install '.[notify]')"
)
LONGEST_SECONDS: Final = 30.0
OWN_SCHEMES: Final = ("smtp", "smtps", "webhook+https", "webhook+http")  # meant sooner than others

_SHORTEST_TOKEN: Final = 5
_STATUS: Final = re.compile(r"error[=: ]+(\d{3})\b")
_LATER: Final = frozenset({408, 425, 429})


class AppriseChannel:
    """One URL of Apprise's."""

    is_idempotent: Final = False

    def __init__(self, spec: ChannelSpec, url: str) -> None:
        """Let Apprise read the URL.

        Raises:
            ConfigurationError: Apprise is not installed, or does not take it.
        """
        self.name: Final = spec.name
        self.kind: Final = url.partition("://")[0].lower()
        self._url: Final = url
        try:
            _load()
            self._service: Final[str] = str(_plugin(url).service_name)
        except ImportError:
            raise wrong(
                spec,
                f"expected Apprise, which sends to {self.kind}://, found it not installed:"
                f" {INSTALL}",
            ) from None
        except _NotTaken:
            raise wrong(spec, _complaint(self.kind)) from None
        self.config_hash: Final = config_hash(url)
        self._hide: Final = hider([url, *_tokens(url)])

    def __repr__(self) -> str:
        """Name it, without the URL."""
        return f"<{type(self).__name__} {self.name}: {self.target()}>"

    def target(self) -> str:
        """Name the service; where in it is often a secret."""
        return f"{self._service} ({self.kind}://…)"

    def send(self, message: Message, *, timeout: float) -> Outcome:
        """Send one message. Never raises."""
        return send_within(
            min(timeout, LONGEST_SECONDS),
            lambda deadline: self._sent(message, deadline),
            where=self._service,
            hide=self._hide,
        )

    def probe(self, *, timeout: float) -> Probe:  # noqa: ARG002 (nothing here waits)
        """Say that nobody knows: Apprise can do nothing but send."""
        return Probe(ok=None, summary=f"{self.target()}: only a message can tell")

    def _sent(self, message: Message, deadline: Deadline) -> Outcome:
        import apprise

        with _log.heard() as heard:
            sender = apprise.Apprise()
            sender.add(_plugin(_with_options(self._url, self.kind, message)))
            # What happens between here and its answer is Apprise's own.
            deadline.commit()
            is_sent = sender.notify(
                body=message.text.encode(errors="replace").decode(),
                title=one_line(message.subject),
                notify_type=_type(self.kind, message),
                body_format=apprise.NotifyFormat.TEXT,
                interpret_escapes=False,
            )
        return Outcome(SendResult.SENT) if is_sent else self._refused(heard)

    def _refused(self, heard: list[str]) -> Outcome:
        said = heard[-1] if heard else "Apprise did not send it, and does not say why"
        status = int(found[1]) if (found := _STATUS.search(said)) else 0
        is_final = 400 <= status < 500 and status not in _LATER
        result = SendResult.REFUSED if is_final else SendResult.RETRY
        return Outcome(result, f"{self._service}: {self._hide(said)}")


class _NotTaken(Exception):
    """Apprise does not take a URL."""


class _Log(logging.Filter):
    """What Apprise and its HTTP client log in the threads that listen; nobody else sees it."""

    LOGGERS: Final = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[int, list[str]] = {}
        for name in self.LOGGERS:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        heard = self._heard.get(record.thread or 0)
        if heard is None:
            return True
        if record.name == "apprise" and record.levelno >= logging.WARNING:
            heard.append(record.getMessage())
        return False

    @contextlib.contextmanager
    def heard(self) -> Iterator[list[str]]:
        """Keep what this thread logs meanwhile."""
        me = threading.get_ident()
        before = self._heard.get(me)
        lines = self._heard[me] = [] if before is None else before
        try:
            yield lines
        finally:
            if before is None:
                del self._heard[me]


_log: Final = _Log()


@functools.cache
def _load() -> None:
    """Load all that Apprise knows, once: where warnings are errors, some of it would not load."""
    import apprise

    with warnings.catch_warnings(), _log.heard():
        warnings.simplefilter("ignore", DeprecationWarning)
        apprise.NotificationManager().load_modules()


def _plugin(url: str) -> Any:
    """Return what Apprise makes of a URL."""
    import apprise

    # Apprise's own limit runs the sending in a thread that is waited for at exit (2.3).
    asset = apprise.AppriseAsset(
        service_timeout=0,
        async_mode=False,
        app_id="runguard",
        app_desc="runguard",
        app_url="",
        image_url_mask="",
        image_url_logo="",
    )
    with _log.heard():
        plugin = apprise.Apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise _NotTaken
    return plugin


def _complaint(scheme: str) -> str:
    import apprise

    known = apprise.NotificationManager().schemas()
    if scheme in known:
        return (
            f"expected a URL of {scheme}:// in the form that Apprise has for it, found another"
            f" text: see https://appriseit.com/services/ for {scheme}"
        )
    if scheme in ("http", "https"):
        return (
            f"expected an address that Apprise knows, found another one: write webhook+{scheme}://"
            " to post JSON to it"
        )
    meant = nearest(scheme, OWN_SCHEMES) or nearest(scheme, known)
    hint = f": did you mean {meant}://?" if meant else ": see https://appriseit.com/services/"
    return f"expected smtp://, webhook+https:// or a scheme of Apprise's, found another one{hint}"


def _with_options(url: str, scheme: str, message: Message) -> str:
    """Add what this message wants; what the URL says itself stays."""
    key = hashlib.sha256(message.conversation.encode(errors="replace")).hexdigest()[:40]
    wanted = {"overflow": "truncate"}
    if scheme == "pagerduty":  # one incident there for each of ours, and a recovery resolves it
        wanted |= {"dedup": f"runguard-{key}", "action": "map"}
    elif scheme == "opsgenie" and message.kind is NoticeKind.RECOVERED:
        wanted |= {"priority": "5"}  # the lowest there, whatever Apprise's words for it
    elif scheme == "opsgenie":
        wanted |= {"alias": f"runguard-{key}"}
    given = {pair.partition("=")[0].lower() for pair in url.partition("?")[2].split("&")}
    added = "&".join(f"{name}={value}" for name, value in wanted.items() if name not in given)
    return f"{url}{'&' if '?' in url else '?'}{added}"


def _type(scheme: str, message: Message) -> Any:
    from apprise import NotifyType

    if scheme == "opsgenie":
        # Anything milder closes the alerts that Apprise remembers. A new process remembers none:
        # nothing would be sent, and that called done.
        return NotifyType.FAILURE if message.severity == "high" else NotifyType.WARNING
    if message.kind is NoticeKind.RECOVERED:
        return NotifyType.SUCCESS
    types = {"high": NotifyType.FAILURE, "medium": NotifyType.WARNING}
    return types.get(message.severity, NotifyType.INFO)


def _tokens(url: str) -> list[str]:
    """Return the parts of a URL that may be a secret, as they stand there and decoded."""
    parts = re.split(r"[/:@?&=,#]+", url.partition("://")[2])
    found = [part for part in parts if len(part) >= _SHORTEST_TOKEN]
    return found + [unquote(part) for part in found]
