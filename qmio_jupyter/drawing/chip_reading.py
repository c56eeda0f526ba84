"""A chip from a snapshot: the part of our calibration form that a picture shows.

The form is `calibration.form`'s; it is read leniently here, because a picture of half a calibration is worth more
than a refusal, and every snapshot has been checked before it had an id.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import msgspec

from qmio_jupyter.drawing.chip_layout import place
from qmio_jupyter.drawing.chip_values import Chip, ChipEdge, ChipQubit
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.device import Snapshot

_FORMAT: Final = "qmio-calibration"
_BARS: Final = {"t1_s": "t1_bar_s", "t2_s": "t2_bar_s"}


class _Qubit(msgspec.Struct, frozen=True):
    t1_s: float | None = None
    t2_s: float | None = None
    frequency_hz: float | None = None
    readout_s: float | None = None
    prob_meas1_prep0: float | None = None
    prob_meas0_prep1: float | None = None
    t1_bar_s: float | None = None
    t2_bar_s: float | None = None


class _Gate(msgspec.Struct, frozen=True):
    name: str
    qubits: tuple[int, ...]
    duration_s: float | None = None
    error: float | None = None
    error_bar: float | None = None

    @property
    def is_dead(self) -> bool:
        return self.error is not None and self.error >= 1


class _Form(msgspec.Struct, frozen=True):
    format: str
    qubits: tuple[_Qubit, ...]
    gates: tuple[_Gate, ...] = ()


def chip_of(snapshot: Snapshot) -> Chip:
    """Return the chip that a snapshot describes.

    Qubits with a dead one-qubit gate, and couplings all of whose gates are dead, are dead. A coupling's values are
    those of its best two-qubit gate.

    Raises
    ------
    UsageError
        If the snapshot's data is not in our calibration form.
    """
    try:
        form = msgspec.json.decode(snapshot.data, type=_Form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise _no_calibration(snapshot, str(problem)) from problem
    count = len(form.qubits)
    if form.format != _FORMAT or any(not 0 <= qubit < count for gate in form.gates for qubit in gate.qubits):
        raise _no_calibration(snapshot)
    single: defaultdict[int, dict[str, _Gate]] = defaultdict(dict)
    pairs: defaultdict[tuple[int, int], list[_Gate]] = defaultdict(list)
    for gate in form.gates:
        if len(gate.qubits) == 1:
            single[gate.qubits[0]][gate.name] = gate
        elif len(gate.qubits) == 2 and gate.qubits[0] != gate.qubits[1]:
            pairs[min(gate.qubits), max(gate.qubits)].append(gate)
    places = place(count, tuple(sorted(pairs)))
    return Chip(
        device=snapshot.device,
        taken_ms=snapshot.taken_ms,
        qubits=tuple(
            _qubit(index, qubit, single[index], places[index]) for index, qubit in enumerate(form.qubits)
        ),
        edges=tuple(_edge(gates) for _, gates in sorted(pairs.items())),
    )


def _qubit(index: int, qubit: _Qubit, gates: dict[str, _Gate], at: tuple[float, float]) -> ChipQubit:
    values = {
        name: value
        for name in ("t1_s", "t2_s", "frequency_hz", "readout_s")
        if (value := getattr(qubit, name)) is not None
    }
    bars = {name: bar for name, key in _BARS.items() if (bar := getattr(qubit, key)) is not None}
    if qubit.prob_meas1_prep0 is not None and qubit.prob_meas0_prep1 is not None:
        values["readout_error"] = (qubit.prob_meas1_prep0 + qubit.prob_meas0_prep1) / 2
    sx = gates.get("sx")
    if sx is not None and sx.error is not None:
        values["sx_error"] = sx.error
        if sx.error_bar is not None:
            bars["sx_error"] = sx.error_bar
    return ChipQubit(
        index=index,
        x=at[0],
        y=at[1],
        values=values,
        bars=bars,
        dead=any(gate.is_dead for gate in gates.values()),
    )


def _edge(gates: list[_Gate]) -> ChipEdge:
    # The best of what is known; of equal ones the first by name and direction.
    best = min(gates, key=lambda gate: (2.0 if gate.error is None else gate.error, gate.name, gate.qubits))
    values = {} if best.error is None else {"error": best.error}
    if best.duration_s is not None:
        values["duration_s"] = best.duration_s
    return ChipEdge(
        a=best.qubits[0],
        b=best.qubits[1],
        values=values,
        bars={} if best.error_bar is None else {"error": best.error_bar},
        gate=best.name,
        is_directed=not any(gate.name == best.name and gate.qubits != best.qubits for gate in gates),
        dead=all(gate.is_dead for gate in gates),
    )


def _no_calibration(snapshot: Snapshot, detail: str = "") -> UsageError:
    return UsageError(
        f"snapshot {snapshot.snapshot_id[:12]} of {snapshot.device!r} holds no calibration that can be drawn",
        hint="Take the snapshot of a device that has one.",
        detail=detail,
    )
