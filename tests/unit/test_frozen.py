from __future__ import annotations

import copy
import dataclasses
import errno
import inspect
import pickle
import subprocess
import sys
import threading
import typing
from dataclasses import FrozenInstanceError, dataclass, field

import pytest

from runguard import _frozen as named
from runguard._frozen import _Late, field_names, frozen


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(self.x)

    @property
    def mirrored(self) -> Point:
        return Point(self.y, self.x)


@frozen
class Spot(Point):
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Model:
    """A place."""

    x: int
    y: int = 0


def a_fresh_class() -> type:
    @frozen
    class Fresh:
        x: int
        y: int = 0

    return Fresh


def test_an_instance_is_that_of_a_frozen_dataclass() -> None:
    here = Point(1)

    assert repr(here) == "Point(x=1, y=0)"
    assert here == Point(1, 0) != Point(1, 2)
    assert here != (1, 0)
    assert hash(here) == hash(Model(1))
    assert not hasattr(here, "__dict__")
    assert (Point.__doc__, Point.__qualname__, Point.__module__) == ("A place.", "Point", __name__)
    assert inspect.signature(Point) == inspect.signature(Model)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        here.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del here.x
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_the_functions_of_dataclasses_take_it() -> None:
    fresh = a_fresh_class()

    assert dataclasses.is_dataclass(fresh)
    assert [one.name for one in dataclasses.fields(fresh)] == ["x", "y"]
    assert dataclasses.replace(Point(1), y=5) == Point(1, 5)
    assert dataclasses.asdict(Spot(1, 2, ["a"])) == {"x": 1, "y": 2, "names": ["a"]}
    assert field_names(Point) == field_names(Point(1)) == ("x", "y")


def test_what_the_class_itself_says_stays() -> None:
    @frozen
    class Own:
        x: int

        def __repr__(self) -> str:
            return "own"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        __hash__ = None  # type: ignore[assignment]

    assert repr(Own(1)) == "own"
    assert Own(1) == Own(2)
    assert Point(1, 2).mirrored == Point(2, 1)
    with pytest.raises(ValueError, match="-1"):
        Point(-1)


def test_a_pattern_matches_it_before_there_is_an_instance() -> None:
    assert a_fresh_class().__match_args__ == ("x", "y")  # type: ignore[attr-defined]
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_a_class_takes_its_fields_by_name_only_where_it_says_so() -> None:
    @frozen(kw_only=True)
    class Named:
        x: int = 0
        y: int

    with pytest.raises(TypeError, match="positional"):
        Named(1, 2)  # type: ignore[misc]
    assert Named(y=2).y == 2


def test_a_class_inherits_the_fields_of_another() -> None:
    spot = Spot(1, 2)

    assert repr(spot) == "Spot(x=1, y=2, names=[])"
    assert spot != Point(1, 2)
    assert spot.names is not Spot(1, 2).names
    assert Spot.__slots__ == ("names",)  # type: ignore[attr-defined]
    assert not hasattr(spot, "__dict__")


def test_a_class_below_may_call_what_it_overrides_before_it_was_ever_used() -> None:
    class Below(a_fresh_class()):  # type: ignore[misc]
        def __init__(self, both: int) -> None:
            super().__init__(both, both)

        def __repr__(self) -> str:
            return f"below {super().__repr__()}"

    assert (Below(3).x, Below(3).y) == (3, 3)
    assert repr(Below(3)).startswith("below test")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_equal(copied: object) -> None:
    assert copied(Spot(1, 2, ["a"])) == Spot(1, 2, ["a"])  # type: ignore[operator]


def test_it_is_pickled_to_a_process_that_has_made_none_yet() -> None:
    from runguard import ErrorGroup, Failure, Severity

    failure = Failure(ErrorGroup.UNKNOWN, Severity.MEDIUM, None, "E", "text", "rule")
    read = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).error_message)"

    done = subprocess.run(
        [sys.executable, "-c", read], input=pickle.dumps(failure), capture_output=True, check=True
    )

    assert done.stdout.strip() == b"text"


def late_parts_of(frozen_class: type) -> list[str]:
    return [name for name, value in vars(frozen_class).items() if isinstance(value, _Late)]


