"""Exact outcome probabilities of small programs, by nothing but linear algebra: what simulators are checked against.

No simulator's code is in it. Without noise each branch of classical outcomes is a state vector, with noise a
density matrix; measurements that nothing follows are read off the diagonal at the end.

Qubit 0 and bit 0 are the least significant, and so is the first qubit of a matrix (Qiskit's order).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: Probabilities below this are rounding.
_NOTHING = 1e-14


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a program.

    Attributes
    ----------
    name : str
        ``gate``, ``measure``, ``reset``, ``delay``, ``if`` or ``set``.
    qubits : tuple of int
        Which it acts on; the first is the matrix's least significant.
    matrix : array, shape (2**k, 2**k), or None
        Of a gate.
    bit : int
        Classical bit of a measurement, or the one that is set.
    label : str
        The gate's name, for the noise that follows it.
    seconds : float
        Of a delay.
    condition : tuple of (tuple of int, int)
        Of an ``if``: bits, least significant first, and the value they must have. Of a ``set``: bits whose parity the
        bit becomes, turned over if the value is 1.
    inner : tuple of Step
        Of an ``if``.
    """

    name: str
    qubits: tuple[int, ...] = ()
    matrix: Array | None = None
    bit: int = -1
    label: str = ""
    seconds: float = 0.0
    condition: tuple[tuple[int, ...], int] = ((), 0)
    inner: tuple[Step, ...] = field(default=())


#: The noise after a step: channels as tensors S[k', b', k, b] (ket and bra, after and before) with their qubits.
Noise = Callable[[Step], Sequence[tuple[Array, tuple[int, ...]]]]


def probabilities(
    steps: Sequence[Step],
    n_qubits: int,
    *,
    noise: Noise | None = None,
    readout: Mapping[int, Array] | None = None,
) -> dict[int, float]:
    """Return the probability of every outcome that has one, by its number.

    Parameters
    ----------
    steps : sequence of Step
        The program; all qubits begin in 0, all bits too.
    n_qubits : int
        Number of qubits.
    noise : callable, optional
        Gives the channels that follow a step; None: no noise, and state vectors.
    readout : mapping of int to array, shape (2, 2), optional
        By qubit: probability of [prepared, measured].
    """
    early, late = _split(steps)
    state = np.zeros((2,) * (n_qubits if noise is None else 2 * n_qubits), dtype=complex)
    state[(0,) * state.ndim] = 1.0
    branches: list[tuple[int, Array]] = [(0, state)]
    errors = readout or {}
    for step in early:
        branches = [
            made for bits, found in branches for made in _do(step, bits, found, n_qubits, noise, errors)
        ]
        branches = _merged(branches) if noise is not None else branches
    found = defaultdict[int, float](float)
    for bits, state in branches:
        for outcome, probability in _read(state, n_qubits, late, errors, is_mixed=noise is not None):
            found[bits & ~sum(1 << s.bit for s in late) | outcome] += probability
    return {outcome: float(p) for outcome, p in found.items() if p > _NOTHING}


