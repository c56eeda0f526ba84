"""Values over a parameter: points with error bars joined by lines, an ideal curve without points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing import marks
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.scale import angle_ticks, angle_written, nice_ticks
from qmio_jupyter.drawing.style import SERIES, SMALL, TONES, colour, style
from qmio_jupyter.drawing.svg import check_size, document, label, lines
from qmio_jupyter.drawing.text import SANS, clean, number, plural, said, significant, tail_cut, width_of
from qmio_jupyter.errors import UsageError

_RIGHT: Final = 14
_LINE: Final = 17
#: Points of one series that are drawn as points; more are one line.
_POINTS: Final = 200
#: Values of x that can be hovered; of more, evenly chosen ones.
_SPOTS: Final = 200
#: Values beyond this are as good as infinite: spans of an axis would be no doubles any more.
_FURTHEST: Final = 1e300
_STYLE: Final = style(
    marks.RULES + f".qmio-error{{stroke:{colour('error')}}}.qmio-ideal{{fill:none}}.qmio-line{{fill:none}}"
)


class Line(msgspec.Struct, frozen=True):
    """One quantity over the parameter."""

    name: str
    #: A value for each x; None or NaN where there is none.
    ys: Sequence[float | None]
    #: Standard errors; empty: none.
    errors: Sequence[float | None] = ()
    #: Drawn as a curve without points.
    is_ideal: bool = False


class _Axes(msgspec.Struct, frozen=True):
    """From values to px."""

    left: float
    right: float
    top: float
    bottom: float
    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        part = (value - self.low_x) / (self.high_x - self.low_x)
        return self.left + part * (self.right - self.left)

    def y(self, value: float) -> float:
        part = (value - self.low_y) / (self.high_y - self.low_y)
        return self.bottom - max(0.0, min(1.0, part)) * (self.bottom - self.top)


def line_plot(
    xs: Sequence[float],
    series: Sequence[Line],
    *,
    x_label: str = "",
    y_label: str = "",
    is_angle: bool = False,
    width: int = 560,
    height: int = 280,
) -> Drawing:
    """Return values over a parameter.

    Parameters
    ----------
    xs : sequence of float
        Values of the parameter, in any order; finite.
    series : sequence of Line
        At least one; at most six that are not ideal.
    x_label, y_label : str
        What the axes are, with their units.
    is_angle : bool
        The parameter is an angle in radians: ticks at parts of pi.
    width, height : int
        px

    Returns
    -------
    Drawing
        Its spots are the values of x (keys ``0``, ``1``, ... in order of x), each telling every series.

    Raises
    ------
    UsageError
        Without series or with too many, for values that do not match `xs` in number, for an x that is not finite, and
        for a size that cannot be drawn.
    """
    check_size(width, height)
    _check(xs, series)
    order = sorted(range(len(xs)), key=xs.__getitem__)
    xs = [float(xs[at]) for at in order]
    data = [_ordered(line, order) for line in series]
    legend, legend_bottom = _legend(series, width)
    top = legend_bottom + 12
    if height - top < 80:
        raise UsageError(
            f"{len(series)} lines in a picture of {height} px cannot be read",
            hint=f"Ask for a height of {math.ceil(top) + 80} px or more.",
        )
    low_y, high_y = _y_range(data)
    y_ticks = nice_ticks(low_y, high_y, 5)
    written = [_written(tick) for tick in y_ticks]
    left = 16 + max(width_of(text, SMALL) for text in written)
    low_x, high_x = (xs[0], xs[-1]) if xs else (0.0, 1.0)
    if high_x - low_x <= 1e-12 * max(abs(low_x), abs(high_x), 1e-300):
        low_x, high_x = low_x - 0.5 * (abs(low_x) or 1), high_x + 0.5 * (abs(high_x) or 1)
    axes = _Axes(
        left=left + 6,
        right=width - _RIGHT - 6,
        top=top,
        bottom=height - (44.0 if x_label else 28.0),
        low_x=low_x,
        high_x=high_x,
        low_y=low_y,
        high_y=high_y,
    )
    body = [legend]
    if y_label:
        room = max(4, int((width - 16) / (SMALL * SANS)))
        body.append(label(8, 15, tail_cut(clean(y_label), room)))
    body.append(_grid(axes, y_ticks, written, width, left))
    body.append(_x_axis(axes, x_label, width, left, is_angle=is_angle))
    place = 0
    tops: list[str] = []
    for line, (ys, errors) in zip(series, data, strict=True):
        if line.is_ideal:
            body.append(_curve(axes, xs, ys, 'class="qmio-ideal"', TONES["ink"].light, 1.5, ""))
        else:
            tops.append(_points(axes, xs, ys, errors, place))
            place += 1
    if not xs:
        body.append(
            label(
                (axes.left + axes.right) / 2, (axes.top + axes.bottom) / 2, "no values yet", anchor="middle"
            )
        )
    return document(
        width=width,
        height=height,
        style=_STYLE,
        body=body + tops,
        alt=_alt(xs, series, data, x_label, y_label),
        spots=_spots(axes, xs, series, data, x_label, is_angle=is_angle),
        kind="lines",
    )


_Values = tuple[list[float | None], list[float]]


def _check(xs: Sequence[float], series: Sequence[Line]) -> None:
    points = sum(not line.is_ideal for line in series)
    if not series or points > SERIES:
        raise UsageError(f"a plot of {points} lines", hint=f"Give one to {SERIES}.")
    if not all(abs(x) < _FURTHEST for x in xs):
        raise UsageError("a plot over a parameter that is not finite", hint="Leave such points out.")
    for line in series:
        if len(line.ys) != len(xs) or (line.errors and len(line.errors) != len(xs)):
            raise UsageError(
                f"{len(line.ys)} values and {len(line.errors)} errors over {len(xs)} points",
                hint="Give one value (and one error, or none at all) for each.",
            )


def _ordered(line: Line, order: list[int]) -> _Values:
    ys = [_finite(line.ys[at]) for at in order]
    errors = [max(0.0, _finite(line.errors[at]) or 0.0) if line.errors else 0.0 for at in order]
    return ys, errors


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and abs(value) < _FURTHEST else None


def _y_range(data: list[_Values]) -> tuple[float, float]:
    """Return the ends of the axis: all values, their error bars where those do not flatten them, and some room."""
    found = [(y, error) for ys, errors in data for y, error in zip(ys, errors, strict=True) if y is not None]
    if not found:
        return 0.0, 1.0
    low, high = min(y for y, _ in found), max(y for y, _ in found)
    reach = 3 * (high - low) or math.inf
    low, high = (
        min(y - min(error, reach) for y, error in found),
        max(y + min(error, reach) for y, error in found),
    )
    least = 1e-9 * max(abs(low), abs(high))
    room = 0.06 * (high - low) if high - low > least else 0.5 * (abs(low) or 1)
    return low - room, high + room


def _written(value: float) -> str:
    return f"{value:.6g}".replace("-", "\u2212")


def _grid(axes: _Axes, ticks: tuple[float, ...], written: list[str], width: int, left: float) -> str:
    grid = texts = ""
    base = f"M{number(left)} {number(math.floor(axes.bottom) + 0.5)}H{width - _RIGHT}"
    for tick, text in zip(ticks, written, strict=True):
        y = math.floor(axes.y(tick)) + 0.5
        line = f"M{number(left)} {number(y)}H{width - _RIGHT}"
        if tick == 0:
            base += line
        else:
            grid += line
        texts += label(left - 7, y + 4, text, anchor="end")
    return (lines(grid, "grid") if grid else "") + lines(base, "axis") + texts


def _x_axis(axes: _Axes, title: str, width: int, left: float, *, is_angle: bool) -> str:
    about = max(2, int((axes.right - axes.left) / 80))
    find, write = (angle_ticks, angle_written) if is_angle else (nice_ticks, _written)
    ticks = find(axes.low_x, axes.high_x, about)
    marked = "".join(f"M{number(math.floor(axes.x(tick)) + 0.5)} {number(axes.bottom)}v4" for tick in ticks)
    drawn = lines(marked, "axis") if marked else ""
    drawn += "".join(label(axes.x(tick), axes.bottom + 17, write(tick), anchor="middle") for tick in ticks)
    if title:
        room = max(4, int((width - left) / (SMALL * SANS)))
        drawn += label(
            (axes.left + axes.right) / 2, axes.bottom + 35, tail_cut(clean(title), room), anchor="middle"
        )
    return drawn


def _curve(
    axes: _Axes, xs: list[float], ys: list[float | None], head: str, stroke: str, width: float, dash: str
) -> str:
    path = ""
    is_down = False
    for x, y in _thinned(axes, xs, ys):
        if y is None:
            is_down = False
            continue
        path += f"{'L' if is_down else 'M'}{number(axes.x(x))} {number(axes.y(y))}"
        is_down = True
    if not path:
        return ""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path {head} d="{path}" fill="none" stroke="{stroke}" stroke-width="{number(width)}" '
        f'stroke-linejoin="round"{dashes}/>'
    )


def _thinned(axes: _Axes, xs: list[float], ys: list[float | None]) -> list[tuple[float, float | None]]:
    """Return the points; of very many those that are seen: the least and the greatest in each column of px."""
    if len(xs) <= 4 * _POINTS:
        return list(zip(xs, ys, strict=True))
    kept: list[tuple[float, float | None]] = []
    columns: dict[int, list[tuple[float, float]]] = {}
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            columns.setdefault(int(axes.x(x)), []).append((x, y))
    for _, points in sorted(columns.items()):
        least, greatest = min(points, key=lambda point: point[1]), max(points, key=lambda point: point[1])
        kept += sorted({least, greatest})
    return kept


def _points(axes: _Axes, xs: list[float], ys: list[float | None], errors: list[float], place: int) -> str:
    drawn = _curve(
        axes, xs, ys, f'class="qmio-line qmio-s{place + 1}"', marks.tone(place), 1.5, marks.DASHES[place]
    )
    if len(xs) > _POINTS:
        return drawn
    whiskers = ""
    dots = ""
    for x, y, error in zip(xs, ys, errors, strict=True):
        if y is None:
            continue
        at = axes.x(x)
        if error > 0:
            low, high = axes.y(y - error), axes.y(y + error)
            whiskers += f"M{number(at)} {number(low)}V{number(high)}"
            whiskers += f"M{number(at - 3)} {number(low)}h6M{number(at - 3)} {number(high)}h6"
        dots += marks.point(place, at, axes.y(y), 3.5 if len(xs) <= 60 else 2.5)
    return drawn + (lines(whiskers, "error") if whiskers else "") + dots


def _legend(series: Sequence[Line], width: int) -> tuple[str, float]:
    """Return the legend and where it ends; one nameless line needs none."""
    if len(series) == 1 and not series[0].name:
        return "", 18.0
    x, y, place = 8.0, 15.0 + _LINE, 0
    drawn = ""
    for line in series:
        name = tail_cut(clean(line.name), max(4, int((width - 60) / (SMALL * SANS))))
        needed = 30 + width_of(name, SMALL) + 16
        if x > 8 and x + needed > width:
            x, y = 8.0, y + _LINE
        if line.is_ideal:
            drawn += lines(f"M{number(x)} {number(y - 4)}h22", "ideal", width=1.5)
        else:
            dash = marks.DASHES[place]
            dashes = f' stroke-dasharray="{dash}"' if dash else ""
            drawn += (
                f'<path class="qmio-line qmio-s{place + 1}" d="M{number(x)} {number(y - 4)}h22" fill="none" '
                f'stroke="{marks.tone(place)}" stroke-width="1.5"{dashes}/>'
            )
            drawn += marks.point(place, x + 11, y - 4)
            place += 1
        drawn += label(x + 28, y, name, classes="qmio-ink")
        x += needed
    return drawn, y + 4


def _spots(
    axes: _Axes, xs: list[float], series: Sequence[Line], data: list[_Values], x_label: str, *, is_angle: bool
) -> list[Spot]:
    every = max(1, math.ceil(len(xs) / _SPOTS))
    chosen = range(0, len(xs), every)
    places = [axes.x(xs[at]) for at in chosen]
    spots = []
    name = said(x_label) or "x"
    for turn, at in enumerate(chosen):
        # From half way to the one before to half way to the one after.
        left = (places[turn - 1] + places[turn]) / 2 if turn else places[turn] - 8
        right = (places[turn] + places[turn + 1]) / 2 if turn + 1 < len(places) else places[turn] + 8
        if right - left < 0.02:
            continue
        told = []
        for line, (ys, errors) in zip(series, data, strict=True):
            y = ys[at]
            value = "no value" if y is None else significant(y)
            sure = f" ± {significant(errors[at], 2)}" if y is not None and errors[at] > 0 else ""
            told.append(f"{said(line.name)} {value}{sure}".strip())
        x = angle_written(xs[at]) if is_angle else significant(xs[at])
        spots.append(
            Spot(
                x=round(left, 2),
                y=round(axes.top, 2),
                width=round(right - left, 2),
                height=round(axes.bottom - axes.top, 2),
                text=f"{name} = {x}: {'; '.join(told)}",
                key=str(at),
            )
        )
    return spots


def _alt(xs: list[float], series: Sequence[Line], data: list[_Values], x_label: str, y_label: str) -> str:
    what = said(y_label) or "Values"
    over = said(x_label) or "a parameter"
    if not xs:
        return f"{what} over {over}, without values yet."
    told = []
    for line, (ys, _) in zip(series, data, strict=True):
        found = [y for y in ys if y is not None]
        name = f"{said(line.name)} " if line.name else ""
        told.append(
            f"{name}{significant(min(found))} to {significant(max(found))}" if found else f"{name}no value"
        )
    span = f"{plural(len(xs), 'point')} from {significant(xs[0])} to {significant(xs[-1])}"
    return f"{what} over {over}, {span}: {'; '.join(told)}."
