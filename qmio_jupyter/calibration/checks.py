"""What every record must hold, wherever it comes from: numbers that can be right, gates that exist.

Dirty is not wrong: T2 above 2 T1, an error bar of a hundred seconds, a fidelity a little above 1 or near one half
are what real devices report, and pass. Wrong is what no calculation could use: NaN, a negative time, a qubit that
is not there. One wrong value refuses the whole record, by name: a device with a silent hole would be worse.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Final

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.errors import ConfigError

#: Gates a record may name, by number of qubits: those of Qiskit's standard library that calibrated devices offer.
ONE_QUBIT: Final = frozenset(
    "id x y z h s sdg t tdg sx sxdg rx ry rz p u u1 u2 u3 r reset delay".split()  # noqa: SIM905 - a table of names
)
TWO_QUBITS: Final = frozenset("cx cy cz ch ecr swap iswap dcx csx rxx ryy rzz rzx cp crx cry crz cu".split())  # noqa: SIM905
CONTROL_FLOW: Final = frozenset(
    {"if_else", "for_loop", "while_loop", "switch_case", "break_loop", "continue_loop"}
)

MAX_QUBITS: Final = 4096
MAX_GATES: Final = 50_000
#: Bounds of what is a measured value at all; far outside of every device there is.
MIN_SECONDS: Final = 1e-12
MAX_SECONDS: Final = 1e6
MAX_HERTZ: Final = 1e15
#: A fit may give a fidelity a little above 1; devices report 1 (and some report 2) for gates that do not work.
ERRORS: Final = (-0.1, 2.0)
#: The year 10,000: any later is a wrong unit.
MAX_MS: Final = 253_402_300_800_000

_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_HINT: Final = "Correct it, or take another calibration."


def check(record: DeviceRecord, where: str) -> DeviceRecord:
    """Return the record, its gates sorted, if it can be used; see the module.

    Parameters
    ----------
    record : DeviceRecord
        What was read.
    where : str
        What it was read from, for the error.

    Raises
    ------
    ConfigError
        One line that names the place, the value and what it should be.
    """
    if not _PRINTABLE.fullmatch(record.source):
        raise wrong(where, "'source' must be 1 to 200 printable characters")
    if not 1 <= record.n_qubits <= MAX_QUBITS:
        raise wrong(where, f"{record.n_qubits} qubits; a device has 1 to {MAX_QUBITS}")
    if len(record.gates) > MAX_GATES:
        raise wrong(where, f"{len(record.gates)} gates; at most {MAX_GATES} are read")
    within(record.taken_ms, where, "the time of calibration in ms", low=0, high=MAX_MS)
    within(record.dt_s, where, "dt in seconds", low=1e-15, high=1.0)
    for name in record.control_flow:
        if name not in CONTROL_FLOW:
            raise wrong(where, f"{name!r} is no control flow; known are {', '.join(sorted(CONTROL_FLOW))}")
    for index, qubit in enumerate(record.qubits):
        _check_qubit(qubit, where, f"qubit {index}")
    seen: set[tuple[str, tuple[int, ...]]] = set()
    for gate in record.gates:
        _check_gate(gate, record.n_qubits, where)
        if (gate.name, gate.qubits) in seen:
            raise wrong(where, f"gate {label(gate)} appears twice")
        seen.add((gate.name, gate.qubits))
    return replace(
        record,
        gates=tuple(sorted(record.gates, key=lambda gate: (gate.name, gate.qubits))),
        control_flow=tuple(sorted(set(record.control_flow))),
    )


def label(gate: Gate) -> str:
    """Return a gate as people write it, as ``ecr(3,4)``."""
    return f"{gate.name}({','.join(map(str, gate.qubits))})"


def wrong(where: str, what: str, hint: str = _HINT) -> ConfigError:
    """Return the error of a file, or a snapshot, that cannot be used."""
    return ConfigError(f"{where}: {what}", hint=hint, code="config.calibration")


def within(value: float | None, where: str, what: str, *, low: float, high: float) -> None:
    """Refuse a number outside of the bounds, NaN included; None is not known, and fine."""
    if value is not None and not low <= value <= high:
        raise wrong(where, f"{what} is {value:g}; it must be from {low:g} to {high:g}")


def above_zero(value: float | None, where: str, what: str, *, high: float) -> None:
    """Refuse a number that is not above zero and at most `high`; None is not known, and fine."""
    if value is not None and not 0 < value <= high:
        raise wrong(where, f"{what} is {value:g}; it must be above 0 and at most {high:g}")


def _check_qubit(qubit: Qubit, where: str, name: str) -> None:
    within(qubit.t1_s, where, f"T1 of {name} in seconds", low=MIN_SECONDS, high=MAX_SECONDS)
    within(qubit.t2_s, where, f"T2 of {name} in seconds", low=MIN_SECONDS, high=MAX_SECONDS)
    above_zero(qubit.frequency_hz, where, f"the drive frequency of {name} in hertz", high=MAX_HERTZ)
    above_zero(qubit.readout_hz, where, f"the readout frequency of {name} in hertz", high=MAX_HERTZ)
    within(qubit.readout_s, where, f"the readout duration of {name} in seconds", low=0, high=1.0)
    within(qubit.prob_meas1_prep0, where, f"P(1 | prepared 0) of {name}", low=0, high=1)
    within(qubit.prob_meas0_prep1, where, f"P(0 | prepared 1) of {name}", low=0, high=1)
    within(qubit.t1_bar_s, where, f"the error bar of T1 of {name}", low=0, high=math.inf)
    within(qubit.t2_bar_s, where, f"the error bar of T2 of {name}", low=0, high=math.inf)
    for value in (qubit.t1_bar_s, qubit.t2_bar_s):
        _finite(value, where, f"an error bar of {name}")


def _check_gate(gate: Gate, n_qubits: int, where: str) -> None:
    name = label(gate)
    names = {1: ONE_QUBIT, 2: TWO_QUBITS}.get(len(gate.qubits), frozenset[str]())
    if gate.name not in names:
        raise wrong(
            where,
            f"gate {name[:60]!r} is not known on {len(gate.qubits)} qubits",
            "Use Qiskit's names, as sx, rz, ecr, cz.",
        )
    if len(set(gate.qubits)) != len(gate.qubits):
        raise wrong(where, f"gate {name} names a qubit twice")
    if not all(0 <= qubit < n_qubits for qubit in gate.qubits):
        raise wrong(where, f"gate {name} is on a qubit the device has not: it has 0 to {n_qubits - 1}")
    within(gate.duration_s, where, f"the duration of {name} in seconds", low=0, high=1.0)
    within(gate.error, where, f"the error of {name}", low=ERRORS[0], high=ERRORS[1])
    within(gate.error_bar, where, f"the error bar of {name}", low=0, high=math.inf)
    _finite(gate.error_bar, where, f"the error bar of {name}")


def _finite(value: float | None, where: str, what: str) -> None:
    if value is not None and not math.isfinite(value):
        raise wrong(where, f"{what} is {value:g}; it must be finite")