def _split(steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """Return the steps, and the measurements among them that nothing follows."""
    early: list[Step] = []
    late: list[Step] = []
    qubits: set[int] = set()
    bits: set[int] = set()
    for step in reversed(steps):
        if step.name == "measure" and step.qubits[0] not in qubits and step.bit not in bits:
            late.append(step)
        else:
            early.append(step)
        for part in _parts(step):
            qubits.update(part.qubits)
            bits.update(part.condition[0] if part.bit < 0 else (*part.condition[0], part.bit))
    return early[::-1], late[::-1]


def _parts(step: Step) -> Iterable[Step]:
    """Return a step and all that is inside it."""
    yield step
    for inner in step.inner:
        yield from _parts(inner)


def _do(
    step: Step,
    bits: int,
    state: Array,
    n: int,
    noise: Noise | None,
    readout: Mapping[int, Array],
) -> Iterable[tuple[int, Array]]:
    match step.name:
        case "if":
            value = sum((bits >> bit & 1) << index for index, bit in enumerate(step.condition[0]))
            branches = [(bits, state)]
            for inner in step.inner if value == step.condition[1] else ():
                branches = [b for old, s in branches for b in _do(inner, old, s, n, noise, readout)]
            return branches
        case "set":
            value = (sum(bits >> bit & 1 for bit in step.condition[0]) + step.condition[1]) & 1
            return [(bits & ~(1 << step.bit) | value << step.bit, state)]
        case "measure":
            (qubit,) = step.qubits
            error = readout.get(qubit, np.eye(2))
            made = []
            for true in (0, 1):
                kept = _project(state, qubit, true, n)
                for told in (0, 1):
                    if error[true, told] > 0 and _weight(kept, n) > _NOTHING:
                        scale = error[true, told] if kept.ndim > n else np.sqrt(error[true, told])
                        made.append((bits & ~(1 << step.bit) | told << step.bit, kept * scale))
            return made
        case "reset":
            zero, one = (_project(state, step.qubits[0], value, n) for value in (0, 1))
            one = _apply(one, np.array([[0, 1], [1, 0]]), step.qubits, n)
            if state.ndim > n:
                return [(bits, _noisy(zero + one, step, n, noise))]
            return [(bits, part) for part in (zero, one) if _weight(part, n) > _NOTHING]
        case _:
            if step.matrix is not None:
                state = _apply(state, step.matrix, step.qubits, n)
            return [(bits, _noisy(state, step, n, noise))]


def _noisy(state: Array, step: Step, n: int, noise: Noise | None) -> Array:
    for channel, qubits in noise(step) if noise is not None else ():
        k = len(qubits)
        axes = _axes(qubits, n)
        both = (*axes, *(n + axis for axis in axes))
        tensor = np.asarray(channel).reshape((2,) * (4 * k))
        state = np.tensordot(tensor, state, axes=(range(2 * k, 4 * k), both))
        state = np.moveaxis(state, range(2 * k), both)
    return state


def _axes(qubits: Sequence[int], n: int) -> tuple[int, ...]:
    """Return the axes of qubits, the most significant first, as a matrix's indices are."""
    return tuple(n - 1 - qubit for qubit in reversed(qubits))


def _apply(state: Array, matrix: Array, qubits: Sequence[int], n: int) -> Array:
    k = len(qubits)
    axes = _axes(qubits, n)
    tensor = np.asarray(matrix, dtype=complex).reshape((2,) * (2 * k))
    state = np.moveaxis(np.tensordot(tensor, state, axes=(range(k, 2 * k), axes)), range(k), axes)
    if state.ndim > n:
        bra = tuple(n + axis for axis in axes)
        state = np.tensordot(tensor.conj(), state, axes=(range(k, 2 * k), bra))
        state = np.moveaxis(state, range(k), bra)
    return state


def _project(state: Array, qubit: int, value: int, n: int) -> Array:
    kept = np.zeros_like(state)
    index: list[Any] = [slice(None)] * state.ndim
    index[n - 1 - qubit] = value
    if state.ndim > n:
        index[2 * n - 1 - qubit] = value
    kept[tuple(index)] = state[tuple(index)]
    return kept


def _weight(state: Array, n: int) -> float:
    if state.ndim == n:
        return float(np.vdot(state, state).real)
    return float(np.trace(state.reshape(2**n, 2**n)).real)


def _merged(branches: Iterable[tuple[int, Array]]) -> list[tuple[int, Array]]:
    sums: dict[int, Array] = {}
    for bits, state in branches:
        sums[bits] = sums[bits] + state if bits in sums else state
    return list(sums.items())


def _read(
    state: Array, n: int, late: Sequence[Step], readout: Mapping[int, Array], *, is_mixed: bool
) -> Iterable[tuple[int, float]]:
    """Return what the measurements at the end give, with probabilities."""
    flat = np.real(np.diagonal(state.reshape(2**n, 2**n))) if is_mixed else np.abs(state.reshape(-1)) ** 2
    diagonal = flat.reshape((2,) * n)
    for step in late:
        (qubit,) = step.qubits
        axis = n - 1 - qubit
        if qubit in readout:
            diagonal = np.moveaxis(np.tensordot(readout[qubit].T, diagonal, axes=(1, axis)), 0, axis)
    flat = diagonal.reshape(-1)
    for index in np.flatnonzero(flat > _NOTHING):
        outcome = sum((int(index) >> step.qubits[0] & 1) << step.bit for step in late)
        yield outcome, float(flat[index])
