"""What each method of simulation would take for a circuit: seconds and bytes.

Seconds are counted in operations times what one of them took with Aer 0.18.2, one thread, by processor time on one
core of an AMD EPYC server in November 2026; ``tools/bench/methods.py`` measures the same again and
prints predicted over measured. The constants are rounded up, so that most predictions are a little above what comes.
`host_speed` says how this machine compares.

Sizes: a state vector has 2**n amplitudes of 16 bytes, a density matrix 4**n, a matrix product state two matrices of
the bond dimension squared for each qubit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from functools import cache
from typing import Final

import msgspec
import numpy as np

from qmio_jupyter.emulation import chain
from qmio_jupyter.emulation.chain import Chain
from qmio_jupyter.emulation.survey import CLIFFORD, Facts

#: Most qubits of a density matrix: one more is 4 times the time, and it is slower than trajectories before that.
DENSITY_QUBITS: Final = 11
#: Most qubits of a state vector.
VECTOR_QUBITS: Final = 34
#: Qubits up to which nobody needs a matrix product state.
_CHAIN_QUBITS: Final = 8
#: Qubits from which Aer merges gates before it applies them to a state vector.
_FUSED_QUBITS: Final = 14
_AMPLITUDE: Final = 16
_MIB: Final = 2**20
#: What a run takes beside its state, bytes: circuits, results.
_FIXED_BYTES: Final = 4 * _MIB
#: Copies of a state that are there at the same time, on average.
_COPIES: Final = 1.25
#: Bytes per outcome where probabilities are read off, a few times 8; and the most measured qubits that are.
_OUTCOME: Final = 40
_READ_OFF_QUBITS: Final = 22
#: Shots that `frames` runs together, by `drivers.aer.framed`.
_FRAMED_BLOCK: Final = 4_000

#: What stands around gates and is no hindrance to Aer's stabilizers.
_AROUND: Final = frozenset(
    {"measure", "reset", "barrier", "delay", "if_else", "for_loop", "while_loop", "switch_case"}
    | {"break_loop", "continue_loop", "store"}
)

#: Numbers of `host_speed`'s task, and the seconds they took on the machine of the constants.
_TASK: Final = 2**15
_TASK_S: Final = 3.1e-5
_TASK_TURNS: Final = 30
#: A machine is taken for no slower and no faster than this: a short task can be disturbed.
_SPEEDS: Final = (0.25, 4.0)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Prediction for one method.

    Attributes
    ----------
    method, form : str
        See `method.Choice`.
    once_s, per_binding_s, per_shot_s : float
        Seconds: once, for each binding, for each shot of each binding.
    memory_bytes : int
        Bytes at the same time.
    is_exact : bool
        False where the form leaves out a part of the noise (a stabilizer's, see `mixtures.is_cut`).
    order : tuple of int
        See `method.Choice`.
    framed : bool
        Likewise.
    detail : str
        What makes it expensive, for people; may be empty.
    """

    method: str
    form: str
    once_s: float
    per_binding_s: float
    per_shot_s: float
    memory_bytes: int
    is_exact: bool = True
    order: tuple[int, ...] = ()
    framed: bool = False
    detail: str = ""

    def seconds(self, shots: int, bindings: int = 1) -> float:
        """Return seconds for `bindings` times `shots` shots."""
        return self.once_s + bindings * (self.per_binding_s + shots * self.per_shot_s)

    def shots_within(self, seconds: float, bindings: int = 1) -> int:
        """Return how many shots of each binding fit into `seconds`, 0 if none."""
        left = seconds - self.once_s - bindings * self.per_binding_s
        return max(0, math.floor(left / (bindings * self.per_shot_s))) if self.per_shot_s > 0 else 0


def estimates(facts: Facts, *, noisy: bool) -> tuple[Estimate, ...]:
    """Return a prediction for every method that can take the circuit, in no order.

    Parameters
    ----------
    facts : Facts
        Of the circuit, before noise is put in.
    noisy : bool
        Whether noise is wanted.
    """
    found = _noisy(facts) if noisy else _ideal(facts)
    if facts.active_qubits > _CHAIN_QUBITS and not (noisy and facts.wider):
        found.append(_chained(facts, noisy=noisy))
    return tuple(found)


