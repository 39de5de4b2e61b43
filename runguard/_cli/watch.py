"""`--watch`: the same view again and again, until Ctrl-C.

On a terminal each frame is one write over the one before, on the screen's other page: nothing
flickers, and what stood there before comes back at the end. A pipe gets one snapshot after the
other, each behind a line with its time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.segment import Segments
from rich.text import Text

from .._errors import StoreUnavailable
from .output import pipe_text, stdout_console
from .talk import one_line

Frame = Callable[[Console], RenderableType]


def watch(
    frame: Frame, *, seconds: float, title: str, wait: Callable[[float], None] = time.sleep
) -> None:
    """Show what `frame` gives until Ctrl-C, or until nobody reads it any more.

    A store that goes away is reported above the last frame, and asked again; only the first look
    may fail.
    """
    console = stdout_console()
    shown: RenderableType | None = None
    try:
        shown = frame(console)
        if not console.is_terminal:
            _append(frame, shown, seconds=seconds, wait=wait)
            return
        from rich.live import Live

        with Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live:
            error = ""
            while True:
                heading = f"{title}   every {seconds:g} s   {datetime.now():%H:%M:%S}   Ctrl-C ends"
                above = Text(error or heading, "red" if error else "dim")
                live.update(_cut_to_window(above, shown, console), refresh=True)
                wait(seconds)
                try:
                    shown, error = frame(console), ""
                except StoreUnavailable as unavailable:
                    since = f"{datetime.now():%H:%M:%S}"
                    error = f"{since} {one_line(unavailable)}; the last answer is shown."
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
        except StoreUnavailable as unavailable:
            shown = Text(f"# {one_line(unavailable)}")


def _cut_to_window(above: Text, shown: RenderableType, console: Console) -> RenderableType:
    """Return one frame as lines that fit, and say how many do not: the rest would scroll."""
    above.no_wrap, above.overflow = True, "ellipsis"
    options = console.options.update(height=None)
    lines = console.render_lines(Group(above, Text(), shown), options, pad=False, new_lines=True)
    room = max(3, console.height)
    if len(lines) <= room:
        return Group(*(Segments(line) for line in lines))
    kept = [Segments(line) for line in lines[: room - 1]]
    return Group(*kept, Text(f"… {len(lines) - room + 1} more lines"))
