"""The last scene of `runguard demo`: a script fails, and a mail says so, once.

The script runs as cron would start it, in a process of its own, and knows nothing of the mail: one
variable names where it goes. Its store is a file of its own: no alert of yours is sent here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Protocol

from .demo_mail import MailSink

JOB: Final = "demo.invoice_mailer"
FILE: Final = "invoice_mailer.py"
COOLDOWN_SECONDS: Final = 1.2  # so short that a recovery needs no patience
MAIL_SECONDS: Final = 20.0
SCRIPT: Final = f'''\
import sys
from runguard import tracked_run

@tracked_run("{JOB}")
def send_invoices():
    if "broken" in sys.argv:
        raise TimeoutError("the mail server did not answer within 5 s")

send_invoices()
'''


class Tell(Protocol):
    """Prints a line in a style."""

    def __call__(self, text: str, style: str = "") -> None: ...


def play(tell: Tell) -> None:
    """Run the script three times, and tell what came by mail."""
    tell("A script as cron would start it, and one variable that says who is told:\n")
    with MailSink() as sink, _script(sink.url) as run:
        tell(textwrap.indent(SCRIPT, "    "), "dim")
        tell(f"    $ export RUNGUARD_NOTIFY='{sink.url}'", "dim")
        _call(tell, run, "broken")
        _tell_mail(tell, sink, 1)
        _call(tell, run, "broken")
        tell(f"\n{_told(len(sink.mails) - 1)}: it is the same incident.")
        time.sleep(COOLDOWN_SECONDS)
        _call(tell, run, "repaired")
        _tell_mail(tell, sink, 2)


def _call(tell: Tell, run: Callable[[str], int], how: str) -> None:
    tell(f"\n    $ python {FILE} {how}", "dim")
    exit_code = run(how)
    tell(f"    exit code {exit_code}", "dim")


def _tell_mail(tell: Tell, sink: MailSink, number: int) -> None:
    if not sink.wait_for(number, timeout=MAIL_SECONDS):
        tell("\nNo mail came. `runguard doctor` says what is missing.", "bold red")
        return
    mail = sink.mails[number - 1]
    tell(f"\nA mail to {mail['To']}:\n")
    tell(f"    {mail['Subject']}\n", "bold")
    tell(textwrap.indent(_text_of(mail), "    "))


def _text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content()).rstrip()


def _told(mails: int) -> str:
    return "No further mail" if mails == 0 else f"{mails} further mails"


@contextmanager
def _script(url: str) -> Iterator[Callable[[str], int]]:
    """Give what runs the script with an argument, on a fresh store; it returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="runguard-demo-", ignore_cleanup_errors=True) as folder:
        environ = _environ(os.environ, Path(folder), url)
        file = Path(folder, FILE)
        file.write_text(SCRIPT, encoding="utf-8")

        def run(how: str) -> int:
            return subprocess.run(  # noqa: S603 - this interpreter, and a script of ours
                [sys.executable, str(file), how],
                cwd=folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            ).returncode

        yield run


def _environ(environ: Mapping[str, str], folder: Path, url: str) -> dict[str, str]:
    """The environment of the script: yours, without your settings of runguard."""
    kept = {name: value for name, value in environ.items() if not name.startswith("RUNGUARD_")}
    return kept | {
        "ALERT_COOLDOWN_MINUTES": str(COOLDOWN_SECONDS / 60),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "RUNGUARD_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}",
        "RUNGUARD_NOTIFY": url,
        "RUNGUARD_SPOOL_DIR": str(folder / "spool"),
    }
