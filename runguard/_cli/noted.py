"""What is kept beside a run, as `show` prints it: its traceback, log, context, links, progress."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from .._models import RunStatus
from .._monitor.change_words import verdict
from .._monitor.progress import progress_of, progress_words
from .._monitor.records import NoteRecord, RunDetails
from .._monitor.visible import visible
from .._monitor.wording import noted_value

if TYPE_CHECKING:
    from .._monitor.traceback_view import TracebackView

_MARGIN = 2


def code_facts(details: RunDetails) -> list[tuple[str, str | Text]]:
    """Say which code ran, and what it has that the last success had not."""
    run, changed = details.run, details.changed
    compared = changed is not None and changed.last_success is not None
    says = verdict(changed, upstream=run.upstream) if changed and compared else "-"
    return [("version", run.version or "-"), ("what changed", says)]


def noted_facts(details: RunDetails, *, now: datetime) -> list[tuple[str, str | Text]]:
    """Say what a job told of its run in a few words each."""
    note, run = details.note or NoteRecord(), details.run
    is_open = run.status == RunStatus.RUNNING
    progress = progress_of(note, started_at=run.started_at, finished_at=run.finished_at, now=now)
    words = "-" if progress is None else progress_words(progress, now=now if is_open else None)
    links = (f"{name}: {url}" for name, url in note.links)
    context = (f"{key}: {noted_value(value)}" for key, value in (note.context or {}).items())
    return [
        ("progress", words),
        *_under("context", context),
        *_under("links", links),
        ("trace", run.trace_id or "-"),
    ]


def _under(label: str, values: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Put values below each other, the label beside the first."""
    for place, value in enumerate(values):
        yield "" if place else label, value


def has_folded_frames(note: NoteRecord | None) -> bool:
    """Whether a terminal is shown less than the whole traceback."""
    from .._monitor.traceback_view import view_of  # most commands show none

    view = view_of((note and note.traceback) or "")
    return bool(view.user_frames) and len(view.user_frames) < len(view.frames)


def noted_texts(note: NoteRecord | None, *, folded: bool) -> Iterator[RenderableType]:
    """Show a run's traceback and the last lines of its log, each below a heading.

    With `folded` the frames of libraries are one line, which says how many they are.
    """
    if note is not None and note.traceback:
        from .._monitor.traceback_view import view_of

        view = view_of(note.traceback)
        yield from (Text(), Text("traceback", "bold"))
        traceback = _traceback(view, folded=folded and bool(view.user_frames))
        yield Padding.indent(traceback, _MARGIN)
    if note is not None and note.log_tail:
        yield from (Text(), Text("last log lines", "bold"))
        yield Padding.indent(_folding(note.log_tail), _MARGIN)


def _traceback(view: TracebackView, *, folded: bool) -> Text:
    from .._monitor.traceback_view import Frames

    shown = _folding("")
    for place, part in enumerate(view.parts):
        shown.append("\n" if place else "")
        if not isinstance(part, Frames):
            shown.append(visible(part.text, lines=True))
        elif not part.are_library:
            shown.append(visible(part.text, lines=True), "bold")
        else:
            text = f"  [{part.summary}]" if folded else part.text
            shown.append(visible(text, lines=True), "dim")
    return shown


def _folding(text: str) -> Text:
    return Text(visible(text, lines=True), overflow="fold")
