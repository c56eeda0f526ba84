"""Choosing how a circuit is simulated, by what it holds and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.emulation import cost
from qmio_jupyter.emulation.cost import Estimate
from qmio_jupyter.emulation.survey import Facts
from qmio_jupyter.errors import ProgramError

#: Shots for which methods are compared, whatever a task asks for: one program has one method, so that its
#: prepared form can be kept, until the task's own shots do not fit.
NOMINAL_SHOTS: Final = 1_000
#: What a user gains by each method, in few words.
_WHY: Final = {
    "density_matrix": "exact with noise, few qubits",
    "statevector": "exact without noise",
    "trajectories": "a state vector per shot, noise drawn at random",
    "stabilizer": "Clifford gates only",
    "matrix_product_state": "little entanglement",
}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How a circuit is simulated.

    Attributes
    ----------
    method : str
        Aer's name: ``density_matrix``, ``statevector``, ``stabilizer``, ``matrix_product_state``.
    form : str
        What is run of a noisy circuit: ``baked`` (channels in the circuit), ``unravelled`` (one trajectory per
        shot), ``twirled`` (Pauli noise), or ``ideal`` (no noise).
    why : str
        The reason, for the result.
    predicted_s : float
        Seconds for the shots and bindings asked for.
    memory_bytes : int
        Bytes beside what a worker has already.
    order : tuple of int
        Active qubits (indices among them) along the chain; empty except for matrix product states.
    estimate : Estimate
        What the prediction is made of.
    framed : bool
        Of stabilizers: whether `frames.Frames` takes it, which is faster than Aer.
    """

    method: str
    form: str
    why: str
    predicted_s: float
    memory_bytes: int
    order: tuple[int, ...]
    estimate: Estimate
    framed: bool = False


def choose(
    facts: Facts,
    *,
    noisy: bool,
    memory_bytes: int,
    seconds: float,
    shots: int = NOMINAL_SHOTS,
    bindings: int = 1,
    speed: float = 1.0,
) -> Choice:
    """Return the method for a circuit compiled for its device.

    Parameters
    ----------
    facts : Facts
        Of the circuit as it will be run, before noise is put in.
    noisy : bool
        Whether the device's noise is wanted.
    memory_bytes : int
        What the run may take beyond what the worker has already.
    seconds : float
        What the run may take, all shots and bindings together.
    shots, bindings : int
        Asked for; every binding takes all shots.
    speed : float
        This machine's speed, relative to the one the constants were measured on (see `cost.measured_speed`).

    Raises
    ------
    ProgramError
        ``program.too_costly``, with prediction, limit and what would fit.
    """
    estimates = cost.estimates(facts, noisy=noisy)
    by_nominal = sorted(estimates, key=lambda e: (e.rank, e.seconds(NOMINAL_SHOTS, 1)))
    for estimate in by_nominal:
        needed = estimate.seconds(shots, bindings) / speed
        if needed <= seconds and estimate.memory_bytes <= memory_bytes:
            return Choice(
                method=estimate.method,
                form=estimate.form,
                why=_WHY[
                    "trajectories"
                    if estimate.form == "unravelled" and estimate.method == "statevector"
                    else estimate.method
                ],
                predicted_s=needed,
                memory_bytes=estimate.memory_bytes,
                order=estimate.order,
                estimate=estimate,
            )
    raise too_costly(facts, estimates, memory_bytes, seconds, shots, bindings, speed)


def too_costly(
    facts: Facts,
    estimates: Sequence[Estimate],
    memory_bytes: int,
    seconds: float,
    shots: int,
    bindings: int,
    speed: float,
) -> ProgramError:
    """Return the refusal of what no method can do in time and memory."""
    best = min(estimates, key=lambda e: (e.memory_bytes > memory_bytes, e.seconds(shots, bindings)))
    return ProgramError(
        f"{facts.active_qubits} qubits would take {best.seconds(shots, bindings) / speed:.3g} s and"
        f" {best.memory_bytes} bytes ({best.method}); allowed are {seconds:g} s and {memory_bytes} bytes",
        hint="Use fewer qubits, fewer gates or fewer shots.",
        code="program.too_costly",
    )
