"""A secret that one text betrays is hidden in all of a failure's texts."""

from __future__ import annotations

import time

from runguard._failure.redaction import Redactor
from runguard._failure.throughout import Throughout


def cleaned(*texts: str) -> list[str]:
    cleaner = Throughout(Redactor())
    return [cleaner.clean(text, limit=16_384) for text in texts]


def test_what_one_line_betrays_is_hidden_in_all() -> None:
    [text] = cleaned("invalid literal for int(): 'hunter2'\nInvalid password=hunter2\n(hunter2)")

    assert "hunter2" not in text
    assert text.startswith("invalid literal for int(): '[redacted]'")


def test_what_an_earlier_text_betrayed_is_hidden_in_a_later_one() -> None:
    assert cleaned("password=hunter2", "found hunter2")[1] == "found [redacted]"


def test_a_text_that_was_cleaned_before_may_be_looked_through_again() -> None:
    cleaner = Throughout(Redactor())
    first = cleaner.clean("found hunter2", limit=99)
    cleaner.clean("password=hunter2", limit=99)

    assert (first, cleaner.hide(first)) == ("found hunter2", "found [redacted]")


def test_short_values_and_parts_of_words_stay() -> None:
    _, text = cleaned("password=admin token=swordfish", "/admin/page of swordfishes")

    assert text == "/admin/page of swordfishes"


def test_without_a_secret_nothing_changes() -> None:
    assert cleaned("page 3 of 10", "[redacted] page") == ["page 3 of 10", "[redacted] page"]


def test_many_secrets_and_long_texts_take_bounded_time() -> None:
    texts = [
        "".join(f"password=hunter{number} " for number in range(4_000)),
        "hunter3999 " * 10_000,
        "password=hunter2 " + "x" * 20_000_000,
    ]
    started = time.process_time()
    cleaned(*texts)

    assert time.process_time() - started < 3
