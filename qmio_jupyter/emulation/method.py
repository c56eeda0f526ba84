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
#: A method that leaves nothing out is taken if it needs no more than this, even if another would be faster.
COMFORTABLE_S: Final = 0.3
#: Bytes that are kept free beside a state, at the most as many as the state has; not part of a prediction.
_RESERVE: Final = 64 * 2**20
#: By method and form, why it is taken.
_WHY: Final = {
    ("density_matrix", "baked"): "noise exactly, for few qubits",
    ("statevector", "ideal"): "exact without noise",
    ("statevector", "unravelled"): "one state vector per shot, noise drawn at random",
    ("stabilizer", "ideal"): "Clifford gates only",
    ("stabilizer", "twirled"): "Clifford gates only; noise drawn at random as Paulis and resets",
    ("matrix_product_state", "ideal"): "little entanglement",
    ("matrix_product_state", "unravelled"): "little entanglement; one state per shot, noise drawn at random",
}
_UNITS: Final = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"))
_TIMES: Final = ((86400.0 * 365, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How a circuit is simulated.

    Attributes
    ----------
    method : str
        Aer's name: ``density_matrix``, ``statevector``, ``stabilizer``, ``matrix_product_state``.
    form : str
        What is run of a noisy circuit: ``baked`` (channels in the circuit), ``unravelled`` (one trajectory per
        shot), ``twirled`` (noise as Paulis and resets), or ``ideal`` (no noise).
    why : str
        The reason, for the result.
    predicted_s : float
        Seconds for the shots and bindings asked for.
    memory_bytes : int
        Bytes beside what a worker has already.
    order : tuple of int
        Active qubits (indices among them) along the chain; empty except for matrix product states.
    estimate : Estimate
        What the prediction is made of, for this machine.
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
    speed: float | None = None,
) -> Choice:
    """Return the method for a circuit compiled for its device.

    Methods that leave nothing out come first; one that cuts some T2 (a stabilizer) comes before them only where
    they need more than `COMFORTABLE_S`, and never for programs with delays, which are there to see T1 and T2.

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
    speed : float or None
        This machine's speed, relative to the one the constants were measured on; None: as it was measured here.
        It changes what is refused, never what is preferred.

    Raises
    ------
    ProgramError
        ``program.too_costly``, with prediction, limit and what would fit.
    """
    speed = cost.host_speed() if speed is None else speed
    found = sorted(cost.estimates(facts, noisy=noisy), key=lambda one: _preference(one, facts))
    scaled = cost.scaled(found, speed)
    for estimate in scaled:
        if _fits(estimate, memory_bytes, seconds, shots, bindings):
            return Choice(
                method=estimate.method,
                form=estimate.form,
                why=_why(estimate, facts),
                predicted_s=estimate.seconds(shots, bindings),
                memory_bytes=estimate.memory_bytes,
                order=estimate.order,
                estimate=estimate,
                framed=estimate.framed,
            )
    ideal = cost.scaled(cost.estimates(facts, noisy=False), speed) if noisy else ()
    raise _too_costly(facts, scaled, ideal, (memory_bytes, seconds), (shots, bindings))


def _preference(estimate: Estimate, facts: Facts) -> tuple[bool, float, float]:
    """Return what methods are sorted by."""
    seconds = estimate.seconds(NOMINAL_SHOTS, 1)
    if estimate.is_exact:
        return False, seconds, seconds
    return facts.delays > 0, max(seconds, COMFORTABLE_S), seconds


def _fits(estimate: Estimate, memory_bytes: int, seconds: float, shots: int, bindings: int) -> bool:
    return _has_room(estimate, memory_bytes) and estimate.seconds(shots, bindings) <= seconds


def _has_room(estimate: Estimate, memory_bytes: int) -> bool:
    return estimate.memory_bytes + min(_RESERVE, estimate.memory_bytes) <= memory_bytes


def _why(estimate: Estimate, facts: Facts) -> str:
    why = f"{facts.active_qubits} qubits: {_WHY[estimate.method, estimate.form]}"
    if facts.is_branching and estimate.form in ("ideal", "baked"):
        why += "; shot by shot, for something follows a measurement"
    return f"{why} ({estimate.detail})" if estimate.detail else why


def _too_costly(
    facts: Facts,
    found: Sequence[Estimate],
    ideal: Sequence[Estimate],
    limits: tuple[int, float],
    asked: tuple[int, int],
) -> ProgramError:
    """Return the refusal of what no method can do in time and memory.

    Parameters
    ----------
    facts : Facts
        Of the circuit.
    found, ideal : sequence of Estimate
        As wanted, and without noise (empty if that is what was wanted).
    limits : tuple of int and float
        Bytes and seconds.
    asked : tuple of int
        Shots and bindings.
    """
    memory_bytes, seconds = limits
    shots, bindings = asked
    best = min(found, key=lambda one: (not _has_room(one, memory_bytes), one.seconds(shots, bindings)))
    times = f" for {bindings} bindings" if bindings > 1 else ""
    detail = f", {best.detail}" if best.detail else ""
    return ProgramError(
        f"{facts.active_qubits} qubits with {facts.two_qubit + facts.wider} entangling gates and {shots} shots{times}"
        f" are predicted to take {_time(best.seconds(shots, bindings))} and {_size(best.memory_bytes)}"
        f" ({best.method}{detail}); allowed are {_time(seconds)} and {_size(memory_bytes)}",
        hint=_fitting(found, ideal, limits, asked),
        code="program.too_costly",
    )


def _fitting(
    found: Sequence[Estimate], ideal: Sequence[Estimate], limits: tuple[int, float], asked: tuple[int, int]
) -> str:
    """Return what would fit, as advice."""
    memory_bytes, seconds = limits
    shots, bindings = asked
    advice = []
    fewer = max(
        (one.shots_within(seconds, bindings) for one in found if _has_room(one, memory_bytes)),
        default=0,
    )
    if 0 < fewer < shots:
        advice.append(f"ask for at most {_rounded(fewer)} shots")
    if any(_fits(one, memory_bytes, seconds, shots, bindings) for one in ideal):
        advice.append("run it without noise")
    advice.append("use fewer qubits or entangling gates")
    text = ", or ".join(advice)
    return f"{text[0].upper()}{text[1:]}."


def _rounded(shots: int) -> int:
    """Return a number of shots that is no more, and easily read."""
    scale = int(10 ** max(0, len(str(shots)) - 2))
    return shots // scale * scale


def _time(seconds: float) -> str:
    for unit, name in _TIMES:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s"


def _size(n_bytes: float) -> str:
    for unit, name in _UNITS:
        if n_bytes >= unit:
            return f"{n_bytes / unit:.3g} {name}"
    return f"{n_bytes:.0f} bytes"
