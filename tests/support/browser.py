"""A real browser for the tests: Chromium, and the pages that `runguard web` serves to it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Self

from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Playwright, expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
MISSING = "Chromium is not installed (on Debian and Ubuntu: apt-get install chromium)"

RUNGUARD_WEB: Final = ("-m", "runguard", "web", "--port", "0", "--no-monitor")

# What a busy machine may need for a page, in milliseconds. Waiting ends as soon as it is there.
PATIENCE: Final = 20_000

expect.set_options(timeout=PATIENCE)


class Website:
    """`runguard web` in a process of its own, at a free port of this machine.

    `program` is another one to start instead; it says its address, too.
    """

    def __init__(
        self, *arguments: str, program: Sequence[str] = RUNGUARD_WEB, **environment: str
    ) -> None:
        """Start it with these arguments, and return when it can be asked."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self.url = self._address()
        except BaseException:
            self.close()
            raise

    def log_text(self) -> str:
        """What it has said so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _address(self) -> str:
        deadline = time.monotonic() + 30
        while not (found := re.search(r"http://\S+", said := self.log_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"`runguard web` did not start; it said:\n{said}")
            time.sleep(0.02)
        return found[0].rstrip("/")

    def close(self) -> None:
        """See that it is gone."""
        self.stop()
        self._log.close()

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window."""
    if PROGRAM is None:
        raise RuntimeError(MISSING)
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(
        executable_path=PROGRAM,
        # The same pixels on every machine.
        args=["--force-color-profile=srgb", "--font-render-hinting=none", "--hide-scrollbars"],
    )


class Reader:
    """Somebody at a screen, who notices whatever goes wrong on a page.

    `complaints` holds what went wrong: errors and warnings on the console (what the policy
    refused among them), exceptions, and requests to anybody but our own server.
    """

    def __init__(
        self,
        browser: Browser,
        site: str,
        *,
        width: int = 1400,
        height: int = 900,
        dark: bool = False,
        timezone: str = "UTC",
        scripts: bool = True,
        **options: Any,
    ) -> None:
        self.site = site
        self.complaints: list[str] = []
        self._expected: list[str] = []
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            timezone_id=timezone,
            locale="en-GB",
            java_script_enabled=scripts,
            # Nothing moves in a picture, and nothing is waited for that only looks nice.
            reduced_motion="reduce",
            **options,
        )
        self.context.set_default_timeout(PATIENCE)
        self.context.on("request", self._see_request)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page: Page = self.context.new_page()

    def expect_complaint(self, pattern: str) -> None:
        """Say before that this will go wrong, and that it is meant to."""
        self._expected.append(pattern)

    def unexpected(self) -> list[str]:
        """What went wrong and was not meant to."""
        return [
            complaint
            for complaint in self.complaints
            if not any(re.search(pattern, complaint) for pattern in self._expected)
        ]

    def open(self, path: str = "/") -> Page:
        """Open a page of ours; return when it has been read and its scripts have run."""
        self.page.goto(f"{self.site}{path}", wait_until="load")
        return self.page

    def _see_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.site}/", "data:")):
            self.complaints.append(f"a request to another host: {request.url}")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{message.type} on the console: {message.text}")


def pixels(picture: bytes) -> Image.Image:
    """Return a screenshot as an image of red, green and blue."""
    return Image.open(BytesIO(picture)).convert("RGB")


def coloured_pixels(picture: bytes, is_wanted: Callable[[int, int, int], bool]) -> int:
    """Count the pixels of a screenshot whose colour is wanted."""
    image = pixels(picture)
    found = image.getcolors(maxcolors=image.width * image.height) or []
    return sum(count for count, colour in found if is_wanted(*colour))


def is_colourful(red: int, green: int, blue: int) -> bool:
    """Whether it is a colour, and no shade of grey or nearly so."""
    return max(red, green, blue) - min(red, green, blue) > 60


def luminance(colour: Sequence[float]) -> float:
    """Return how light a colour is, from 0 to 1, as the WCAG defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in colour[:3])
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def violations(page: Page) -> list[str]:
    """What axe-core finds on a page, with the elements."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['html'][:200]}"
        for rule in found
        for node in rule["nodes"]
    ]


def wider_than_the_screen(page: Page) -> list[str]:
    """Which elements stick out to the right, where the page as a whole can be scrolled there."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.body.querySelectorAll("*")]
            .filter((element) => element.getBoundingClientRect().right > width + 1)
            .map((element) => element.outerHTML.slice(0, 120))
            .concat(`${document.documentElement.scrollWidth} > ${width}`);
        }"""
    )
    return found


def colour_of(element: Locator, name: str) -> tuple[int, int, int]:
    """A colour of an element as red, green and blue, whatever notation the sheet has it in."""
    red, green, blue, _ = element.evaluate(
        """(element, name) => {
          const brush = document.createElement("canvas").getContext("2d");
          brush.fillStyle = getComputedStyle(element)[name];
          brush.fillRect(0, 0, 1, 1);
          return [...brush.getImageData(0, 0, 1, 1).data];
        }""",
        name,
    )
    return red, green, blue


def near(wanted: Sequence[int]) -> Callable[[int, int, int], bool]:
    """Whether a colour is the wanted one, but for rounding."""
    return lambda *found: max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 6
