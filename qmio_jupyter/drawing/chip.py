"""The chip map: qubits coloured by a chosen quantity, couplings by two-qubit error, what stands out marked by pattern.

Worse is lighter, for qubits and couplings, whatever the quantity. Beyond Tukey's inner fence on the worse side, or his
outer one on the better side, an element is outlying: it is hatched (a coupling: striped) and has the colour at that end
of the scale. Dead elements are crossed out and have none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing.chip_legend import KEYS_RULES, legend
from qmio_jupyter.drawing.chip_reading import chip_of
from qmio_jupyter.drawing.chip_scale import Scale, scale_of
from qmio_jupyter.drawing.chip_table import edge_text, qubit_text, table
from qmio_jupyter.drawing.chip_values import (
    EDGE,
    QUANTITIES,
    Chip,
    ChipEdge,
    ChipQubit,
    Quantity,
    figure,
    known,
    quantity_of,
)
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.ramp import on, ramp
from qmio_jupyter.drawing.style import TONES, colour, style
from qmio_jupyter.drawing.svg import MOST, check_size, document, label
from qmio_jupyter.drawing.text import clean, escape, number, plural, said, tail_cut
from qmio_jupyter.errors import UsageError

__all__ = ["QUANTITIES", "Chip", "ChipEdge", "ChipQubit", "chip_map", "chip_of", "table"]

#: Largest circle and widest distance of neighbours, px.
_LARGEST: Final = 21.0
_FAR: Final = 62.0
#: Part of the distance of neighbours that a circle's radius is.
_PART: Final = 0.36
#: Smallest circles that have room for their value, for three digits, and for two, px.
_VALUED: Final = 19.0
_THREE: Final = 11.5
_TWO: Final = 8.5
#: Circles are not drawn smaller than this, px.
_SMALLEST: Final = 2.0
_EDGE: Final = 12
#: Most qubits of a map; further ones would be dots.
_MOST: Final = 4096
_HEAD: Final = 30
#: Names of elements that the alternative text gives.
_NAMED: Final = 4

_STYLE: Final = style(
    f".qmio-rim{{stroke:{colour('axis')}}}"
    f".qmio-none{{fill:{colour('halo')};stroke:{colour('axis')}}}"
    f".qmio-cross{{stroke:{colour('soft')}}}" + KEYS_RULES
)


class _Map(msgspec.Struct, frozen=True):
    """Places on the picture, px."""

    at: dict[int, tuple[float, float]]
    radius: float
    bottom: float


def chip_map(chip: Chip, quantity: str = "t1", *, width: int = 560) -> Drawing:
    """Return the map of a chip.

    Parameters
    ----------
    chip : Chip
        Of `chip_of`, or made by hand.
    quantity : str
        What qubits are coloured by: one of `QUANTITIES`.
    width : int
        px; the height follows from the chip.

    Returns
    -------
    Drawing
        Its spots are the qubits (key ``q3``) by index, then the couplings (``q3-q4``, the lower index first). What
        they say is in :func:`table` as well.

    Raises
    ------
    UsageError
        For an unknown quantity, a coupling of qubits that the chip does not have, a width that cannot be drawn, or a
        chip of too many qubits, or higher than a picture may be.
    """
    check_size(width, 200)
    what = quantity_of(quantity)
    if len(chip.qubits) > _MOST:
        raise UsageError(f"a map of {len(chip.qubits)} qubits", hint=f"A map shows {_MOST} at most.")
    indices = {qubit.index for qubit in chip.qubits}
    for edge in chip.edges:
        if edge.a not in indices or edge.b not in indices or edge.a == edge.b:
            raise UsageError(
                f"a coupling of qubits {edge.a} and {edge.b} in a chip of {len(indices)} qubits",
                hint="Give couplings of two of its qubits.",
            )
    qubit_scale = scale_of([(known(q.values, what.key), q.dead) for q in chip.qubits], what)
    edge_scale = scale_of([(known(e.values, EDGE.key), e.dead) for e in chip.edges], EDGE)
    places = _places(chip, width)
    edge_title = _edge_title(chip)
    below = legend(
        width,
        places.bottom,
        [(what.title, qubit_scale)] + ([(edge_title, edge_scale)] if chip.edges else []),
        _keys(chip, what, qubit_scale, edge_scale),
    )
    height = math.ceil(below.bottom)
    if height > MOST:
        raise UsageError(f"a map of {len(indices)} qubits, {width} px wide", hint="Ask for another width.")
    body = [_head(chip, width)]
    body += [_edge(edge, places, edge_scale) for edge in chip.edges]
    body += [_qubit(qubit, places, what, qubit_scale) for qubit in chip.qubits]
    body.append(below.svg)
    return document(
        width=width,
        height=height,
        style=_STYLE,
        body=body,
        alt=_alt(chip, what, qubit_scale, edge_scale),
        spots=_spots(chip, places, what, qubit_scale, edge_scale),
        kind="chip",
    )


def _places(chip: Chip, width: int) -> _Map:
    points = [(qubit.x, qubit.y) for qubit in chip.qubits] or [(0.0, 0.0)]
    if not all(math.isfinite(value) for point in points for value in point):
        raise UsageError("a chip with a qubit at no place", hint="Give finite coordinates.")
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    across = right - left
    # The outermost circles stay inside: (width - 2 edge) = scale * (across + 2 * part).
    scale = min(_FAR, (width - 2 * _EDGE) / (across + 2 * _PART))
    radius = max(_SMALLEST, min(_LARGEST, _PART * scale))
    shift = (width - across * scale) / 2 - left * scale
    high = _HEAD + radius + 4 - top * scale
    return _Map(
        at={qubit.index: (qubit.x * scale + shift, qubit.y * scale + high) for qubit in chip.qubits},
        radius=radius,
        bottom=bottom * scale + high + radius + 12,
    )


def _head(chip: Chip, width: int) -> str:
    room = max(8, int((width - 150) / 6.5))
    name = label(8, 17, tail_cut(clean(chip.device), room), classes="qmio-ink qmio-strong")
    return name + (label(width - 8, 17, chip.taken, anchor="end") if chip.taken else "")


def _edge_title(chip: Chip) -> str:
    gates = {edge.gate for edge in chip.edges}
    return f"{clean(gates.pop()).upper()} error" if len(gates) == 1 and gates != {""} else EDGE.title


def _edge_key(edge: ChipEdge) -> str:
    return f"q{min(edge.a, edge.b)}-q{max(edge.a, edge.b)}"


def _ends(edge: ChipEdge, places: _Map) -> tuple[float, float, float, float]:
    """Return where a coupling leaves its circles."""
    (x, y), (right, down) = places.at[edge.a], places.at[edge.b]
    distance = math.hypot(right - x, down - y)
    cut = min(places.radius, 0.45 * distance) / distance if distance else 0.0
    reach_x, reach_y = (right - x) * cut, (down - y) * cut
    return x + reach_x, y + reach_y, right - reach_x, down - reach_y


def _edge(edge: ChipEdge, places: _Map, scale: Scale) -> str:
    x, y, right, down = _ends(edge, places)
    line = f"M{number(x)} {number(y)}L{number(right)} {number(down)}"
    wide = max(2.0, min(6.0, places.radius * 0.34))
    rim = TONES["axis"].light
    head = f'<g class="qmio-edge" data-key="{_edge_key(edge)}">'
    value = known(edge.values, EDGE.key)
    if edge.dead or value is None or scale.is_empty:
        drawn = (
            f'<path class="qmio-rim" d="{line}" fill="none" stroke="{rim}" stroke-width="1.25" '
            f'stroke-dasharray="2 3"/>'
        )
        if edge.dead:
            drawn += _cross((x + right) / 2, (y + down) / 2, max(2.5, wide * 0.75))
        return f"{head}{drawn}</g>"
    drawn = (
        f'<path class="qmio-rim" d="{line}" fill="none" stroke="{rim}" stroke-width="{number(wide + 2)}"/>'
        f'<path d="{line}" fill="none" stroke="{ramp(scale.part(value))}" stroke-width="{number(wide)}"/>'
    )
    if scale.is_outlying(value):
        drawn += (
            f'<path d="{line}" fill="none" stroke="#000000" stroke-width="{number(wide)}" '
            f'stroke-dasharray="1.5 3.5"/>'
        )
    return f"{head}{drawn}</g>"


def _qubit(qubit: ChipQubit, places: _Map, what: Quantity, scale: Scale) -> str:
    x, y = places.at[qubit.index]
    r = places.radius
    rim = TONES["axis"].light
    circle = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
    head = f'<g class="qmio-qubit" data-key="q{qubit.index}">'
    name = tail_cut(clean(qubit.name), 4)
    value = known(qubit.values, what.key)
    if qubit.dead or value is None or scale.is_empty:
        drawn = (
            f'<circle class="qmio-none" {circle} fill="{TONES["paper"].light}" stroke="{rim}" '
            f'stroke-width="1.25" stroke-dasharray="3 2.5"/>'
        )
        if qubit.dead:
            drawn += _arms(x, y, r) if _has_room(name, r) else _cross(x, y, r * 0.62)
        if _has_room(name, r):
            drawn += label(x, y + 4, name, anchor="middle", classes="qmio-ink qmio-halo")
        return f"{head}{drawn}</g>"
    part = scale.part(value)
    drawn = (
        f'<circle class="qmio-rim" {circle} fill="{ramp(part)}" stroke="{rim}" stroke-width="1.25"/>'
        f"{_hatch(x, y, r, on(part)) if scale.is_outlying(value) else ''}"
    )
    if _has_room(name, r):
        # On its own colour, which no theme changes: black or white, with a rim of that colour over a hatch.
        written = f'text-anchor="middle" style="fill:{on(part)};stroke:{ramp(part)}" class="qmio-on'
        if r >= _VALUED:
            drawn += (
                f'<text x="{number(x)}" y="{number(y - 2.5)}" {written} qmio-strong">{escape(name)}</text>'
                f'<text x="{number(x)}" y="{number(y + 10)}" {written}">{figure(value * what.factor)}</text>'
            )
        else:
            drawn += f'<text x="{number(x)}" y="{number(y + 4)}" {written}">{escape(name)}</text>'
    return f"{head}{drawn}</g>"


def _has_room(name: str, radius: float) -> bool:
    return radius >= (_THREE if len(name) > 2 else _TWO)


def _hatch(x: float, y: float, r: float, ink: str) -> str:
    """Return slanted lines across a circle: chords, so that no pattern with an id is needed."""
    path = []
    for part in (-0.6, -0.2, 0.2, 0.6):
        half = math.sqrt(1 - part * part) * r
        middle_x, middle_y = x + part * r * math.sqrt(0.5), y + part * r * math.sqrt(0.5)
        reach = half * math.sqrt(0.5)
        path.append(f"M{number(middle_x - reach)} {number(middle_y + reach)}")
        path.append(f"L{number(middle_x + reach)} {number(middle_y - reach)}")
    return f'<path d="{"".join(path)}" fill="none" stroke="{ink}" stroke-width="1.25" stroke-opacity="0.6"/>'


def _cross(x: float, y: float, reach: float) -> str:
    d = number(2 * reach)
    path = f"M{number(x - reach)} {number(y - reach)}l{d} {d}m0 -{d}l-{d} {d}"
    return (
        f'<path class="qmio-cross" d="{path}" fill="none" stroke="{TONES["soft"].light}" stroke-width="1.5"/>'
    )


def _arms(x: float, y: float, r: float) -> str:
    """Return a cross whose middle is left free for a name."""
    far, reach = 0.7 * r, 0.32 * r
    path = "".join(
        f"M{number(x + right * far)} {number(y + down * far)}l{number(-right * reach)} {number(-down * reach)}"
        for right in (-1, 1)
        for down in (-1, 1)
    )
    return (
        f'<path class="qmio-cross" d="{path}" fill="none" stroke="{TONES["soft"].light}" stroke-width="1.5"/>'
    )


def _keys(chip: Chip, what: Quantity, qubits: Scale, edges: Scale) -> list[tuple[str, str]]:
    """Return what the legend says of marks: those that are there."""
    told = []
    if any(_stands_out(q, what, qubits) for q in chip.qubits):
        told.append(("hatched", "outlying"))
    if any(_edge_stands_out(e, edges) for e in chip.edges):
        told.append(("striped", "outlying coupling"))
    if any(q.dead for q in chip.qubits) or any(e.dead for e in chip.edges):
        told.append(("crossed", "dead"))
    missing = any(not q.dead and known(q.values, what.key) is None for q in chip.qubits)
    if missing or any(not e.dead and known(e.values, EDGE.key) is None for e in chip.edges):
        told.append(("hollow", "not known"))
    return told


def _stands_out(qubit: ChipQubit, what: Quantity, scale: Scale) -> bool:
    value = known(qubit.values, what.key)
    return not qubit.dead and value is not None and scale.is_outlying(value)


def _edge_stands_out(edge: ChipEdge, scale: Scale) -> bool:
    value = known(edge.values, EDGE.key)
    return not edge.dead and value is not None and scale.is_outlying(value)


def _spots(chip: Chip, places: _Map, what: Quantity, qubits: Scale, edges: Scale) -> list[Spot]:
    spots = []
    r = places.radius
    for qubit in chip.qubits:
        x, y = places.at[qubit.index]
        text = qubit_text(chip, qubit, what, is_outlying=_stands_out(qubit, what, qubits))
        spots.append(_spot(x - r, y - r, x + r, y + r, text, f"q{qubit.index}"))
    for edge in chip.edges:
        x, y, right, down = _ends(edge, places)
        x, right = min(x, right), max(x, right)
        y, down = min(y, down), max(y, down)
        # At least as thick as a finger's tip on a trackpad can hit.
        wide, high = max(0.0, 12 - (right - x)) / 2, max(0.0, 12 - (down - y)) / 2
        text = edge_text(chip, edge, is_outlying=_edge_stands_out(edge, edges))
        spots.append(_spot(x - wide, y - high, right + wide, down + high, text, _edge_key(edge)))
    return spots


def _spot(x: float, y: float, right: float, down: float, text: str, key: str) -> Spot:
    return Spot(
        x=round(x, 2), y=round(y, 2), width=round(right - x, 2), height=round(down - y, 2), text=text, key=key
    )


def _alt(chip: Chip, what: Quantity, qubits: Scale, edges: Scale) -> str:
    name = f" of {said(chip.device)}" if chip.device else ""
    told = [f"{plural(len(chip.qubits), 'qubit')} by {what.title}{qubits.told}"]
    if chip.edges:
        told.append(f"{plural(len(chip.edges), 'coupling')} by {_edge_title(chip)}{edges.told}")
    dead = [f"q{q.index}" for q in chip.qubits if q.dead] + [_edge_key(e) for e in chip.edges if e.dead]
    odd = [f"q{q.index}" for q in chip.qubits if _stands_out(q, what, qubits)] + [
        _edge_key(e) for e in chip.edges if _edge_stands_out(e, edges)
    ]
    told += [f"{word}: {_named(found)}" for word, found in (("dead", dead), ("outlying", odd)) if found]
    return f"Map{name}, {'; '.join(told)}."


def _named(found: Sequence[str]) -> str:
    shown = ", ".join(found[:_NAMED])
    return shown if len(found) <= _NAMED else f"{shown} and {len(found) - _NAMED} more"
