"""The traceback of a failure as Python prints it: bounded, without secrets, home folder as `~`.

Python's own printer takes as long as the exception is large, and calls what the exception defines.
This one looks at a bounded part, and reads exceptions as `introspection` does. It prints no local
variable.
"""

from __future__ import annotations

import linecache
import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from traceback import FrameSummary, StackSummary, format_exception_only
from types import CodeType, FrameType, TracebackType
from typing import Any, Final, NamedTuple
from weakref import ReferenceType, ref

from .introspection import attribute, qualified_name
from .lazy_pattern import lazy

LONGEST: Final = 32 * 1024  # bytes of UTF-8
OUTERMOST: Final = 12  # frames of each exception …
INNERMOST: Final = 48
FEW: Final = 4  # … and of those that come when much is printed already
LONGEST_MESSAGE: Final = 8 * 1024
LONGEST_NOTES: Final = 6 * 1024
LONGEST_LINE: Final = 1024  # of source code
MOST_CAUSES: Final = 16
MOST_MEMBERS: Final = 15  # of a group, as Python prints them
DEEPEST_GROUP: Final = 10
MOST_NOTES: Final = 32

_AT_LENGTH: Final = 48 * 1024  # characters that are printed before the rest is told in brief
_MOST: Final = 96 * 1024  # after which no exception is printed any more
_HEAD: Final = 10 * 1024  # bytes that are kept of the beginning where the middle is left out
_MARK_ROOM: Final = 64
_MOST_KNOWN: Final = 256  # frames whose print is kept …
_LONGEST_KNOWN: Final = 2 * 1024  # … of so many characters

_CAUSE: Final = "The above exception was the direct cause of the following exception:"
_CONTEXT: Final = "During handling of the above exception, another exception occurred:"
WORDS_BETWEEN: Final = (_CAUSE, _CONTEXT)
_HEADER: Final = lazy(
    r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):$", re.MULTILINE
)
_SYNTAX_ERRORS: Final = (SyntaxError, IndentationError, TabError)


def traceback_text(exc: BaseException, clean: Callable[..., str], home: str = "") -> str | None:
    """Return what Python would print, at most 32 KiB; None where nothing was raised.

    The innermost frames and the message are always in it; a longer one loses its middle.

    Args:
        exc: The exception, with its causes, its members and its notes.
        clean: Hides secrets in a text, and cuts it at `limit` bytes.
        home: The home folder, which is written as `~`; empty for none.
    """
    if not _has_frames(exc):
        return None
    printer = _Printer(clean)
    # Every part is bounded and every cut within one is made by `clean`: no secret is cut in two.
    text = clean("\n".join(printer.chain(exc)), limit=4 * _MOST)
    return fit(text, home)


def last_traceback(text: str) -> str | None:
    """Return the last traceback that a program has printed into a text, with its causes."""
    starts = [found.start() for found in _HEADER.finditer(text)]
    if not starts:
        return None
    *before, start = starts
    end = start
    for line in text[start:].splitlines(keepends=True):
        is_of_frames = line[0] in " \n" or end == start
        if is_of_frames or not text[start:end].rstrip().endswith("+------------"):
            end += len(line)
        if not is_of_frames:  # the message, of which a program may print more lines
            break
    for earlier in reversed(before):
        if not text[earlier:start].rstrip().endswith(WORDS_BETWEEN):
            break
        start = earlier
    return text[start:end].rstrip()


def _has_frames(exc: BaseException) -> bool:
    # An exception that came from another process has none, and its text is kept elsewhere.
    is_group = issubclass(type(exc), BaseExceptionGroup)
    traceback = BaseException.__traceback__.__get__(exc)  # type: ignore[union-attr]
    return is_group or traceback is not None or _behind(exc) is not None


def fit(text: str, home: str) -> str:
    """Write the home folder as `~`, and leave out lines of the middle where a text is too long."""
    if home.strip("/\\") and home in text:
        folder = re.escape(home)  # first, since a search for a literal text is fast
        text = re.sub(rf"{folder}(?<![\w/.~-]{folder})(?=[/\\])", "~", text)
    if len(text.encode()) <= LONGEST:
        return text
    lines = text.split("\n")
    head = _taken(lines, _HEAD)
    tail = _taken(lines[:head:-1], LONGEST - _HEAD - _MARK_ROOM)
    left_out = len(lines) - head - tail
    mark = f"  [... {left_out:,} lines are left out ...]"
    return "\n".join([*lines[:head], mark, *lines[len(lines) - tail :]])


def _taken(lines: list[str], room: int) -> int:
    """Count the lines that fit."""
    for count, line in enumerate(lines):
        room -= len(line.encode()) + 1
        if room < 0:
            return count
    return len(lines)


def _behind(exc: BaseException) -> tuple[str, BaseException] | None:
    """Return what Python prints before an exception, and the words between the two."""
    # The slots of BaseException are read directly: a subclass may hide them behind properties.
    if (cause := BaseException.__cause__.__get__(exc)) is not None:  # type: ignore[union-attr]
        return _CAUSE, cause
    context = BaseException.__context__.__get__(exc)  # type: ignore[union-attr]
    if context is None or BaseException.__suppress_context__.__get__(exc):  # type: ignore[attr-defined]
        return None
    return _CONTEXT, context


