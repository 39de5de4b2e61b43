"""Colours that stand for how a run ended: measured as colour-blind people see them."""

from __future__ import annotations

import re
from itertools import combinations
from math import dist
from pathlib import Path
from typing import Final

import pytest

import runguard
from runguard._models import ErrorGroup
from runguard._web.charts import MARK_OF_OTHERS, MARKS

STATIC: Final = Path(runguard.__file__).parent / "_web" / "static"
THEMES: Final = ("light", "dark")
GROUPS: Final = ("g-5xx", "g-timeout", "g-unknown", "g-4xx", "g-409", "g-lock")

# How cones that are missing change linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
SIGHTS: Final = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
# From linear RGB to OKLab: https://bottosson.github.io/posts/oklab/
TO_CONES: Final = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB: Final = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
LUMINANCE: Final = (0.2126, 0.7152, 0.0722)

Vector = tuple[float, ...]
Matrix = tuple[Vector, ...]


def times(matrix: Matrix, vector: Vector) -> Vector:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def linear(colour: str) -> Vector:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return tuple(
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )


def seen(colour: str, sight: str) -> Vector:
    """Return a colour in OKLab, a hundredfold, as somebody sees it."""
    rgb = tuple(min(1.0, max(0.0, part)) for part in times(SIGHTS[sight], linear(colour)))
    cones = tuple(part ** (1 / 3) for part in times(TO_CONES, rgb))
    return tuple(100 * part for part in times(TO_LAB, cones))


def contrast(one: str, other: str) -> float:
    low, high = sorted(times((LUMINANCE,), linear(colour))[0] for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def colours(theme: str) -> dict[str, str]:
    """Read the colours of a theme from the style sheets, by their names."""
    text = "".join((STATIC / name).read_text() for name in ("charts.css", "app.css"))
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", text)
    return {name: pair[THEMES.index(theme)] for name, *pair in pairs}


def test_the_measure_is_that_of_its_sources() -> None:
    assert seen("#ffffff", "usual") == pytest.approx((100, 0, 0), abs=0.01)
    assert seen("#ff0000", "usual") == pytest.approx((62.8, 22.5, 12.6), abs=0.1)
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("theme", THEMES)
def test_a_success_and_every_group_can_be_told_apart(theme: str, sight: str) -> None:
    named = colours(theme)
    of = {name: seen(named[name], sight) for name in ("ok", *GROUPS, "g-other")}

    close = {
        pair: round(dist(of[pair[0]], of[pair[1]]), 1)
        for pair in combinations(of, 2)
        if dist(of[pair[0]], of[pair[1]]) < (5 if "g-other" in pair else 14 if "ok" in pair else 9)
    }
    assert close == {}


@pytest.mark.parametrize("theme", THEMES)
def test_every_colour_stands_out_from_its_ground(theme: str) -> None:
    named = colours(theme)

    for name in ("ok", "run", *GROUPS, "g-other"):
        assert contrast(named[name], named["card"]) >= 3, name
    for word in ("text", "dim", "accent", "bad", "warn", "good", "busy"):
        assert contrast(named[word], named["card"]) >= 4.5, word
    for word in ("bad", "warn", "good", "busy"):
        assert contrast(named[word], named[f"{word}-bg"]) >= 4.5, word


def test_every_group_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == set(ErrorGroup)
    assert len({*MARKS.values(), MARK_OF_OTHERS}) == len(MARKS) + 1
