"""Qmio's calibration files, as the centre publishes them once a day: the current shape and the older, mixed one.

The current shape has the sections ``Qubits``, ``Q1Gates`` and ``Q2Gates(RB)``, seconds and fractions. Older files
have some values under other names as well, or only there: microseconds, nanoseconds, percents, names with spaces
around them, and the section ``Q2Gates``. Where a value is there twice, the newer name is the one believed.

What the files do not say, and this reader adds:

- dt is 0.5 ns; the time is the one in the file's name (taken as UTC);
- readout fidelity F is one number: both directions get the error 1 - F;
- ``x`` is two ``sx`` in a row: twice the duration and, with the error e of one, 2 e (1 - e), which is what the
  polarisation 1 - 2 e of each gives when multiplied (see `twice`);
- ``delay`` and ``reset`` exist on every qubit, without duration and error of their own;
- control flow is what an emulator of the device can do.
"""

from __future__ import annotations

import re
from typing import Final

from qmio_jupyter.calibration.checks import CONTROL_FLOW, check
from qmio_jupyter.calibration.documents import Document, Section, shift
from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit

#: Length of one sample of the control electronics, seconds.
DT_S: Final = 0.5e-9

#: Units, as the decimal places that they are away from SI.
_SI: Final = 0
_NANO: Final = -9
_MICRO: Final = -6
_PERCENT: Final = -2

#: A quantity's names in the files with their unit, newest first.
_Names = tuple[tuple[str, int], ...]
_T1: Final[_Names] = (("T1 (s)", _SI), ("T1", _MICRO))
_T2: Final[_Names] = (("T2 (s)", _SI), ("T2e", _MICRO), ("T2", _MICRO))
_T1_BAR: Final[_Names] = (("T1 error (s)", _SI),)
_T2_BAR: Final[_Names] = (("T2 error (s)", _SI),)
_DRIVE: Final[_Names] = (("Drive Frequency (Hz)", _SI), ("Drive Frequency", _SI))
_MEASURING: Final[_Names] = (
    ("Measuring frequency (Hz)", _SI),
    ("Measuring Frequency (Hz)", _SI),
    ("Measuring frequency", _SI),
)
_READOUT_TIME: Final[_Names] = (("Readout duration (s)", _SI), ("Readout duration", _NANO))
_READOUT: Final[_Names] = (
    ("Readout fidelity (RB)", _SI),
    ("Readout fidelity(RB)", _SI),
    ("Fidelity readout", _SI),
)
_DURATION: Final[_Names] = (
    ("Gate duration (s)", _SI),
    ("Duration (s)", _SI),
    ("Gate duration (ns)", _NANO),
    ("Duration (ns)", _NANO),
    ("duration (ns)", _NANO),
)
_FIDELITY: Final[_Names] = (("Fidelity(RB)", _SI), ("Fidelity", _PERCENT))
_BAR: Final[_Names] = (("Fidelity error", _SI),)

_QUBIT: Final = re.compile(r"q\[(\d{1,4})\]")
_PAIR: Final = re.compile(r"(?:ZXpi/4\[)?(\d{1,4})[-,](\d{1,4})\]?")
#: Largest fidelity that can be a fit's overshoot; above it is another unit.
_HIGHEST: Final = 1.1


def is_qmio(content: object) -> bool:
    """Return whether a decoded document looks like one of Qmio's calibration files, whole or not."""
    return isinstance(content, dict) and "Qubits" in content


def from_qmio(document: Document, *, source: str, taken_ms: int) -> DeviceRecord:
    """Return the record of a Qmio calibration file.

    Parameters
    ----------
    document : Document
        The decoded file.
    source : str
        What the record says of where it comes from.
    taken_ms : int
        When it was measured, milliseconds since the Unix epoch.

    Raises
    ------
    ConfigError
        ``config.calibration``, with the place, for a file that lacks a section, a qubit or a value, or holds one
        that cannot be right.
    """
    top = Section(document.name, "", document.content)
    qubits = _by_qubit(top, "Qubits")
    gates = _by_qubit(top, "Q1Gates")
    if missing := sorted(set(gates) ^ set(qubits)):
        lacking = "Qubits" if len(qubits) < len(gates) else "Q1Gates"
        top.refuse(
            f"a partial calibration: {len(qubits)} qubits in 'Qubits', {len(gates)} in 'Q1Gates'; "
            f"{lacking!r} lacks {_list(missing)}",
            "Take the file of another day.",
        )
    if sorted(qubits) != list(range(len(qubits))):
        top.refuse(f"'Qubits' has {len(qubits)} qubits, and they are not q[0] to q[{len(qubits) - 1}]")
    found: list[Gate] = []
    for index, section in sorted(gates.items()):
        found += _one_qubit_gates(section, index)
    found += _two_qubit_gates(top)
    return check(
        DeviceRecord(
            source=source,
            taken_ms=taken_ms,
            dt_s=DT_S,
            qubits=tuple(_qubit(section) for _, section in sorted(qubits.items())),
            gates=tuple(found),
            control_flow=tuple(sorted(CONTROL_FLOW)),
        ),
        document.name,
    )


