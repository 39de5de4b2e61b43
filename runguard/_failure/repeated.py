"""A failure that comes again is judged once: a job that fails every minute mostly fails alike.

What was found out about an exception is kept by all that it was found out from, and only where all
of that is plain: types without methods of their own, texts and numbers, the lines of the traceback.
Where only the texts are others, `rewording` reads these. Nothing is kept of a failure in which a
secret was found.
"""

from __future__ import annotations

import linecache
from functools import cache
from math import inf
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from weakref import ReferenceType, ref

from .hiding import HIDDEN
from .introspection import qualified_name

if TYPE_CHECKING:
    from .._models import Failure
    from .redaction import Redactor
    from .rewording import Wording

_MOST: Final = 64  # failures that are kept …
_LONGEST: Final = 8 * 1024  # … of so many characters
_LONGEST_VALUE: Final = 1024
_MOST_BEHIND: Final = 4
_MOST_FRAMES: Final = 32
_MOST_TYPES: Final = 256
_PLAIN: Final = (str, int, type(None))
_OF_A_FILE: Final = 6  # values of an `OSError`: number and words, both again, and two files
_SOME_TEXT: Final = (object(),)  # stands in a key for the only argument
_BUILTIN: Final = frozenset(
    {
        *(ArithmeticError, AssertionError, BaseException, ConnectionError, EOFError, Exception),
        *(FloatingPointError, IndexError, KeyError, LookupError, NotImplementedError, OSError),
        *(OverflowError, ReferenceError, RuntimeError, TimeoutError, TypeError, ValueError),
        *(ZeroDivisionError, object, *ConnectionError.__subclasses__()),
        *(FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError),
        *(InterruptedError, PermissionError, ProcessLookupError, ChildProcessError),
    }
)
# What a class may say of itself without saying anything of its exceptions.
_SAYS_NOTHING: Final = frozenset(
    {
        *("__module__", "__qualname__", "__doc__", "__weakref__", "__dict__", "__init__"),
        *("__firstlineno__", "__static_attributes__", "__annotations__"),
    }
)
# Of whose argument more is read than words.
TOLD_BY_ARGUMENTS: Final = frozenset(
    {"OSError", "pyodbc.Error", "redis.exceptions.ConnectionError"}
)


class Judged(NamedTuple):
    """What was found out about an exception."""

    failure: Failure
    location: str | None
    traceback: str | None


class Mark(NamedTuple):
    """By what a failure is known again, and whose `id` stands in it.

    Attributes:
        key: all but the texts.
        texts: of the exception and of those behind it, up to the first one that holds more than
            one text that may be another.
        classes: the types of these.
        codes: of the frames.
    """

    key: tuple[Any, ...]
    texts: tuple[str, ...]
    classes: tuple[type, ...]
    codes: tuple[CodeType, ...]


class Beside(Protocol):
    """The settings that a failure is judged by."""

    @property
    def redactor(self) -> Redactor: ...


class Known:
    """A failure that was judged in full, and the last one that differs in its texts alone.

    Attributes:
        sources: its files, and what linecache held of each.
        looked_at: when somebody found that these are as they were, in seconds of a clock of theirs.
    """

    __slots__ = ("beside", "codes", "latest", "looked_at", "sources", "wording")

    def __init__(self, mark: Mark, beside: Beside, judged: Judged, sources: Sources) -> None:
        self.beside = beside  # the settings that it was judged by
        self.codes = mark.codes  # no other code gets the `id` of one that is kept
        self.sources = sources
        self.looked_at = -inf
        self.latest = mark.texts, judged
        self.wording: Wording | None = None


class _Kind(NamedTuple):
    """What is known of a type of exceptions.

    Attributes:
        is_plain: they are what they hold.
        is_free: besides, of their only argument nothing but words is read.
    """

    is_plain: bool
    is_free: bool


Sources = tuple[tuple[str, Any], ...]  # files, and what linecache held of each

_known: Final[dict[tuple[Any, ...], Known]] = {}
_types: Final[dict[int, tuple[ReferenceType[type], _Kind]]] = {}


def mark_of(exc: BaseException, home: str) -> Mark | None:
    """Return by what a failure is known again; None where more may be read of it than is plain."""
    key: list[Any] = [home]
    codes: list[CodeType] = []
    texts: list[str] = []
    classes: list[type] = []
    following: BaseException | None = exc
    for distance in range(_MOST_BEHIND):
        assert following is not None  # noqa: S101 - else the loop has ended
        cls = type(following)
        kind = _kind_of(cls)
        if not kind.is_plain:
            return None
        if (values := _values_of(following)) is None:
            return None
        if len(texts) == distance:
            words, values = _words_in(following, values, is_free=kind.is_free)
            if words:
                texts.append(words)
                classes.append(cls)
        key += (cls, values)
        traceback = following.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            code, space = frame.f_code, frame.f_globals
            name, file = space.get("__name__"), space.get("__file__")
            if len(codes) >= _MOST_FRAMES or type(name) not in _PLAIN or type(file) not in _PLAIN:
                return None
            codes.append(code)
            key += (id(code), traceback.tb_lasti, traceback.tb_lineno, name, file)
            traceback = traceback.tb_next
        cause, context = following.__cause__, following.__context__
        if following.__suppress_context__:
            context = None
        if cause is not None and context is not None:
            return None
        key.append("" if cause is None else "cause")
        following = context if cause is None else cause
        if following is None:
            return Mark(tuple(key), tuple(texts), tuple(classes), tuple(codes))
    return None


