"""What tells series apart when colour does not: the filling of bars, the shape of points, the dash of lines."""

from __future__ import annotations

from typing import Final

from qmio_jupyter.drawing.style import SERIES, TONES, colour
from qmio_jupyter.drawing.text import number

#: How the bars of each series are filled: wholly; an outline; stripes of these lengths and gaps, px.
_STRIPES: Final = ("", "outline", "4 2", "1.5 1.5", "7 2", "2 4")
#: Dashes of each series' line, px; empty: drawn through.
DASHES: Final = ("", "6 3", "2 2.5", "9 3 2 3", "12 3", "1 3")

#: Corners of each series' points, in sizes: disc, square, diamond, triangles, plus.
_SHAPES: Final[tuple[tuple[tuple[float, float], ...], ...]] = (
    (),
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, -1.2), (1.15, 0.85), (-1.15, 0.85)),
    ((0, 1.2), (1.15, -0.85), (-1.15, -0.85)),
    tuple(
        (right * turn[0] - down * turn[1], right * turn[1] + down * turn[0])
        for turn in ((1, 0), (0, 1), (-1, 0), (0, -1))
        for right, down in ((-0.4, -0.4), (-0.4, -1.25), (0.4, -1.25))
    ),
)

#: The rules that go with all of these.
RULES: Final = "".join(
    f".qmio-s{at}{{stroke:{colour(f'series-{at}')}}}.qmio-f{at}{{fill:{colour(f'series-{at}')}}}"
    for at in range(1, SERIES + 1)
) + (f".qmio-ideal{{stroke:{colour('ink')}}}.qmio-hollow{{fill:{colour('halo')}}}")


def tone(series: int) -> str:
    """Return the light tone of a series, counted from 0, for presentation attributes."""
    return TONES[f"series-{series % SERIES + 1}"].light


def bar(series: int, x: float, y: float, width: float, height: float) -> str:
    """Return one bar in the filling of its series, counted from 0; px."""
    at = series % SERIES
    filling = _STRIPES[at]
    if not filling:
        return (
            f'<rect class="qmio-f{at + 1}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
            f'height="{number(height)}" fill="{tone(series)}"/>'
        )
    # The outline lies inside, so that every filling is as wide and as high as the others.
    edge = min(1.5, width / 3, height)
    drawn = (
        f'<rect class="qmio-s{at + 1}" x="{number(x + edge / 2)}" y="{number(y + edge / 2)}" '
        f'width="{number(max(0.0, width - edge))}" height="{number(max(0.0, height - edge))}" fill="none" '
        f'stroke="{tone(series)}" stroke-width="{number(edge)}"/>'
    )
    if filling != "outline" and height > 2 * edge:
        # Stripes are the dashes of one line as wide as the bar: no pattern, so no id that another picture may have.
        drawn += (
            f'<path class="qmio-s{at + 1}" d="M{number(x + width / 2)} {number(y + height)}V{number(y)}" '
            f'fill="none" stroke="{tone(series)}" stroke-width="{number(width)}" stroke-dasharray="{filling}"/>'
        )
    return drawn


def point(series: int, x: float, y: float, size: float = 3.5) -> str:
    """Return one point in the shape of its series, counted from 0; px."""
    at = series % SERIES
    painted = f'class="qmio-f{at + 1}" fill="{tone(series)}"'
    if not _SHAPES[at]:
        return f'<circle {painted} cx="{number(x)}" cy="{number(y)}" r="{number(size)}"/>'
    corners = "L".join(f"{number(x + size * right)} {number(y + size * down)}" for right, down in _SHAPES[at])
    return f'<path {painted} d="M{corners}z"/>'