def scaled(found: Iterable[Estimate], speed: float) -> tuple[Estimate, ...]:
    """Return predictions for a machine of another speed, relative to that of the constants."""
    return tuple(
        msgspec.structs.replace(
            one,
            once_s=one.once_s / speed,
            per_binding_s=one.per_binding_s / speed,
            per_shot_s=one.per_shot_s / speed,
        )
        for one in found
    )


@cache
def host_speed() -> float:
    """Return this machine's speed relative to that of the constants, by a task of a few milliseconds.

    The task is what simulations do most: complex numbers multiplied and added, in an array that fits into a core's
    own cache. The fastest of some turns counts, for others may be running.
    """
    values = np.exp(1j * np.arange(_TASK))
    first, second = np.empty_like(values), np.empty_like(values)
    best = math.inf
    for _ in range(_TASK_TURNS):
        began = time.perf_counter()
        # Into arrays that are there already: making new ones would measure the operating system.
        np.multiply(values, 0.6, out=first)
        np.multiply(values[::-1], 0.8j, out=second)
        np.add(first, second, out=first)
        best = min(best, time.perf_counter() - began)
    low, high = _SPEEDS
    return min(high, max(low, _TASK_S / best))


def _noisy(facts: Facts) -> list[Estimate]:
    found = [_trajectories(facts)]
    if facts.active_qubits <= DENSITY_QUBITS and not facts.wider:
        found.append(_density(facts))
    if facts.is_clifford and not facts.wider:
        found.append(_stabilizer(facts, "twirled") if facts.is_branching else _framed(facts, "twirled"))
    return found


def _ideal(facts: Facts) -> list[Estimate]:
    found = [_vector(facts)]
    if facts.is_clifford and not facts.wider:
        if not facts.is_branching and "pauli" not in facts.operations:
            found.append(_framed(facts, "ideal"))
        elif facts.operations.keys() <= CLIFFORD | _AROUND:
            found.append(_stabilizer(facts, "ideal"))
    return found


def _density(facts: Facts) -> Estimate:
    """Predict the exact density matrix: about one superoperator per two-qubit gate, the rest is merged into it."""
    n = facts.active_qubits
    size = 4.0**n
    breaks = facts.operations.total() if facts.is_branching else 0
    pairs = facts.two_qubit * (30e-6 + 8.5e-9 * size)
    singles = (n + 2 * facts.free + facts.resets) * (10e-6 + 9.5e-9 * size)
    # Shot by shot nothing is merged by Aer any more.
    shot = (facts.two_qubit + min(breaks, facts.one_qubit / 3) + facts.measures) * (
        6e-6 + (11e-9 if n > 5 else 5e-9) * size
    )
    return Estimate(
        method="density_matrix",
        form="baked",
        once_s=_preparing(facts),
        per_binding_s=1.5e-3 + (0.0 if facts.is_branching else pairs + singles),
        per_shot_s=shot if facts.is_branching else _DRAWN_S,
        memory_bytes=_bytes(_AMPLITUDE * size * _COPIES + _read_off(facts)),
    )


def _trajectories(facts: Facts) -> Estimate:
    """Predict a state vector per shot, noise drawn."""
    n = facts.active_qubits
    size = 2.0 ** min(n, 200)
    each = 1.9e-6 + (6.2e-9 if n < _FUSED_QUBITS else 5.7e-9) * size
    return Estimate(
        method="statevector",
        form="unravelled",
        once_s=_preparing(facts),
        per_binding_s=2e-3,
        per_shot_s=60e-6 + _operations(facts) * each,
        memory_bytes=_bytes(_AMPLITUDE * size * _COPIES),
        detail=f"2**{n} amplitudes per shot",
    )


def _vector(facts: Facts) -> Estimate:
    """Predict the ideal state vector: once for all shots, or once for each."""
    n = facts.active_qubits
    size = 2.0 ** min(n, 200)
    is_fused = n >= _FUSED_QUBITS
    once = _operations(facts) * ((36e-6 + 0.55e-9 * size) if is_fused else (12e-6 + 1.9e-9 * size))
    shot = 8e-6 + _operations(facts) * (0.45e-6 + (0.7e-9 if is_fused else 2.2e-9) * size)
    return Estimate(
        method="statevector",
        form="ideal",
        once_s=_preparing(facts) / 3,
        per_binding_s=1.2e-3 + (0.0 if facts.is_dynamic else once + 20e-9 * size),
        per_shot_s=shot if facts.is_dynamic else _DRAWN_S,
        memory_bytes=_bytes(_AMPLITUDE * size * _COPIES + _read_off(facts)),
        detail=f"2**{n} amplitudes",
    )


