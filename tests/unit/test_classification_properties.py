"""Whatever is thrown, `classify` answers, and always the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runguard._failure.classify import classify, classify_text
from runguard._failure.text_evidence import status_in
from runguard._models import ErrorGroup

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 10_000),
    st.text(max_size=20),
    st.binary(max_size=8),
    st.floats(),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        ["status_code", "status", "code", "response", "resp", "errno", "sqlstate", "reason", "meta"]
    ),
    VALUES,
)
NAMES = st.sampled_from(["Error", "HTTPError", "ReadTimeout", "RpcError", "ApiException"])


@st.composite
def exceptions(draw: st.DrawFn) -> BaseException:
    bases: Any = draw(st.sampled_from([Exception, OSError, KeyError, ValueError, SystemExit]))
    cls = type(draw(NAMES), (bases,), draw(ATTRIBUTES))
    exc: BaseException = cls(draw(st.text(max_size=60)))
    if draw(st.booleans()):
        exc.__cause__ = draw(exceptions())
    return exc


@given(exceptions())
def test_every_exception_has_one_group_and_always_the_same(exc: BaseException) -> None:
    first = classify(exc, clean=str)

    assert first == classify(exc, clean=str)
    assert first.error_group in ErrorGroup
    assert first.http_status_code is None or 400 <= first.http_status_code <= 599
    assert (first.http_status_code is not None) == (
        first.error_group not in (ErrorGroup.TIMEOUT, ErrorGroup.UNKNOWN)
    )
    assert first.error_type
    assert first.matched_by


@given(st.text(max_size=300))
def test_every_text_has_one_group(text: str) -> None:
    assert classify_text(text, clean=str) == classify_text(text, clean=str)


@given(st.integers(0, 9999), st.text(alphabet="abcxyz ", max_size=30))
def test_a_bare_number_among_small_words_is_never_a_status(number: int, words: str) -> None:
    assert status_in(f"{words} {number} {words}") is None


@given(st.integers(400, 599), st.text(max_size=30))
def test_an_announced_status_is_always_found(status: int, rest: str) -> None:
    found = status_in(f"HTTP {status}; {rest}")

    assert found is not None
    assert found[0] == status
