"""A reader who notices nothing would prove nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import violations, wider_than_the_screen

if TYPE_CHECKING:
    from tests.support.browser import Reader

WRONGS = {
    "an error on the console": ("console.error('broken')", "error on the console: broken"),
    "an exception": ("setTimeout(() => { throw Error('broken'); })", "broken"),
    "a script in the page": (
        "const script = document.createElement('script'); script.text = '1';"
        "document.body.append(script)",
        "Executing inline script violates the following Content Security Policy",
    ),
    "a style in the page": (
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')",
        "Applying inline style violates the following Content Security Policy",
    ),
    "a picture of another host": (
        "document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))",
        "Loading the image 'http://127.0.0.1:9/x.png' violates",
    ),
    "a request to another host": (
        "fetch('http://127.0.0.1:9/').catch(() => 0)",
        "Connecting to 'http://127.0.0.1:9/' violates",
    ),
    "a link to another host": (
        "location.href = 'http://127.0.0.1:9/'",
        "a request to another host: http://127.0.0.1:9/",
    ),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_a_reader_notices(reader: Reader, wrong: str) -> None:
    script, complaint = WRONGS[wrong]
    reader.expect_complaint(".")
    page = reader.open("/alerts/18")
    assert reader.complaints == []
    page.evaluate(f"() => {{ {script} }}")
    deadline = time.monotonic() + 20
    while complaint not in "\n".join(reader.complaints) and time.monotonic() < deadline:
        page.wait_for_timeout(10)  # milliseconds, in which what the browser tells comes in

    assert complaint in "\n".join(reader.complaints)


def test_axe_and_the_measure_of_the_width_find_what_is_wrong(reader: Reader) -> None:
    page = reader.open("/alerts/18")
    assert violations(page) == wider_than_the_screen(page) == []
    page.evaluate(
        """() => {
          const wide = document.createElement("input");
          wide.id = "wide";
          document.querySelector("main").prepend(wide);
          wide.style.minWidth = "3000px";
        }"""
    )
    expect(page.locator("#wide")).to_be_attached()

    assert any(found.startswith("label (critical)") for found in violations(page))
    assert any('id="wide"' in found for found in wider_than_the_screen(page))
