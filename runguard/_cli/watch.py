"""`--watch`: the same view again and again, until Ctrl-C.

On a terminal each frame is one write over the one before, on the screen's other page: nothing
flickers, and what stood there before comes back at the end. A pipe gets one snapshot after the
other, each behind a line with its time.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from rich.console import Console, RenderableType
from rich.text import Text

from .._errors import StoreUnavailable
from .output import pipe_text, stdout_console
from .talk import one_line

_ENTER: Final = "\x1b[?1049h\x1b[?25l"  # the other page; no cursor
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"

Frame = Callable[[Console], RenderableType]


def watch(
    frame: Frame, *, seconds: float, title: str, wait: Callable[[float], None] = time.sleep
) -> None:
    """Show what `frame` gives until Ctrl-C, or until nobody reads it any more.

    A store that goes away is told above the last frame, and asked again; only the first look may
    fail.
    """
    console = stdout_console()
    shown: RenderableType | None = None
    try:
        shown = frame(console)
        if not console.is_terminal:
            _append(frame, shown, seconds=seconds, wait=wait)
            return
        with _other_page():
            trouble = ""
            while True:
                heading = f"{title}   every {seconds:g} s   {datetime.now():%H:%M:%S}   Ctrl-C ends"
                above = Text(trouble or heading, "red" if trouble else "dim")
                _draw(console, above, shown)
                wait(seconds)
                console = stdout_console()  # the window may have changed
                try:
                    shown, trouble = frame(console), ""
                except StoreUnavailable as error:
                    since = f"{datetime.now():%H:%M:%S}"
                    trouble = f"{since} {one_line(error)}; this is what was there before."
    except KeyboardInterrupt:
        # What was seen last stays to be read.
        if shown is not None and console.is_terminal:
            console.print(shown)


def _append(
    frame: Frame, shown: RenderableType, *, seconds: float, wait: Callable[[float], None]
) -> None:
    console = stdout_console()
    while True:
        text = pipe_text(shown)
        sys.stdout.write(f"# {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n{text}\n")
        sys.stdout.flush()
        wait(seconds)
        try:
            shown = frame(console)
        except StoreUnavailable as error:
            shown = Text(f"# {one_line(error)}")


@contextmanager
def _other_page() -> Iterator[None]:
    sys.stdout.write(_ENTER)
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def _draw(console: Console, above: RenderableType, shown: RenderableType) -> None:
    """Write one frame in one go, cut to the window: what does not fit would scroll."""
    drawn = io.StringIO()
    page = Console(
        file=drawn,
        width=console.width,
        force_terminal=True,
        color_system=console.color_system,  # type: ignore[arg-type]
        no_color=console.no_color,
        highlight=False,
        markup=False,
        emoji=False,
    )
    page.print(above, no_wrap=True, overflow="ellipsis")
    page.print()
    page.print(shown)
    lines = drawn.getvalue().splitlines()
    room = max(3, console.height - 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
    body = "".join(f"{line}{_END_OF_LINE}{os.linesep}" for line in lines)
    sys.stdout.write(f"{_HOME}{body}{_REST_OF_SCREEN}")
    sys.stdout.flush()