class _Printer:
    """Prints one exception with all that hangs on it, and counts what it has printed."""

    def __init__(self, clean: Callable[..., str]) -> None:
        self._clean = clean
        self._seen: set[int] = set()
        self._printed = 0
        self._depth = 0  # of groups
        self._needs_close = False
        self._sources: dict[str, object] = {}  # what linecache holds of each file

    def chain(self, exc: BaseException) -> list[str]:
        """Return the lines of an exception after those of its causes."""
        # Printed from the last to the first, since the last one matters most.
        blocks: list[list[str]] = []  # with the words between two of them
        following: BaseException | None = exc
        while following is not None:
            if len(blocks) >= 2 * MOST_CAUSES or self._printed > _MOST:
                blocks.append([self._indented("[... the causes before are left out ...]")])
                break
            self._seen.add(id(following))
            blocks.append(self._block(following))
            behind = _behind(following)
            following = None
            if behind is not None and id(behind[1]) not in self._seen:
                words, following = behind
                blocks.append([self._indented(line) for line in ("", words, "")])
        return [line for block in reversed(blocks) for line in block]

    def _block(self, exc: BaseException) -> list[str]:
        if not issubclass(type(exc), BaseExceptionGroup):
            lines = [*self._stack(exc, "Traceback"), *self._message(exc)]
            return [self._indented(line) for line in lines]
        if self._depth > DEEPEST_GROUP:
            return [self._indented("[... groups that are nested deeper are left out ...]")]
        is_outermost = self._depth == 0
        self._depth += is_outermost
        lines = [
            self._indented(line)
            for line in (*self._stack(exc, "Exception Group Traceback"), *self._message(exc))
        ]
        if is_outermost and lines:
            lines[0] = lines[0].replace("|", "+", 1)
        lines += self._members(BaseExceptionGroup.exceptions.__get__(exc))
        self._depth -= is_outermost
        return lines

    def _members(self, members: tuple[BaseException, ...]) -> Iterator[str]:
        shown = members[:MOST_MEMBERS]
        titles = [str(number) for number in range(1, len(shown) + 1)]
        if left := len(members) - len(shown):
            titles.append("...")
        self._needs_close = False
        for number, title in enumerate(titles):
            is_last = number == len(titles) - 1
            self._needs_close = is_last
            corner = "+-" if number == 0 else "  "
            yield f"{'  ' * self._depth}{corner}+---------------- {title} ----------------"
            self._depth += 1
            if number < len(shown):
                yield from self._member(shown[number])
            else:
                plural = "s" if left > 1 else ""
                yield self._indented(f"and {left} more exception{plural}")
            if is_last and self._needs_close:
                yield f"{'  ' * self._depth}+------------------------------------"
                self._needs_close = False
            self._depth -= 1

    def _member(self, exc: BaseException) -> list[str]:
        if self._printed > _MOST or id(exc) in self._seen:
            return [self._indented("[... left out ...]")]
        return self.chain(exc)

    def _indented(self, lines: str) -> str:
        if not self._depth:
            self._printed += len(lines) + 1
            return lines
        margin = f"{'  ' * self._depth}| "
        shown = margin + lines.replace("\n", f"\n{margin}")
        self._printed += len(shown) + 1
        return shown

    def _stack(self, exc: BaseException, title: str) -> list[str]:
        """Return the frames, the innermost last."""
        is_brief = self._printed > _AT_LENGTH
        traceback: TracebackType | None = BaseException.__traceback__.__get__(exc)  # type: ignore[union-attr]
        outermost: list[TracebackType] = []
        innermost: deque[TracebackType] = deque(maxlen=FEW if is_brief else INNERMOST)
        count = 0
        while traceback is not None:
            if not is_wrapper(traceback.tb_frame.f_code.co_filename):
                count += 1
                if len(outermost) < (FEW if is_brief else OUTERMOST):
                    outermost.append(traceback)
                else:
                    innermost.append(traceback)
            traceback = traceback.tb_next
        if not count:
            return []
        lines = [f"{title} (most recent call last):"]
        if left_out := count - len(outermost) - len(innermost):
            lines += self._frames(outermost)
            lines.append(f"  [... {left_out:,} frames are left out ...]")
            return lines + self._frames(innermost)
        return lines + self._frames([*outermost, *innermost])

    def _frames(self, tracebacks: list[TracebackType] | deque[TracebackType]) -> list[str]:
        stack = _Stack([self._frame(one) for one in tracebacks])
        lines = "".join(stack.format()).removesuffix("\n").split("\n")
        return [
            line if len(line) <= LONGEST_LINE // 4 else self._bounded(line, LONGEST_LINE)
            for line in lines
        ]

    def _frame(self, traceback: TracebackType) -> _Frame:
        """Print a frame, or find its print of an earlier failure."""
        code = traceback.tb_frame.f_code
        source = self._source(code.co_filename)
        key = (id(code), traceback.tb_lasti, traceback.tb_lineno)
        known = _known.get(key)
        if known is not None and known.code() is code and known.source is source is not None:
            return known.frame
        frame = _printed(traceback)
        # Reading the file has put it there.
        self._sources[code.co_filename] = source = linecache.cache.get(code.co_filename)
        if source is not None and len(frame.printed) <= _LONGEST_KNOWN:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[key] = _Known(ref(code), source, frame)
        return frame

    def _source(self, file: str) -> object:
        """Return what linecache holds of a file that is as it was read; None where it has none."""
        if file not in self._sources:
            try:
                linecache.checkcache(file)
            except Exception:  # a name that no file can have
                return None
            self._sources[file] = linecache.cache.get(file)
        return self._sources[file]

    def _message(self, exc: BaseException) -> Iterator[str]:
        """Return the last lines: the type with the text, then the notes."""
        if type(exc) in _SYNTAX_ERRORS:
            yield from self._syntax_error(exc)
        else:
            yield self._type_and_text(exc)
        notes = attribute(exc, "__notes__")
        if type(notes) is list and notes:
            texts = (self._text(note, "<note str() failed>") for note in notes[:MOST_NOTES])
            yield from self._bounded("\n".join(texts), LONGEST_NOTES).split("\n")

    def _type_and_text(self, exc: BaseException) -> str:
        name = qualified_name(type(exc)).removeprefix("__main__.")
        text = self._text(exc, "<exception str() failed>")
        return f"{name}: {text}" if text else name

    def _syntax_error(self, exc: BaseException) -> list[str]:
        """Print where the source is wrong, of a copy on which nothing hangs."""
        fields = ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")
        message, *where = (attribute(exc, field) for field in fields)
        try:
            lines = "".join(format_exception_only(type(exc)(message, tuple(where))))
        except Exception:
            return [self._type_and_text(exc)]
        return self._bounded(lines.removesuffix("\n"), LONGEST_MESSAGE).split("\n")

    def _text(self, value: object, otherwise: str) -> str:
        try:
            # A subclass of str may come back, with methods of its own.
            text = str.__str__(str(value))
        except BaseException:  # hostile code may raise anything
            return otherwise
        return self._bounded(text, LONGEST_MESSAGE)

    def _bounded(self, text: str, limit: int) -> str:
        """Cut a text to so many bytes."""
        if len(text) <= limit // 4:
            return text
        if len(text) <= limit and len(text.encode(errors="replace")) <= limit:
            return text
        return self._clean(text, limit=limit)


