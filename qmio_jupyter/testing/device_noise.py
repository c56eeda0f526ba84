"""A device's noise by the textbook, from its record: what the emulation's channels are checked against.

After a gate its qubits relax for the gate's duration, each with its T1 and T2 (T2 counts as at most 2 T1). Before
that they are depolarised, with the strength that makes the average gate fidelity of both together the measured
one; not at all where relaxation alone is already worse (M. A. Nielsen, Phys. Lett. A 303, 249 (2002), gives the
average fidelity of a channel with process fidelity F as (d F + 1) / (d + 1)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.calibration.record import DeviceRecord, Gate
from qmio_jupyter.testing.exact import Step

Array = NDArray[Any]


class DeviceNoise:
    """The noise of one record, for `exact.probabilities`.

    Parameters
    ----------
    record : DeviceRecord
        The device.
    physical : sequence of int
        Qubit of the device by qubit of the program.
    """

    def __init__(self, record: DeviceRecord, physical: Sequence[int]) -> None:
        self._qubits = [record.qubits[qubit] for qubit in physical]
        self._gates: dict[tuple[str, tuple[int, ...]], Gate] = {(g.name, g.qubits): g for g in record.gates}
        self._physical = tuple(physical)

    def __call__(self, step: Step) -> Sequence[tuple[Array, tuple[int, ...]]]:
        """Return the channels that follow a step."""
        if step.name == "delay":
            return [(self.relaxation(step.qubits[0], step.seconds), step.qubits)]
        where = tuple(self._physical[qubit] for qubit in step.qubits)
        gate = self._gates.get((step.label, where))
        if gate is None:
            if step.name == "gate":
                raise AssertionError(f"the device has no {step.label} on {where}")
            return []
        seconds = gate.duration_s or 0.0
        relaxed = [self.relaxation(qubit, seconds) for qubit in step.qubits]
        return [
            (depolarising(strength(gate.error or 0.0, relaxed), len(relaxed)), step.qubits),
            *((channel, (qubit,)) for channel, qubit in zip(relaxed, step.qubits, strict=True)),
        ]

    def relaxation(self, qubit: int, seconds: float) -> Array:
        """Return amplitude and phase damping of a qubit for a time, shape (2, 2, 2, 2): S[k', b', k, b]."""
        known = self._qubits[qubit]
        t1 = math.inf if known.t1_s is None else known.t1_s
        t2 = min(math.inf if known.t2_s is None else known.t2_s, 2 * t1)
        channel = np.zeros((2, 2, 2, 2))
        stays = math.exp(-seconds / t1)
        channel[0, 0, 0, 0] = 1.0
        channel[1, 1, 1, 1] = stays
        channel[0, 0, 1, 1] = 1.0 - stays
        channel[0, 1, 0, 1] = channel[1, 0, 1, 0] = math.exp(-seconds / t2)
        return channel

    def readout(self) -> dict[int, Array]:
        """Return the probabilities [prepared, measured] of every qubit."""
        made = {}
        for index, qubit in enumerate(self._qubits):
            up, down = qubit.prob_meas1_prep0 or 0.0, qubit.prob_meas0_prep1 or 0.0
            made[index] = np.array([[1 - up, up], [down, 1 - down]])
        return made


def strength(error: float, relaxed: Sequence[Array]) -> float:
    """Return how much is to be depolarised beside relaxation for an average gate error of `error`.

    Full depolarising has average fidelity 1/d, so with a share p of it ``1 - error = (1 - p) F + p / d``.
    """
    d = 2 ** len(relaxed)
    # The process fidelity of a product is the product of the process fidelities: that of S is tr(S) / d**2.
    process = math.prod(float(np.einsum("abab->", channel)) / 4 for channel in relaxed)
    fidelity = (d * process + 1) / (d + 1)
    return float(max(0.0, (fidelity - (1 - error)) / (fidelity - 1 / d)))


def depolarising(share: float, qubits: int) -> Array:
    """Return the channel that replaces a state by the maximally mixed one with probability `share`."""
    d = 2**qubits
    same = np.einsum("ac,bd->abcd", np.eye(d), np.eye(d))
    mixed = np.einsum("ab,cd->abcd", np.eye(d), np.eye(d)) / d
    made: Array = (1 - share) * same + share * mixed
    return made
