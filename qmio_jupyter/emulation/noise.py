"""The noise of a device: one channel per gate and qubits, relaxation while nothing happens, readout errors.

What each is made of is Aer's ``NoiseModel.from_backend``, so that a user can check it against the model she knows:
a gate's error is depolarisation followed by thermal relaxation for its duration; T2 above 2 T1 counts as 2 T1; a
gate error that relaxation alone exceeds adds nothing; only unitary gates depolarise; the environment is cold.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit import Gate as QiskitGate
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit, is_dead
from qmio_jupyter.emulation import channels
from qmio_jupyter.errors import ProgramError

#: A gate of a device: Qiskit's name and the physical qubits it acts on, in order.
Place = tuple[str, tuple[int, ...]]

#: Relaxation is emulated on gates of at most this many qubits; the devices have no larger ones.
_MOST_QUBITS: Final = 2
#: Entries kept for durations of delays: programs sweep them.
_DELAYS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gate's channel is made of: depolarisation on all its qubits, then relaxation of each.

    Attributes
    ----------
    depolarising : float
        p of rho -> (1 - p) rho + p I / d.
    lost, faded : tuple of float
        1 - exp(-t / T1) and 1 - exp(-t / T2) of each qubit, in the gate's order; 0 where there is no relaxation.
    """

    depolarising: float
    lost: tuple[float, ...]
    faded: tuple[float, ...]

    @property
    def is_ideal(self) -> bool:
        """True where nothing happens."""
        return not (self.depolarising or any(self.lost) or any(self.faded))


@dataclass(frozen=True, slots=True)
class _Family:
    """All working gates of one name, computed together."""

    index: dict[tuple[int, ...], int]
    depolarising: NDArray[np.float64]
    #: Shape (gates, qubits of one gate).
    lost: NDArray[np.float64]
    faded: NDArray[np.float64]
    #: Average infidelity of the relaxation alone.
    limit: NDArray[np.float64]
    #: Average infidelity of the whole.
    infidelity: NDArray[np.float64]
    channels: NDArray[np.complex128]


