"""A stored traceback, taken apart: whose each frame is. Pure.

Python's own form is kept: the texts of all parts, line by line, are the whole text again. Texts
may be hostile; what is no traceback stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from .._frozen import frozen
from .wording import counted

LONGEST: Final = 256 * 1024  # characters that are taken apart; what is stored is shorter
MOST_LIBRARIES: Final = 3  # that one summary names
PYTHON: Final = "Python"
FIRST_ERROR: Final = "The error before it"

_HEADER: Final = "Traceback (most recent call last):"
_MARGIN: Final = re.compile(r"[ |]{2,64}(?=File \")")
_INSTALLED: Final = re.compile(r"/(?:site|dist)-packages/([^/]*)")
_STANDARD: Final = re.compile(
    r"^<frozen |/lib(?:64)?/(?:python|pypy)\d+\.\d+t?/|/python\d[\d.-]*/lib/|/python\d+\.zip/",
    re.IGNORECASE,
)
_OWN: Final = re.compile(r"/runguard/(?:_run|integrations)/")


@frozen
class Frame:
    """One frame; `text` is all that Python printed of it, `library` whose it is (None: the user's).

    A library's name is that of its installed package, `Python` for the standard library.
    """

    text: str
    file: str
    line: int
    function: str
    library: str | None = None

    @property
    def place(self) -> str:
        """Where it is, as a run's `error_location` says it."""
        return f"{self.file}:{self.line} in {self.function}"


@frozen
class Words:
    """What stands between frames: headings, errors with their messages, marks of what is cut."""

    text: str


@frozen
class Frames:
    """Frames behind each other that are all the user's, or all of libraries."""

    frames: tuple[Frame, ...]
    are_library: bool

    @property
    def text(self) -> str:
        """Their texts, as Python printed them."""
        return "\n".join(frame.text for frame in self.frames)

    @property
    def summary(self) -> str:
        """What is folded: how many frames, and whose.

        >>> Frames((Frame("", "x.py", 1, "f", "httpx"),), are_library=True).summary
        '1 frame of httpx'
        """
        names = list(dict.fromkeys(one.library for one in self.frames if one.library))
        if not names:
            return counted(len(self.frames), "frame")
        named = names[:MOST_LIBRARIES]
        if len(names) > len(named):
            named.append("others")
        whose = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
        return f"{counted(len(self.frames), 'frame')} of {whose}"


Part = Words | Frames


@frozen
class TracebackView:
    """A traceback in parts, in Python's order: the innermost frame last."""

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The whole text."""
        return "\n".join(part.text for part in self.parts)

    @property
    def frames(self) -> tuple[Frame, ...]:
        """All frames."""
        return tuple(
            frame for part in self.parts if isinstance(part, Frames) for frame in part.frames
        )

    @property
    def user_frames(self) -> tuple[Frame, ...]:
        """The frames of the user's code."""
        return tuple(frame for frame in self.frames if frame.library is None)

    def last_user_frames(self, most: int) -> tuple[Frame, ...]:
        """Return the innermost frames of the user's code, of the exception that is printed last."""
        last: list[Frame] = []
        for part in reversed(self.parts):
            if isinstance(part, Frames) and not part.are_library:
                last[:0] = part.frames
            elif isinstance(part, Words) and last and _HEADER in part.text:
                break
        return tuple(last[-most:]) if most > 0 else ()

    def first_user_frame(self) -> Frame | None:
        """Return the innermost frame of the user's code, of the exception that is printed first."""
        first: Frame | None = None
        for part in self.parts:
            if isinstance(part, Frames) and not part.are_library:
                first = part.frames[-1]
            elif isinstance(part, Words) and first is not None and _HEADER in part.text:
                break
        return first


def view_of(text: str) -> TracebackView:
    r"""Take a stored traceback apart.

    >>> text = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nE: no'
    >>> [frame.place for frame in view_of(text).user_frames]
    ['a.py:3 in f']
    """
    if len(text) > LONGEST or _HEADER not in text:
        return TracebackView((Words(text),))
    pieces = _with_owners(list(_pieces(text.split("\n"))))
    return TracebackView(tuple(_parts(pieces)))


def short_text(text: str, most: int) -> str:
    """Return the innermost frames of the user's code as Python prints them; empty without any.

    Where another error came before, where that began is added.
    """
    view = view_of(text)
    frames, first = view.last_user_frames(most), view.first_user_frame()
    lines = [line for frame in frames for line in _without_margin(frame)]
    is_another = first is not None and first not in view.last_user_frames(len(view.frames))
    if first is not None and is_another and "|" not in first.text.partition("File")[0]:
        lines += [f"{FIRST_ERROR}:", *_without_margin(first)]
    return "\n".join(lines)


def _without_margin(frame: Frame) -> list[str]:
    first, *others = frame.text.split("\n")
    margin = len(first) - len(first.lstrip(" |"))
    return [first[margin:], *(other[margin:] for other in others)]


def _pieces(lines: Sequence[str]) -> Iterator[str | Frame]:
    """Yield each frame, and each other line."""
    place, in_traceback = 0, False
    while place < len(lines):
        line = lines[place]
        in_traceback = in_traceback or line.endswith(_HEADER)
        end = place + 1
        if in_traceback and (frame := _frame_of(line)) is not None:
            margin, file, number, function = frame
            while end < len(lines) and _goes_on(lines[end], margin):
                end += 1
            yield Frame("\n".join(lines[place:end]), file, number, function)
        else:
            yield line
        place = end


def _frame_of(line: str) -> tuple[str, str, int, str] | None:
    r"""Read a line such as `  File "a.py", line 3, in f`; in a group its margin holds bars."""
    margin = _MARGIN.match(line)
    if margin is None:
        return None
    place, is_frame, function = line[margin.end() + len('File "') :].rpartition(", in ")
    file, _, number = place.rpartition('", line ')
    if not is_frame or not file or not (number.isascii() and number.isdigit()) or len(number) > 9:
        return None
    return margin[0], file, int(number), function


def _goes_on(line: str, margin: str) -> bool:
    """Whether a line belongs to the frame before it: its source, marks below it, or repeats."""
    if not line.startswith(margin) or _frame_of(line) is not None:
        return False
    rest = line[len(margin) :]
    return rest.startswith(("  ", "[Previous line repeated "))


def _with_owners(pieces: list[str | Frame]) -> list[str | Frame]:
    """Say of each frame whose it is, as `error_location` decides it.

    Where all are of libraries the job is itself installed: then the user's code is the package in
    which the traceback begins.
    """
    frames = [piece for piece in pieces if isinstance(piece, Frame)]
    owners = [library_of(frame.file) for frame in frames]
    if frames and None not in owners:
        is_own = [_is_own(frame.file) for frame in frames]
        found = zip(owners, is_own, strict=True)
        users = next((one for one, own in found if one != PYTHON and not own), None)
        owners = [
            None if one == users and not own else one
            for one, own in zip(owners, is_own, strict=True)
        ]
    whose = iter(owners)
    return [
        Frame(piece.text, piece.file, piece.line, piece.function, next(whose))
        if isinstance(piece, Frame)
        else piece
        for piece in pieces
    ]


def library_of(file: str) -> str | None:
    """Return the library that a file belongs to; None where it is the user's own.

    >>> library_of("/app/.venv/lib/python3.12/site-packages/httpx/_client.py")
    'httpx'
    >>> library_of("/usr/lib/python3.12/json/decoder.py"), library_of("/app/sync.py")
    ('Python', None)
    """
    path = file.replace("\\", "/")
    if _is_own(file):
        return "runguard"
    if installed := list(_INSTALLED.finditer(path)):
        return installed[-1][1].removesuffix(".py") or "a library"
    return PYTHON if _STANDARD.search(path) else None


def _is_own(file: str) -> bool:
    """Whether it is what runguard calls a job with, also where runguard is not installed."""
    return _OWN.search(file.replace("\\", "/")) is not None


def _parts(pieces: Sequence[str | Frame]) -> Iterator[Part]:
    for kind, grouped in groupby(pieces, _kind_of):
        group = tuple(grouped)
        if kind == "words":
            yield Words("\n".join(str(one) for one in group))
        else:
            frames = tuple(one for one in group if isinstance(one, Frame))
            yield Frames(frames, are_library=kind == "library")


def _kind_of(piece: str | Frame) -> str:
    if isinstance(piece, str):
        return "words"
    return "user" if piece.library is None else "library"
