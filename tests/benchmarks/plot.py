"""A plot of cost against table size, as SVG by hand: both axes are logarithmic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 900, 440
LEFT, TOP, RIGHT, BOTTOM = 70, 50, 640, 380
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#000000", "#7f7f7f", "#8c564b", "#9467bd", "#bcbd22"),
)  # told apart by people who do not see every colour, the first seven at least


class Point(NamedTuple):
    """So many rows, so many milliseconds."""

    rows: int
    ms: float


def svg(title: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """One line for each name; a table without rows stands at the left end."""
    sizes = sorted({point.rows for line in lines.values() for point in line})
    across = dict(zip(sizes, _spaced(sizes), strict=True))
    low, high = _decades([point.ms for line in lines.values() for point in line])

    def down(ms: float) -> float:
        part = (math.log10(ms) - low) / (high - low)
        return BOTTOM - part * (BOTTOM - TOP)

    marks = [
        f'<text x="{LEFT}" y="28" font-size="16">{escape(title)}</text>',
        f'<text x="{(LEFT + RIGHT) / 2:.0f}" y="{BOTTOM + 42}" text-anchor="middle">'
        "rows in run_log</text>",
    ]
    for decade in range(low, high + 1):
        y = down(10.0**decade)
        marks.append(f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>')
        marks.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**decade:g} ms</text>'
        )
    for rows, x in across.items():
        marks.append(f'<path d="M{x:.1f} {TOP}V{BOTTOM}" stroke="#ddd"/>')
        marks.append(
            f'<text x="{x:.1f}" y="{BOTTOM + 20}" text-anchor="middle">{_in_short(rows)}</text>'
        )
    for index, (name, line) in enumerate(lines.items()):
        marks += _drawn(index, name, [(across[point.rows], down(point.ms)) for point in line])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(marks) + "\n</svg>\n"
    )


def _drawn(index: int, name: str, places: Sequence[tuple[float, float]]) -> list[str]:
    colour = COLOURS[index % len(COLOURS)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    y = TOP + 20 * index
    return [
        f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
        f'<path d="M{RIGHT + 15} {y}h20" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{RIGHT + 42}" y="{y + 4}">{escape(name)}</text>',
    ]


def _spaced(sizes: Sequence[int]) -> list[float]:
    """Where each size stands: by its logarithm, and no rows as far left as there is room."""
    filled = [math.log10(size) for size in sizes if size]
    if not filled:
        return [LEFT for _ in sizes]
    least = min(filled) - 1
    reach = max(filled) - least
    return [
        LEFT + 25 + ((math.log10(size) if size else least) - least) / reach * (RIGHT - LEFT - 50)
        for size in sizes
    ]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def _in_short(rows: int) -> str:
    if rows >= 1_000_000:
        return f"{rows / 1_000_000:g} M"
    return f"{rows / 1000:g} k" if rows >= 1000 else str(rows)