def _framed(facts: Facts, form: str) -> Estimate:
    """Predict `frames`: by places where something may happen, and by what has happened before in the same shot."""
    spots = facts.resets + facts.measures
    if form == "twirled":
        spots += facts.one_qubit - facts.virtual + facts.two_qubit + facts.delays
    each = spots * (1.0 + spots / 1500)
    # Each measured qubit whose outcome is open turns the frame for those after it.
    turned = facts.measures**2
    words = -(-facts.active_qubits // 64)
    return Estimate(
        method="stabilizer",
        form=form,
        once_s=_preparing(facts),
        per_binding_s=120e-6 * each + 8e-6 * turned,
        per_shot_s=_DRAWN_S + (0.1e-6 * each + 0.007e-6 * turned) * words,
        memory_bytes=_bytes(_FRAMED_BLOCK * (spots / 100 + facts.active_qubits) * words * 26),
        is_exact=form == "ideal",
        framed=True,
    )


def _stabilizer(facts: Facts, form: str) -> Estimate:
    """Predict Aer's tableau."""
    n = facts.active_qubits
    shot = 60e-6 + _operations(facts) * (1.1e-6 + 0.046e-6 * n)
    is_sampled = form == "ideal" and not facts.is_dynamic
    return Estimate(
        method="stabilizer",
        form=form,
        once_s=_preparing(facts),
        per_binding_s=2e-3 + (_operations(facts) * 12e-6 if is_sampled else 0.0),
        per_shot_s=0.5e-6 * n if is_sampled else shot,
        memory_bytes=_bytes(n * n / 2),
        is_exact=form == "ideal",
    )


def _chained(facts: Facts, *, noisy: bool) -> Estimate:
    """Predict a matrix product state along the better order of the qubits."""
    found = chain.best(facts.links, facts.active_qubits, facts.turns)
    is_sampled = not noisy and not facts.is_dynamic
    return Estimate(
        method="matrix_product_state",
        form="unravelled" if noisy else "ideal",
        once_s=_preparing(facts),
        per_binding_s=2e-3 + (_chain_once(facts, found) if is_sampled else 0.0),
        per_shot_s=_chain_drawn(facts, found) if is_sampled else _chain_shot(facts, found),
        memory_bytes=_bytes(3 * 2 * _AMPLITUDE * facts.active_qubits * found.bond**2),
        order=found.order,
        detail=f"bond dimension up to {found.bond:.0f}",
    )


def _chain_shot(facts: Facts, found: Chain) -> float:
    each = _operations(facts) * 3.8e-6 + found.steps * 60e-6 + found.cubes * 200e-9
    # Damping in a delay is done with an ancilla at the chain's end (see `unravelling`).
    each += facts.delays * facts.active_qubits * 1.2e-6
    # A measurement on the way brings the chain into another form.
    return 60e-6 + each * (1.7 if facts.is_branching else 1.0)


def _chain_once(facts: Facts, found: Chain) -> float:
    return _operations(facts) * 15e-6 + found.steps * 60e-6 + found.cubes * 120e-9


def _chain_drawn(facts: Facts, found: Chain) -> float:
    return facts.active_qubits * (1.3e-6 + 5e-9 * found.squares)


#: Drawing one shot from probabilities that are there.
_DRAWN_S: Final = 0.3e-6


def _preparing(facts: Facts) -> float:
    """Return seconds of putting noise in and handing over: most of it Python, by operation as it stands."""
    return 5e-3 + 60e-6 * facts.operations.total()


def _operations(facts: Facts) -> int:
    return facts.gates + facts.measures + facts.resets + facts.delays


def _read_off(facts: Facts) -> float:
    """Return bytes of the probabilities of all outcomes, where these are taken."""
    return _OUTCOME * 2.0 ** min(facts.measures, facts.active_qubits, _READ_OFF_QUBITS)


def _bytes(state: float) -> int:
    return int(min(state, 1e30)) + _FIXED_BYTES