@dataclass(slots=True)
class NoiseBook:
    """All channels of one record, computed when first asked for and kept.

    Parameters
    ----------
    record : DeviceRecord
        What was measured.
    """

    record: DeviceRecord
    _t1: NDArray[np.float64] = field(init=False)
    _t2: NDArray[np.float64] = field(init=False)
    #: Working gates by name and qubits.
    _gates: dict[str, dict[tuple[int, ...], Gate]] = field(init=False)
    _families: dict[str, _Family] = field(init=False, default_factory=dict[str, _Family])
    _delays: dict[tuple[int, float], NDArray[np.complex128]] = field(
        init=False, default_factory=dict[tuple[int, float], NDArray[np.complex128]]
    )

    def __post_init__(self) -> None:
        times = [_times(qubit) for qubit in self.record.qubits]
        self._t1 = np.array([t1 for t1, _ in times], dtype=np.float64)
        self._t2 = np.array([t2 for _, t2 in times], dtype=np.float64)
        self._gates = {}
        for gate in self.record.gates:
            if not is_dead(gate):
                self._gates.setdefault(gate.name, {})[gate.qubits] = gate

    def channel(self, name: str, qubits: Sequence[int]) -> NDArray[np.complex128] | None:
        """Return the error that follows a gate, None if there is none.

        Parameters
        ----------
        name : str
            Qiskit's name.
        qubits : sequence of int
            Physical qubits, in the gate's order.

        Returns
        -------
        ndarray, shape (4**n, 4**n), read-only
            Column-stacking superoperator, the gate's first qubit least significant.

        Raises
        ------
        ProgramError
            ``program.unsupported`` if the device has no such gate there.
        """
        if self.terms(name, qubits).is_ideal:
            return None
        family, row = self._find(name, qubits)
        made: NDArray[np.complex128] = family.channels[row]
        return made

    def terms(self, name: str, qubits: Sequence[int]) -> Terms:
        """Return what the error after a gate is made of; parameters, errors as for `channel`."""
        family, row = self._find(name, qubits)
        return Terms(
            depolarising=float(family.depolarising[row]),
            lost=tuple(map(float, family.lost[row])),
            faded=tuple(map(float, family.faded[row])),
        )

    def infidelity(self, name: str, qubits: Sequence[int]) -> float:
        """Return 1 - average gate fidelity of what is emulated; parameters, errors as for `channel`."""
        family, row = self._find(name, qubits)
        return float(family.infidelity[row])

    def relaxation(self, qubit: int, seconds: float) -> NDArray[np.complex128] | None:
        """Return what `seconds` of waiting do to a physical qubit, None if nothing: shape (4, 4), read-only."""
        terms = self.waiting(qubit, seconds)
        if terms.is_ideal:
            return None
        key = (qubit, seconds)
        made = self._delays.get(key)
        if made is None:
            made = channels.relaxations(np.array(terms.lost[0]), np.array(terms.faded[0]))
            made.flags.writeable = False
            if len(self._delays) >= _DELAYS:
                self._delays.clear()
            self._delays[key] = made
        return made

    def waiting(self, qubit: int, seconds: float) -> Terms:
        """Return what a physical qubit's waiting is made of; nothing is depolarised.

        Raises
        ------
        ProgramError
            ``program.unsupported`` for a time that is negative or no number.
        """
        if not (math.isfinite(seconds) and seconds >= 0.0):
            raise ProgramError(
                f"a delay of {seconds} s on qubit {qubit}",
                hint="Use durations from 0.",
                code="program.unsupported",
            )
        return Terms(
            depolarising=0.0,
            lost=(-math.expm1(-seconds / self._t1[qubit]),),
            faded=(-math.expm1(-seconds / self._t2[qubit]),),
        )

    def readout(self, qubit: int) -> NDArray[np.float64] | None:
        """Return P[prepared, measured] of a physical qubit, None if it is not known or there is no error."""
        errors = _readout(self.record.qubits[qubit])
        if errors is None or errors == (0.0, 0.0):
            return None
        up, down = errors
        return np.array([[1.0 - up, up], [down, 1.0 - down]])

    def remarks(self, gates: Iterable[Place], qubits: Iterable[int]) -> tuple[tuple[str, str], ...]:
        """Return where the emulation departs from the measured values, as (what, which qubits or gates).

        Parameters
        ----------
        gates : iterable of Place
            Gates that a program uses.
        qubits : iterable of int
            Physical qubits that it uses.
        """
        used = sorted(set(qubits))
        said: list[tuple[str, str]] = []
        capped = [q for q in used if _is_capped(self.record.qubits[q])]
        if capped:
            said.append(("t2_capped", f"T2 is above 2 T1, emulated with 2 T1: {_listed(capped)}"))
        unusable = [q for q in used if _is_unusable(self.record.qubits[q])]
        if unusable:
            said.append(("not_usable", f"values that no qubit has, not emulated: {_listed(unusable)}"))
        limited = [place for place in sorted(set(gates)) if self._is_below_limit(*place)]
        if limited:
            shown = ", ".join(f"{name} {'-'.join(map(str, where))}" for name, where in limited)
            said.append(
                ("coherence_limit", f"error below what T1 and T2 alone make, emulated with these: {shown}")
            )
        return tuple(said)

    def _is_below_limit(self, name: str, qubits: tuple[int, ...]) -> bool:
        error = self._gates[name][qubits].error
        if error is None or not _is_unitary(name):
            return False
        family, row = self._find(name, qubits)
        return bool(family.limit[row] > 0.0 and error <= family.limit[row])

    def _find(self, name: str, qubits: Sequence[int]) -> tuple[_Family, int]:
        """Return a gate's family and its row there."""
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = self._compute(name)
        row = family.index.get(tuple(qubits))
        if row is None:
            raise ProgramError(
                f"the device has no {name} on {', '.join(map(str, qubits))}",
                hint="Compile it for this device.",
                code="program.unsupported",
            )
        return family, row

    def _compute(self, name: str) -> _Family:
        gates = list(self._gates.get(name, {}).values())
        index = {gate.qubits: row for row, gate in enumerate(gates)}
        n = len(gates[0].qubits) if gates else 1
        which = np.array([gate.qubits for gate in gates], dtype=np.intp).reshape(-1, n)
        duration = np.array([_duration(gate) for gate in gates], dtype=np.float64)[:, None]
        lost = channels.decayed(duration, self._t1[which])
        faded = channels.decayed(duration, self._t2[which])
        made = channels.relaxations(lost[:, 0], faded[:, 0])
        if n == _MOST_QUBITS:
            made = channels.side_by_side(made, channels.relaxations(lost[:, 1], faded[:, 1]))
        fidelity = channels.average_fidelity(made)
        if _is_unitary(name):
            errors = np.array([math.nan if gate.error is None else gate.error for gate in gates])
            depolarising = channels.depolarising_parts(errors, fidelity, 2**n)
        else:
            depolarising = np.zeros(len(gates))
        made = channels.depolarised(made, depolarising)
        made.flags.writeable = False
        return _Family(
            index=index,
            depolarising=depolarising,
            lost=lost,
            faded=faded,
            limit=1.0 - fidelity,
            infidelity=1.0 - channels.average_fidelity(made),
            channels=made,
        )


def _times(qubit: Qubit) -> tuple[float, float]:
    """Return T1 and T2 as they are emulated, seconds: infinite where not known, T2 at most 2 T1."""
    t1 = _positive(qubit.t1_s)
    t2 = _positive(qubit.t2_s)
    if t1 is None:
        return math.inf, math.inf if t2 is None else t2
    return t1, 2 * t1 if t2 is None else min(t2, 2 * t1)


def _positive(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) and value > 0.0 else None


def _duration(gate: Gate) -> float:
    """Return a gate's duration, seconds, 0 where it is not known. A delay's is its argument."""
    return 0.0 if gate.name == "delay" else _positive(gate.duration_s) or 0.0


def _readout(qubit: Qubit) -> tuple[float, float] | None:
    """Return P(1 | prepared 0) and P(0 | prepared 1), None unless both are probabilities."""
    up, down = qubit.prob_meas1_prep0, qubit.prob_meas0_prep1
    if up is None or down is None or not (0.0 <= up <= 1.0 and 0.0 <= down <= 1.0):
        return None
    return up, down


def _is_capped(qubit: Qubit) -> bool:
    t1, t2 = _positive(qubit.t1_s), _positive(qubit.t2_s)
    return t1 is not None and t2 is not None and t2 > 2 * t1


def _is_unusable(qubit: Qubit) -> bool:
    """Return whether something was given that is no time or no probability."""
    return any(value is not None and _positive(value) is None for value in (qubit.t1_s, qubit.t2_s)) or (
        qubit.readout_error is not None and _readout(qubit) is None
    )


@cache
def _is_unitary(name: str) -> bool:
    """Return whether Qiskit knows an operation as a gate."""
    return isinstance(get_standard_gate_name_mapping().get(name), QiskitGate)


def _listed(qubits: Sequence[int]) -> str:
    return ", ".join(f"qubit {qubit}" for qubit in qubits)
