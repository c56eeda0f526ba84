"""What a chip map shows, in words: hover texts, and the table that replaces the map for who cannot see it."""

from __future__ import annotations

from qmio_jupyter.drawing.chip_scale import scale_of
from qmio_jupyter.drawing.chip_values import (
    EDGE,
    EDGE_TIME,
    QUANTITIES,
    Chip,
    ChipEdge,
    ChipQubit,
    Quantity,
    known,
)
from qmio_jupyter.drawing.text import clean, said, significant

#: Columns of qubits, in order.
_COLUMNS = tuple(QUANTITIES.values())


def qubit_text(chip: Chip, qubit: ChipQubit, first: Quantity, *, is_outlying: bool) -> str:
    """Return what a qubit's spot says: the chosen quantity first, then the others that are known, then the date."""
    told = []
    for quantity in (first, *(one for one in _COLUMNS if one is not first)):
        value = known(qubit.values, quantity.key)
        if value is not None:
            mark = " (outlying)" if is_outlying and quantity is first else ""
            told.append(f"{quantity.title} {quantity.written(value, known(qubit.bars, quantity.key))}{mark}")
        elif quantity is first:
            told.append(f"{quantity.title} not known")
    if qubit.dead:
        told.insert(0, "dead")
    label = f" ({said(qubit.label)})" if qubit.label else ""
    return f"qubit {qubit.index}{label}: {', '.join(told)}{_measured(chip)}"


def edge_text(chip: Chip, edge: ChipEdge, *, is_outlying: bool) -> str:
    """Return what a coupling's spot says."""
    gate = said(edge.gate).upper()
    told = [gate] if gate else []
    if edge.dead:
        told.append("dead")
    value = known(edge.values, EDGE.key)
    if value is None:
        told.append("error not known")
    elif not edge.dead:
        told.append(
            f"error {EDGE.written(value, known(edge.bars, EDGE.key))}{' (outlying)' if is_outlying else ''}"
        )
    if (seconds := known(edge.values, EDGE_TIME.key)) is not None:
        told.append(EDGE_TIME.written(seconds))
    arrow = "→" if edge.is_directed else "–"
    return f"qubits {edge.a} {arrow} {edge.b}: {', '.join(told)}{_measured(chip)}"


def table(chip: Chip) -> list[tuple[str, ...]]:
    """Return the table equivalent of a chip map: a header, a row for each qubit, then one for each coupling.

    Values have their units in the header; what is not known is an empty cell. The last column says what the map marks
    by pattern: ``dead``, or ``outlying`` with the quantities in which it is.
    """
    columns = [f"{one.title} ({one.unit})" for one in (*_COLUMNS, EDGE, EDGE_TIME)]
    rows: list[tuple[str, ...]] = [("element", *columns, "gate", "mark")]
    scales = [scale_of([(known(q.values, one.key), q.dead) for q in chip.qubits], one) for one in _COLUMNS]
    for qubit in chip.qubits:
        marks = [
            scale.quantity.title
            for scale in scales
            if (value := known(qubit.values, scale.quantity.key)) is not None and scale.is_outlying(value)
        ]
        cells = [_cell(known(qubit.values, one.key), known(qubit.bars, one.key), one) for one in _COLUMNS]
        rows.append((f"qubit {clean(qubit.name)}", *cells, "", "", "", _mark(marks, is_dead=qubit.dead)))
    scale = scale_of([(known(e.values, EDGE.key), e.dead) for e in chip.edges], EDGE)
    for edge in chip.edges:
        value = known(edge.values, EDGE.key)
        marks = [EDGE.title] if value is not None and scale.is_outlying(value) else []
        arrow = "→" if edge.is_directed else "–"
        rows.append(
            (
                f"qubits {edge.a} {arrow} {edge.b}",
                *([""] * len(_COLUMNS)),
                _cell(value, known(edge.bars, EDGE.key), EDGE),
                _cell(known(edge.values, EDGE_TIME.key), None, EDGE_TIME),
                clean(edge.gate),
                _mark(marks, is_dead=edge.dead),
            )
        )
    return rows


def _cell(value: float | None, bar: float | None, quantity: Quantity) -> str:
    if value is None:
        return ""
    written = significant(value * quantity.factor)
    return written if bar is None else f"{written} ± {significant(bar * quantity.factor, 2)}"


def _mark(outlying: list[str], *, is_dead: bool) -> str:
    if is_dead:
        return "dead"
    return f"outlying: {', '.join(outlying)}" if outlying else ""


def _measured(chip: Chip) -> str:
    return f"; measured {chip.taken}" if chip.taken else ""
