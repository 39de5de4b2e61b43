"""Reading exceptions: names, messages, places, chains, whatever an exception does."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import httpx
import pytest

from runguard._failure.introspection import (
    MOST_MEMBERS,
    chain_of,
    location_of,
    message_of,
    qualified_name,
    text_of,
)


class Inner:
    class Failed(Exception):
        pass


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class NoText(Exception):
    def __str__(self) -> Any:
        return 7  # noqa: PLE0307 - that is the fault


class HostileText(str):
    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        raise ZeroDivisionError

    def isspace(self) -> bool:
        raise ZeroDivisionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = str.__hash__


class SaysHostileText(Exception):
    def __str__(self) -> str:
        return HostileText("HTTP 503")


class Missing(KeyError):
    def __str__(self) -> str:
        return "no such user"


class HidesItsNames(type):
    def __getattribute__(cls, name: str) -> Any:
        raise SystemExit(name)


def explode(_: object) -> Any:
    raise ZeroDivisionError


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (ValueError, "ValueError"),
        (httpx.ReadTimeout, "httpx.ReadTimeout"),
        (Inner.Failed, f"{__name__}.Inner.Failed"),
        (type("E", (Exception,), {"__module__": None}), "E"),
        (type("E", (Exception,), {"__module__": HostileText("app")}), "app.E"),
        (type("E", (Exception,), {"__module__": "a\ud800\0"}), "a\\ud800\\0.E"),
    ],
)
def test_a_type_is_named_so_that_any_store_takes_it(cls: type, name: str) -> None:
    assert qualified_name(cls) == name


def test_a_type_is_named_past_a_metaclass_that_hides_it() -> None:
    hidden = HidesItsNames("Hidden", (Exception,), {})
    assert qualified_name(hidden) == f"{__name__}.Hidden"


def test_an_endless_name_is_cut() -> None:
    assert len(qualified_name(type("E" * 10_000, (Exception,), {}))) < 400


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (ValueError("as it is"), "as it is"),
        (ValueError(" \n"), "ValueError"),
        (httpx.PoolTimeout(""), "httpx.PoolTimeout"),
        (KeyError("user_id"), "KeyError: 'user_id'"),
        (KeyError(404), "KeyError: 404"),
        (KeyError(), "KeyError"),
        (Missing("x"), "no such user"),
        (Unreadable(), f"{__name__}.Unreadable"),
        (NoText(), f"{__name__}.NoText"),
        (SaysHostileText(), "HTTP 503"),
        (ExceptionGroup("two", [ValueError("a")]), "two (1 sub-exception)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_message_is_the_exceptions_own(exc: BaseException, message: str) -> None:
    assert message_of(exc) == message
    assert type(message_of(exc)) is str


def test_a_text_is_bounded_for_matching_but_not_for_keeping() -> None:
    exc = ValueError("x" * 100_000)

    assert (len(text_of(exc)), len(message_of(exc))) == (64 * 1024, 100_000)


def test_the_chain_comes_nearest_first_and_each_once() -> None:
    far, near, member = ValueError("far"), ValueError("near"), ValueError("member")
    near.__cause__ = far
    group = ExceptionGroup("group", [near, member])
    group.__context__ = member

    assert list(chain_of(group)) == [member, near, far]


def test_a_cause_hides_the_context_and_from_none_hides_all() -> None:
    exc = ValueError()
    exc.__context__ = KeyError()
    assert [type(one) for one in chain_of(exc)] == [KeyError]
    exc.__cause__ = OSError()
    assert [type(one) for one in chain_of(exc)] == [OSError]
    exc.__cause__ = None
    assert list(chain_of(exc)) == []


def test_circles_and_crowds_are_bounded() -> None:
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    crowd = ExceptionGroup("crowd", [ValueError(n) for n in range(MOST_MEMBERS * 3)])

    assert list(chain_of(one)) == [two]
    assert len(list(chain_of(crowd))) == MOST_MEMBERS - 1


def test_a_chain_is_read_past_properties_that_hide_it() -> None:
    class Hides(ExceptionGroup[Exception]):
        exceptions = property(explode)  # type: ignore[assignment]
        __context__ = property(explode)  # type: ignore[assignment]

    assert [type(one) for one in chain_of(Hides("x", [KeyError()]))] == [KeyError]


def test_the_place_is_the_users_line_though_a_library_raised() -> None:
    def pull() -> None:
        httpx.get("no-scheme", trust_env=False)

    with pytest.raises(httpx.UnsupportedProtocol) as caught:
        pull()

    line = pull.__code__.co_firstlineno + 1
    assert location_of(caught.value) == f"{__file__}:{line} in pull"


def test_the_place_is_the_users_line_though_the_standard_library_raised() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")

    assert str(location_of(caught.value)).startswith(f"{__file__}:")


def test_a_method_is_named_with_its_class() -> None:
    class Sync:
        def pull(self) -> None:
            raise ValueError

    with pytest.raises(ValueError, match=r"^$") as caught:
        Sync().pull()

    assert str(location_of(caught.value)).endswith(" in Sync.pull")


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert location_of(ValueError()) is None


def frames(*places: tuple[str, str, str]) -> BaseException:
    """An exception raised through frames of (file, module's file, module's name), outermost first.

    The files need not exist: so look compiled extensions, installed jobs, and exec'd code.
    """
    inner: Any = None
    for file, module_file, module in reversed(places):
        source = "def run(inner):\n    if inner is None: raise ValueError\n    inner()"
        scope: dict[str, Any] = {"__file__": module_file, "__name__": module}
        exec(compile(source, file, "exec"), scope)
        inner = functools.partial(scope["run"], inner)
    assert inner is not None
    return caught_from(inner)


def caught_from(call: Any) -> BaseException:
    try:
        call()
    except ValueError as caught:
        # Drop this module's own frames, which would be the user's.
        traceback = caught.__traceback__
        kept = []
        while traceback is not None:
            code: CodeType = traceback.tb_frame.f_code
            if code.co_filename != __file__:
                kept.append(traceback)
            traceback = traceback.tb_next
        for this, following in zip(kept, [*kept[1:], None], strict=True):
            this.tb_next = following
        return caught.with_traceback(kept[0])
    raise AssertionError


SITE = "/venv/lib/python3.13/site-packages"


@pytest.mark.parametrize(
    ("places", "place"),
    [
        ([("/app/job.py", "/app/job.py", "job"), (f"{SITE}/x/y.py", f"{SITE}/x/y.py", "x.y")],
         "/app/job.py:3 in run"),
        ([("/app/job.py", "/app/job.py", "job"), ("x/index.pyx", f"{SITE}/x/index.so", "x.index")],
         "/app/job.py:3 in run"),
        ([("C:\\app\\job.py", "C:\\app\\job.py", "job"),
          ("C:\\v\\Lib\\site-packages\\x.py", "C:\\v\\Lib\\site-packages\\x.py", "x")],
         "C:\\app\\job.py:3 in run"),
        ([("<stdin>", "", "__main__")], "<stdin>:2 in run"),
        ([("/app/\udcff.py", "", "job")], "/app/\\udcff.py:2 in run"),
        ([(f"{SITE}/myjob/a.py", f"{SITE}/myjob/a.py", "myjob.a"),
          (f"{SITE}/myjob/b.py", f"{SITE}/myjob/b.py", "myjob.b"),
          (f"{SITE}/httpx/c.py", f"{SITE}/httpx/c.py", "httpx.c")],
         f"{SITE}/myjob/b.py:3 in run"),
        ([(f"{SITE}/x/y.py", f"{SITE}/x/y.py", "x.y")], f"{SITE}/x/y.py:2 in run"),
    ],
    ids=["a library", "an extension", "on Windows", "typed in", "an odd name", "an installed job",
         "only a library"],
)  # fmt: skip
def test_whose_frame_it_is(places: list[tuple[str, str, str]], place: str) -> None:
    assert location_of(frames(*places)) == place


def test_runguards_own_frames_are_nobodys() -> None:
    own = str(
        Path(sys.modules["runguard._failure.introspection"].__file__ or "").parent / "_scope.py"
    )

    assert location_of(frames((own, own, "runguard._run.scope"))) is None
