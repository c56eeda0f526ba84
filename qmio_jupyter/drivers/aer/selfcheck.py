"""Does Aer's private interface do here what the public one does? Asked by a fork server before its first worker."""

from __future__ import annotations

import os
import signal
from typing import Final

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, Parameter
from qiskit.quantum_info import SuperOp
from qiskit_aer.library import SaveProbabilities
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from qmio_jupyter.drivers.aer import direct
from qmio_jupyter.drivers.aer.direct import Assembled, DirectCircuit, Options, PublicCircuit

#: Seconds after which a check is taken for failed.
_CHILD_S: Final = 60
_SHOTS: Final = 64
_SEED: Final = 20_511
_NAMES: Final = ("a", "b")
#: Two bindings; no value is special for any gate.
_ROWS: Final = np.array([[0.4, -1.3], [2.1, 0.7]])
#: How far probabilities may differ: the same operations in the same order, but bound in two ways.
_ROUNDING: Final = 1e-12


def agrees_in_child() -> bool:
    """Return what `agrees` says in a process of its own: whatever it does, threads included, stays there."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(_CHILD_S)
            code = 0 if agrees() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def agrees() -> bool:
    """Return whether the private way is known and gives what the public one does, run by run. Starts a thread."""
    if not direct.is_known():
        return False
    try:
        return all(_agrees(circuit, options) for circuit, options in _circuits())
    except Exception:  # noqa: BLE001 - whatever a changed interface does, the public one is there
        return False


def _agrees(circuit: QuantumCircuit, options: Options) -> bool:
    ways: list[Assembled] = [
        DirectCircuit(circuit, _NAMES, options),
        PublicCircuit(circuit, _NAMES, options),
    ]
    if not circuit.num_clbits:
        ours, theirs = (np.array(way.probabilities(_ROWS)) for way in ways)
        return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() < _ROUNDING)
    # In the other order too: nothing of one run may be left in the next.
    for row, memory in ((_ROWS[:1], True), (_ROWS[1:], False), (_ROWS[:1], False)):
        ours_, theirs_ = (way.count(row, _SHOTS, _SEED, memory=memory) for way in ways)
        if dict(ours_.counts) != dict(theirs_.counts) or list(ours_.memory) != list(theirs_.memory):
            return False
    return True


def _circuits() -> list[tuple[QuantumCircuit, Options]]:
    a, b = (Parameter(name) for name in _NAMES)
    sampled = QuantumCircuit(3, 3)
    sampled.ry(a + 2 * b, 0)
    sampled.cx(0, 2)
    sampled.rzz(b, 0, 2)
    sampled.rx(a, 2)
    sampled.measure([0, 2], [2, 0])
    saved = QuantumCircuit(2)
    saved.rx(a, 0)
    saved.append(Instruction("superop", 2, 0, [SuperOp(depolarizing_error(0.1, 2)).data]), [1, 0])
    saved.ry(b, 1)
    saved.cx(1, 0)
    saved.append(SaveProbabilities(2), [1, 0])
    dynamic = QuantumCircuit(2, 2)
    dynamic.ry(a, 0)
    dynamic.measure(0, 0)
    with dynamic.if_test((dynamic.clbits[0], 1)):
        dynamic.rx(b, 1)
    dynamic.measure(1, 1)
    noise = NoiseModel()
    noise.add_all_qubit_quantum_error(depolarizing_error(0.2, 1), ["ry", "rx"])
    noise.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.3, 0.7]]))
    return [
        (sampled, Options(method="statevector")),
        (sampled, Options(method="matrix_product_state")),
        (saved, Options(method="density_matrix")),
        (dynamic, Options(method="statevector", noise_model=noise, is_truncated=False)),
    ]