def is_wrapper(file: str) -> bool:
    """Whether a file's frames are runguard's own around the job."""
    return file.startswith(_wrappers())


@cache
def _wrappers() -> tuple[str, ...]:
    """Return the folders of runguard's own frames around the job, which say nothing of it."""
    package = _printed.__code__.co_filename.replace("\\", "/").rpartition("/_failure/")[0]
    return tuple(f"{package}/{folder}/" for folder in ("_run", "integrations"))


class _Frame(FrameSummary):
    """A frame with the lines that are printed of it."""

    __slots__ = ("printed",)
    printed: str


class _Known(NamedTuple):
    """A frame that was printed, by its code and by what linecache held of the file."""

    code: ReferenceType[CodeType]
    source: object
    frame: _Frame


_known: Final[dict[tuple[int, int, int], _Known]] = {}


class _Stack(StackSummary):
    """Frames that are printed already: what is left is to count those that repeat."""

    def format_frame_summary(self, frame_summary: FrameSummary, **_: Any) -> str:
        """Return the lines of a frame."""
        assert type(frame_summary) is _Frame  # noqa: S101 - a stack is made of nothing else
        return frame_summary.printed


def _printed(traceback: TracebackType) -> _Frame:
    frame, code = traceback.tb_frame, traceback.tb_frame.f_code
    source = None  # to be looked up
    try:
        linecache.checkcache(code.co_filename)
        linecache.lazycache(code.co_filename, frame.f_globals)
        linecache.getline(code.co_filename, 1)
    except Exception:  # a name that no file can have, or a loader that fails
        source = ""
    line, end_line, column, end_column = _position_of(traceback, frame)
    # What is not the line of the traceback marks nothing that can be shown.
    summary = _Frame(
        code.co_filename,
        traceback.tb_lineno if line is None else line,
        code.co_name,
        lookup_line=False,
        line=source,
        end_lineno=end_line,
        colno=column,
        end_colno=end_column,
    )
    summary.printed = StackSummary().format_frame_summary(summary)
    return summary


def _position_of(
    traceback: TracebackType, frame: FrameType
) -> tuple[int | None, int | None, int | None, int | None]:
    if traceback.tb_lasti < 0:
        return (None, None, None, None)
    positions = islice(frame.f_code.co_positions(), traceback.tb_lasti // 2, None)
    return next(positions, (None, None, None, None))
