"""The legend of a chip map: a bar of colours for each quantity, and what the patterns mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing.chip_scale import Scale
from qmio_jupyter.drawing.ramp import ramp
from qmio_jupyter.drawing.style import SMALL, TONES, colour
from qmio_jupyter.drawing.svg import label
from qmio_jupyter.drawing.text import number, significant, width_of

#: Width from which two bars stand beside each other, px.
_TWO: Final = 420
_BAR: Final = 8
_TALL: Final = 48
_STEPS: Final = 32
_LINE: Final = 18

#: The rules that go with it.
KEYS_RULES: Final = (
    f".qmio-svg .qmio-on{{stroke-width:3px;stroke-linejoin:round;paint-order:stroke}}"
    f".qmio-key{{fill:{colour('grid')};stroke:{colour('axis')}}}"
    f".qmio-stroke{{stroke:{colour('soft')}}}"
)


class Legend(msgspec.Struct, frozen=True):
    """What is drawn, and where it ends, px."""

    svg: str
    bottom: float


def legend(
    width: int, top: float, scales: Sequence[tuple[str, Scale]], keys: Sequence[tuple[str, str]]
) -> Legend:
    """Return the legend of a map `width` px wide, from `top` on.

    Parameters
    ----------
    width : int
        px
    top : float
        px
    scales : sequence of (str, Scale)
        Titles and scales, one or two.
    keys : sequence of (str, str)
        Patterns that are there (``hatched``, ``striped``, ``crossed``, ``hollow``) and what they mean.
    """
    parts = []
    y = top
    is_beside = len(scales) > 1 and width >= _TWO
    across = (width - 16 - (24 if is_beside else 0)) / (2 if is_beside else 1)
    across = min(across, 260.0)
    for at, (title, scale) in enumerate(scales):
        x = 8 + at * (across + 24) if is_beside else 8.0
        parts.append(_bar(x, y, across, title, scale))
        if not is_beside:
            y += _TALL
    if is_beside:
        y += _TALL
    if keys:
        keyed, y = _keys(width, y, keys)
        parts.append(keyed)
    return Legend(svg="".join(parts), bottom=y + 4)


def _bar(x: float, y: float, width: float, title: str, scale: Scale) -> str:
    quantity = scale.quantity
    drawn = label(x, y + 11, title, classes="qmio-ink")
    if scale.is_empty:
        return drawn + label(x, y + 27, "not known")
    step = width / _STEPS
    # One rectangle for each colour: a gradient would need an id that another picture may have. Each reaches under the
    # next, so that no seam shows.
    for at in range(_STEPS):
        wide = step * (2 if at < _STEPS - 1 else 1)
        drawn += (
            f'<rect x="{number(x + at * step)}" y="{number(y + 17)}" width="{number(wide)}" height="{_BAR}" '
            f'fill="{ramp((at + 0.5) / _STEPS)}"/>'
        )
    best, worst = (
        f"{significant(value * quantity.factor)} {quantity.unit}" for value in (scale.best, scale.worst)
    )
    if quantity.better:
        best = f"{best} and better" if scale.better else f"best {best}"
        worst = f"{worst} and worse" if scale.worse else f"{worst} worst"
    below = y + 17 + _BAR + 13
    if scale.best == scale.worst:
        only = f"{significant(scale.best * quantity.factor)} {quantity.unit}"
        return drawn + label(x + width / 2, below, only, anchor="middle")
    return drawn + label(x, below, best) + label(x + width, below, worst, anchor="end")


def _keys(width: int, y: float, keys: Sequence[tuple[str, str]]) -> tuple[str, float]:
    parts = []
    x = 8.0
    for pattern, meaning in keys:
        needed = 22 + width_of(meaning, SMALL) + 14
        if x > 8 and x + needed > width:
            x, y = 8.0, y + _LINE
        parts.append(_swatch(pattern, x + 7, y + 9))
        parts.append(label(x + 20, y + 13, meaning))
        x += needed
    return "".join(parts), y + _LINE


def _swatch(pattern: str, x: float, y: float) -> str:
    rim, soft = TONES["axis"].light, TONES["soft"].light
    if pattern == "striped":
        line = f"M{number(x - 7)} {number(y)}h14"
        return (
            f'<path class="qmio-rim" d="{line}" fill="none" stroke="{rim}" stroke-width="7"/>'
            f'<path d="{line}" fill="none" stroke="{ramp(1)}" stroke-width="5"/>'
            f'<path d="{line}" fill="none" stroke="#000000" stroke-width="5" stroke-dasharray="1.5 3.5"/>'
        )
    circle = f'cx="{number(x)}" cy="{number(y)}" r="6"'
    if pattern == "hatched":
        chords = "".join(
            f"M{number(x + right)} {number(y + down)}l{long} -{long}"
            for right, down, long in ((-5.5, 2, 7.5), (-4, 4.2, 8), (-2, 5.5, 7.5))
        )
        return (
            f'<circle class="qmio-rim" {circle} fill="{ramp(1)}" stroke="{rim}"/>'
            f'<path d="{chords}" fill="none" stroke="#000000"/>'
        )
    drawn = (
        f'<circle class="qmio-none" {circle} fill="{TONES["paper"].light}" stroke="{rim}" '
        'stroke-dasharray="3 2.5"/>'
    )
    if pattern == "crossed":
        drawn += (
            f'<path class="qmio-cross" d="M{number(x - 3.6)} {number(y - 3.6)}l7.2 7.2m0 -7.2l-7.2 7.2" fill="none" '
            f'stroke="{soft}" stroke-width="1.5"/>'
        )
    return drawn
