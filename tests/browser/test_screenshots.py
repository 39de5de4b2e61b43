"""The pictures of the documentation: taken and judged each time, kept by `make screenshots`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.browser import coloured_pixels, is_colourful, pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES: Final = 150_000
# Read here once: inside a test the environment holds no RUNGUARD_ name.
ARE_KEPT: Final = bool(os.environ.get("RUNGUARD_TEST_SCREENSHOTS"))


@dataclass(frozen=True)
class Shot:
    path: str
    width: int = 1200
    height: int = 800
    dark: bool = False


SHOTS = {
    "overview": Shot("/?span=7d", height=1310),
    "overview-dark": Shot("/?span=7d", dark=True),
    "overview-phone": Shot("/", width=390, height=780),
    "job": Shot("/jobs/enrolment_sync", height=1050),
    "run": Shot("/runs/318", height=1150),
    "alerts": Shot("/alerts", height=900),
}


@pytest.mark.parametrize("name", SHOTS)
def test_the_picture_shows_something_and_is_small(
    reader_of: Callable[..., Reader], site: str, name: str
) -> None:
    shot = SHOTS[name]
    reader = reader_of(site, width=shot.width, height=shot.height, dark=shot.dark)
    page = reader.open(shot.path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    picture = page.screenshot()
    small = with_few_colours(picture)
    assert coloured_pixels(picture, is_colourful) > 200
    assert len(small) < MOST_BYTES
    if ARE_KEPT:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.png").write_bytes(small)


def with_few_colours(picture: bytes) -> bytes:
    """Return the same picture as a PNG of at most 256 colours: a quarter of the size."""
    few = pixels(picture).quantize(256, dither=Image.Dither.NONE)
    kept = BytesIO()
    few.save(kept, "PNG", optimize=True)
    return kept.getvalue()