def test_nothing_is_written_for_one_instance_and_all_of_it_for_what_else_is_asked() -> None:
    for ask in (repr, hash, copy.copy, dataclasses.fields, type):
        fresh = a_fresh_class()

        first = fresh(1)
        assert (first.x, first.y) == (1, 0)
        assert "__init__" in late_parts_of(fresh)

        fresh(2) if ask is type else ask(first)
        assert late_parts_of(fresh) == []


def test_the_first_instance_is_as_frozen_as_all_others_and_equal_to_its_like() -> None:
    fresh = a_fresh_class()
    first = fresh(1, y=2)

    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'x'"):
        first.x = 2
    assert first == fresh(x=1, y=2) != fresh(1)
    assert {first: "found"}[fresh(1, 2)] == "found"
    assert pickle.dumps(Point(1)) == pickle.dumps(Point(1))


@pytest.mark.parametrize(
    ("values", "named", "problem"),
    [
        ((), {}, "missing 1 required positional argument: 'x'"),
        ((1, 2, 3), {}, "takes from 2 to 3 positional arguments but 4 were given"),
        ((1,), {"x": 1}, "got multiple values for argument 'x'"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
    ],
)
def test_the_first_instance_too_is_refused_what_does_not_fit(
    values: tuple[int, ...], named: dict[str, int], problem: str
) -> None:
    with pytest.raises(TypeError, match=problem):
        a_fresh_class()(*values, **named)


def test_the_first_instance_of_a_class_with_makers_of_defaults_has_what_they_make() -> None:
    @frozen
    class Made:
        names: list[str] = field(default_factory=list)

    assert Made().names == []


def test_threads_that_make_the_first_instance_together_all_get_a_whole_one() -> None:
    for _ in range(20):
        fresh, start, made = a_fresh_class(), threading.Barrier(4), []

        def make(fresh: type = fresh, start: threading.Barrier = start, made: list = made) -> None:  # type: ignore[type-arg]
            start.wait()
            made.append((repr(fresh(1)), fresh(1) == fresh(1)))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()

        assert [equal for _, equal in made] == [True] * 4
        assert {text.rpartition(".")[2] for text, _ in made} == {"Fresh(x=1, y=0)"}


class Pair(named.NamedTuple):
    """Two."""

    left: int
    right: int | None = None

    @property
    def both(self) -> tuple[int, int | None]:
        return self.left, self.right


class Typed(typing.NamedTuple):
    """Two."""

    left: int
    right: int | None = None


def test_a_named_tuple_is_that_of_typing() -> None:
    assert Pair(1) == Typed(1) == (1, None)
    assert (Pair._fields, Pair._field_defaults) == (Typed._fields, Typed._field_defaults)
    assert (repr(Pair(1)), Pair(1).both) == ("Pair(left=1, right=None)", (1, None))
    assert (Pair.__doc__, Pair.__module__, Pair.__qualname__) == ("Two.", __name__, "Pair")
    assert (Pair.__bases__, type(Pair)) == ((tuple,), type)
    assert typing.get_type_hints(Pair) == typing.get_type_hints(Typed)
    assert inspect.signature(Pair).parameters.keys() == inspect.signature(Typed).parameters.keys()
    assert pickle.loads(pickle.dumps(Pair(1, 2)._replace(left=3))) == Pair(3, 2)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'left'"):
        Pair()  # type: ignore[call-arg]


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), ImportError()])
def test_where_nothing_can_be_imported_an_instance_is_made_all_the_same(
    error: Exception,
) -> None:
    @frozen
    class Fresh:
        x: int

    def fail(*_: object) -> None:
        raise error

    Fresh(1)  # the first one is made without
    vars(Fresh)["__init__"]._write = fail

    assert Fresh(2).x == 2


@pytest.mark.parametrize("error", [TimeoutError(), TimeoutError(errno.ETIMEDOUT, "time is up")])
def test_a_time_limit_that_strikes_while_a_class_is_written_is_not_lost(
    error: TimeoutError,
) -> None:
    @frozen
    class Fresh:
        x: int

    Fresh(1)

    def strike(*_: object) -> None:
        raise error

    vars(Fresh)["__init__"]._write = strike

    with pytest.raises(TimeoutError):
        Fresh(2)