def twice(error: float) -> float:
    """Return the error of two equal one-qubit gates in a row, each of average fidelity 1 - `error`.

    A depolarising channel of average fidelity F shrinks the Bloch sphere by p = 2 F - 1; two of them by p squared,
    whose average fidelity is (1 + p**2) / 2 (Nielsen, Phys. Lett. A 303 (2002) 249, for dimension 2).
    """
    return 2 * error * (1 - error)


def _by_qubit(top: Section, name: str) -> dict[int, Section]:
    if name not in top:
        top.refuse(f"a partial calibration: section {name!r} is missing", "Take the file of another day.")
    found: dict[int, Section] = {}
    for key, section in top.section(name).sections():
        match = _QUBIT.fullmatch(key)
        if match is None:
            section.refuse(f"{section.place!r} does not name a qubit, as 'q[3]' does")
        found[int(match[1])] = section
    if not found:
        top.refuse(f"section {name!r} is empty")
    return found


def _qubit(section: Section) -> Qubit:
    fidelity = _fraction(section, _READOUT)
    flip = None if fidelity is None else 1 - fidelity
    return Qubit(
        t1_s=_value(section, _T1),
        t2_s=_value(section, _T2),
        frequency_hz=_value(section, _DRIVE),
        readout_s=_value(section, _READOUT_TIME),
        prob_meas1_prep0=flip,
        prob_meas0_prep1=flip,
        readout_hz=_value(section, _MEASURING, is_needed=False),
        t1_bar_s=_value(section, _T1_BAR, is_needed=False),
        t2_bar_s=_value(section, _T2_BAR, is_needed=False),
    )


def _one_qubit_gates(section: Section, qubit: int) -> list[Gate]:
    gates = {
        gate.name: gate
        for name, inner in section.sections()
        for gate in [_gate(inner, name.lower(), (qubit,))]
    }
    if "x" not in gates and (half := gates.get("sx")) is not None:
        gates["x"] = Gate(
            name="x",
            qubits=(qubit,),
            duration_s=None if half.duration_s is None else 2 * half.duration_s,
            error=None if half.error is None else twice(half.error),
        )
    for name in ("delay", "reset"):
        gates.setdefault(name, Gate(name=name, qubits=(qubit,)))
    return list(gates.values())


def _two_qubit_gates(top: Section) -> list[Gate]:
    newer = "Q2Gates(RB)"
    if newer in top:
        return [
            _pair_gate(inner, name.lower(), edge)
            for edge, section in top.section(newer).sections()
            for name, inner in section.sections()
        ]
    if "Q2Gates" not in top:
        top.refuse(f"a partial calibration: section {newer!r} is missing", "Take the file of another day.")
    return [_pair_gate(section, "ecr", edge) for edge, section in top.section("Q2Gates").sections()]


def _pair_gate(section: Section, name: str, edge: str) -> Gate:
    pair = (section.whole("Control"), section.whole("Target"))
    match = _PAIR.fullmatch(edge)
    if match is None or {int(match[1]), int(match[2])} != set(pair):
        section.refuse(f"{section.place!r} is of control {pair[0]} and target {pair[1]}")
    return _gate(section, name, pair)


def _gate(section: Section, name: str, qubits: tuple[int, ...]) -> Gate:
    fidelity = _fraction(section, _FIDELITY)
    return Gate(
        name=name,
        qubits=qubits,
        duration_s=_value(section, _DURATION),
        error=None if fidelity is None else 1 - fidelity,
        error_bar=_value(section, _BAR, is_needed=False),
    )


def _fraction(section: Section, names: _Names) -> float | None:
    value = _value(section, names)
    if value is not None and not 0 <= value <= _HIGHEST:
        section.refuse(f"{section.place}: a fidelity of {value:g}; it must be a fraction from 0 to 1")
    return value


def _value(section: Section, names: _Names, *, is_needed: bool = True) -> float | None:
    """Return the value under the first of the names that is there, in SI; None where the file says null."""
    for name, places in names:
        if name in section:
            value = section.number(name)
            return None if value is None else shift(value, places)
    if is_needed:
        section.refuse(f"{section.place}: {names[0][0]!r} is missing; write null if it is not known")
    return None


def _list(indices: list[int]) -> str:
    shown = ", ".join(f"q[{index}]" for index in indices[:4])
    return shown if len(indices) <= 4 else f"{shown} and {len(indices) - 4} more"
