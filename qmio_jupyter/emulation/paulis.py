"""Pauli operators as bit masks, and how Clifford gates turn them: what a stabilizer simulation is made of.

A Pauli operator is ``i**phase * X**x * Z**z``: bit q of the masks `x` and `z` says whether there is an X or Z on
qubit q, all X before all Z. On a basis state: ``X**x Z**z |s> = (-1)**|z & s| |s ^ x>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: How far a matrix element may be from that of a Clifford gate.
_ROUNDING: Final = 1e-9
#: Conjugation tables kept: gates by name and angles.
_TABLES: Final = 4096
_X: Final = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_Z: Final = np.diag([1, -1]).astype(np.complex128)


class Pauli(NamedTuple):
    """``i**phase * X**x * Z**z``, `phase` modulo 4."""

    phase: int
    x: int
    z: int

    def times(self, other: Pauli) -> Pauli:
        """Return the product self * other."""
        swaps = (self.z & other.x).bit_count()
        return Pauli((self.phase + other.phase + 2 * swaps) & 3, self.x ^ other.x, self.z ^ other.z)


IDENTITY: Final = Pauli(0, 0, 0)


class NotCliffordError(ValueError):
    """The gate turns a Pauli operator into something else than a Pauli operator."""


class Frame:
    """A Clifford circuit U as what it makes of every Pauli operator: ``U^ P U``, with ``^`` the adjoint.

    Parameters
    ----------
    n_qubits : int
        Of the circuit, which is empty at first.
    """

    def __init__(self, n_qubits: int) -> None:
        self._x = [Pauli(0, 1 << qubit, 0) for qubit in range(n_qubits)]
        self._z = [Pauli(0, 0, 1 << qubit) for qubit in range(n_qubits)]

    def x(self, qubit: int) -> Pauli:
        """Return ``U^ X U`` of a qubit."""
        return self._x[qubit]

    def z(self, qubit: int) -> Pauli:
        """Return ``U^ Z U`` of a qubit."""
        return self._z[qubit]

    def named(self, name: str, qubit: int) -> Pauli:
        """Return ``U^ P U`` of "I", "X", "Y" or "Z" on a qubit; the phase of Y is left out."""
        if name == "I":
            return IDENTITY
        if name == "X":
            return self._x[qubit]
        return self._z[qubit] if name == "Z" else self._x[qubit].times(self._z[qubit])

    def apply(self, name: str, params: Sequence[float], qubits: Sequence[int]) -> None:
        """Add a gate at the circuit's end.

        Raises
        ------
        NotCliffordError
            If it is none.
        """
        table = conjugated(name, tuple(params))
        made = [self._product(local, qubits) for local in table]
        for place, qubit in enumerate(qubits):
            self._x[qubit], self._z[qubit] = made[2 * place], made[2 * place + 1]

    def _product(self, local: Pauli, qubits: Sequence[int]) -> Pauli:
        made = Pauli(local.phase, 0, 0)
        for place, qubit in enumerate(qubits):
            if local.x >> place & 1:
                made = made.times(self._x[qubit])
        for place, qubit in enumerate(qubits):
            if local.z >> place & 1:
                made = made.times(self._z[qubit])
        return made


@lru_cache(maxsize=_TABLES)
def conjugated(name: str, params: tuple[float, ...]) -> tuple[Pauli, ...]:
    """Return ``G^ P G`` for P = X, Z of each of a standard gate's qubits, in the order X0, Z0, X1, Z1.

    Raises
    ------
    NotCliffordError
        If one of them is no Pauli operator.
    """
    from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping

    known = get_standard_gate_name_mapping().get(name)
    if known is None:
        raise NotCliffordError(f"{name} is no standard gate")
    unitary = np.asarray(known.base_class(*params).to_matrix(), dtype=np.complex128)
    n = known.num_qubits
    return tuple(
        _read(unitary.conj().T @ _on(matrix, place, n) @ unitary, n, name)
        for place in range(n)
        for matrix in (_X, _Z)
    )


def _on(matrix: NDArray[np.complex128], place: int, n: int) -> NDArray[np.complex128]:
    """Return a one-qubit matrix on qubit `place` of `n`, qubit 0 least significant."""
    made = np.kron(np.kron(np.eye(2 ** (n - 1 - place)), matrix), np.eye(2**place))
    return made.astype(np.complex128)


def _read(matrix: NDArray[np.complex128], n: int, name: str) -> Pauli:
    """Return the Pauli operator that a matrix is."""
    x = int(np.argmax(np.abs(matrix[:, 0])))
    states = np.arange(2**n)
    values = matrix[states ^ x, states]
    phase = round(float(np.angle(values[0])) / (np.pi / 2)) & 3
    signs = values / 1j**phase
    z = sum(1 << place for place in range(n) if signs[1 << place].real < 0)
    wanted = 1j**phase * (-1.0) ** np.array([(int(state) & z).bit_count() for state in states])
    if not np.allclose(values, wanted, rtol=0, atol=_ROUNDING):
        raise NotCliffordError(f"{name} is no Clifford gate")
    return Pauli(phase, x, z)