def recall(mark: Mark, beside: Beside) -> Judged | None:
    """Return what was found out about the same failure, if its files are as they were."""
    known = _known.get(mark.key)
    if known is None or known.beside is not beside or not _are_as_they_were(known.sources):
        return None
    texts, judged = known.latest
    return judged if texts == mark.texts else _in_other_words(mark, known)


def recall_unguarded(mark: Mark, beside: Beside) -> tuple[Judged, Known] | None:
    """Return the same, and of what it is known; None also where more is to be loaded.

    Its files are still to be looked at. It catches nothing, so that it hides no exception that
    strikes its thread.
    """
    known = _known.get(mark.key)
    if known is None or known.beside is not beside:
        return None
    texts, judged = known.latest
    if texts == mark.texts:
        return judged, known
    if known.wording is None:
        return None
    again = _reworded(mark, known, known.wording, judged)
    return None if again is None else (again, known)


def _are_as_they_were(sources: Sources) -> bool:
    try:
        for file, source in sources:
            linecache.checkcache(file)
            if linecache.cache.get(file) is not source:
                return False
    except KeyError:  # another thread has just found one out of date
        return False
    return True


def _in_other_words(mark: Mark, known: Known) -> Judged | None:
    texts, judged = known.latest
    try:
        rewording = _rewording()
        if known.wording is None:
            parts = mark.classes, texts, judged.failure, judged.traceback
            known.wording = rewording.wording_of(*parts)
        return _reworded(mark, known, known.wording, judged)
    except Exception:  # such as no file that is left to load it from
        return None


def _reworded(mark: Mark, known: Known, wording: Wording, judged: Judged) -> Judged | None:
    redactor = known.beside.redactor
    found = _rewording().reworded(wording, mark.texts, mark.key[0], redactor)
    if found is None:
        return None
    again = Judged(found[0], judged.location, found[1])
    known.latest = mark.texts, again
    return again


@cache
def _rewording() -> ModuleType:
    from . import rewording

    return rewording


def remember(mark: Mark, beside: Beside, judged: Judged) -> None:
    """Keep what was found out, unless it is long, has hidden a secret or may read otherwise."""
    message, printed = judged.failure.error_message, judged.traceback or ""
    if len(message) + len(printed) > _LONGEST or HIDDEN in message or HIDDEN in printed:
        return
    sources: dict[str, object] = {}
    if judged.traceback is not None:
        from .traceback import is_wrapper

        files = {code.co_filename for code in mark.codes}
        sources = {file: linecache.cache.get(file) for file in files if not is_wrapper(file)}
        # A file that could not be read may be there the next time; `<string>` is the name of none.
        if any(sources[file] is None and not _is_no_file(file) for file in sources):
            return
    if len(_known) >= _MOST:
        _known.clear()
    _known[mark.key] = Known(mark, beside, judged, tuple(sources.items()))


def _is_no_file(name: str) -> bool:
    return name.startswith("<") and name.endswith(">")


def _values_of(exc: BaseException) -> tuple[Any, ...] | None:
    """Return all that an exception holds; None where that is more than numbers and short texts."""
    values: tuple[Any, ...] = BaseException.args.__get__(exc)  # type: ignore[attr-defined]
    if state := exc.__dict__:
        values += (*state, *state.values())
    if isinstance(exc, OSError):
        values += (exc.errno, exc.strerror, exc.filename, exc.filename2)
    for value in values:
        if type(value) not in _PLAIN or (type(value) is str and len(value) > _LONGEST_VALUE):
            return None
    return values


def _words_in(
    exc: BaseException, values: tuple[Any, ...], *, is_free: bool
) -> tuple[str, tuple[Any, ...]]:
    """Return the text of an exception that may be another one, and all else that it holds.

    It is what its only argument says, or names the file of an `OSError`; empty for another.
    """
    if is_free and len(values) == 1 and type(values[0]) is str and values[0].strip():
        return repr(values[0]) if isinstance(exc, KeyError) else values[0], _SOME_TEXT
    if len(values) == _OF_A_FILE and isinstance(exc, OSError):
        *others, file, second = values
        if type(file) is str and second is None:
            return str(exc), (*others, *_SOME_TEXT)
    return "", values


def _kind_of(cls: type) -> _Kind:
    """Say whether exceptions of a type are what they hold, and nothing that a method computes."""
    known = _types.get(id(cls))
    if known is not None and known[0]() is cls:
        return known[1]
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(cls)
    is_plain = type(cls) is type and all(
        base in _BUILTIN or (type(base) is type and vars(base).keys() <= _SAYS_NOTHING)
        for base in bases
    )
    is_free = is_plain and TOLD_BY_ARGUMENTS.isdisjoint(map(qualified_name, bases))
    if len(_types) >= _MOST_TYPES:
        _types.clear()
    kind = _Kind(is_plain, is_free)
    _types[id(cls)] = (ref(cls), kind)
    return kind
