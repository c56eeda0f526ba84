"""What a circuit holds, as far as it decides how it can be simulated and what that takes."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Final

import msgspec
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, ForLoopOp, Instruction, ParameterExpression, WhileLoopOp

#: Operations that act on no amplitude.
_IDLE: Final = frozenset({"barrier", "break_loop", "continue_loop"})
#: Gates that a stabilizer simulation takes whatever their place; others do for some angles.
_CLIFFORD: Final = frozenset(
    {
        *(
            "id",
            "x",
            "y",
            "z",
            "h",
            "s",
            "sdg",
            "sx",
            "sxdg",
            "cx",
            "cy",
            "cz",
            "swap",
            "iswap",
            "ecr",
            "dcx",
        ),
        *("pauli", "measure", "reset", "delay", "global_phase"),
    }
)
#: Gates of one angle that are Clifford for its multiples of a half turn of pi.
_QUARTERS: Final = frozenset({"rz", "p", "u1", "rx", "ry", "rzz", "rxx", "ryy", "rzx"})
#: Relative deviation of an angle from a multiple of pi/2 that is rounding.
_ROUNDING: Final = 1e-9
#: Two-qubit gates whose operator Schmidt rank is 2; every other may have 4.
_RANK_TWO: Final = frozenset(
    {"cx", "cy", "cz", "ch", "cs", "csdg", "csx", "cp", "cu1", "crx", "cry", "crz", "cu", "cu3", "ecr"}
    | {"rzz", "rxx", "ryy", "rzx"}
)
#: Turns of a loop whose end nobody knows before it runs.
_UNKNOWN_TURNS: Final = 10


class Link(msgspec.Struct, frozen=True, array_like=True):
    """A gate between qubits: what may entangle them.

    `qubits` are indices among the active ones, sorted; `rank` is the largest operator Schmidt rank.
    """

    qubits: tuple[int, ...]
    rank: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the choice of a method rests on.

    Attributes
    ----------
    active : tuple of int
        Indices of the qubits that something acts on (a delay alone is nothing), ascending.
    operations : Counter
        Operations by name as they stand in the circuit, blocks of control flow included.
    one_qubit, two_qubit, wider, delays : int
        Operations that are run: those in loops as often as the loop turns.
    virtual : int
        Those of `one_qubit` that are diagonal and take no time on a device (``rz`` and its kin).
    resets, measures : int
        Likewise.
    is_dynamic : bool
        True if something happens after a measurement or depends on one, or a qubit is reset: every shot is run
        on its own.
    is_clifford : bool
        True if a stabilizer simulation can take it; False while a parameter is free.
    links : tuple of Link
        The gates between qubits in order, loops turned once: see `turns`.
    turns : int
        The most often that a link is passed; more than 1 only where there are loops.
    """

    active: tuple[int, ...]
    operations: Counter[str]
    one_qubit: int
    two_qubit: int
    wider: int
    delays: int
    virtual: int
    resets: int
    measures: int
    is_dynamic: bool
    is_clifford: bool
    links: tuple[Link, ...]
    turns: int = 1

    @property
    def active_qubits(self) -> int:
        """Number of qubits that something acts on."""
        return len(self.active)


def survey(circuit: QuantumCircuit) -> Facts:
    """Return what a circuit holds, blocks of control flow included."""
    walk = _Walk()
    walk.block(circuit, list(range(circuit.num_qubits)), 1)
    active = tuple(sorted(walk.active))
    place = {qubit: index for index, qubit in enumerate(active)}
    return Facts(
        active=active,
        operations=walk.operations,
        one_qubit=walk.by_width[1],
        two_qubit=walk.by_width[2],
        wider=walk.by_width[3],
        delays=walk.delays,
        virtual=walk.virtual,
        resets=walk.resets,
        measures=walk.operations["measure"],
        is_dynamic=walk.is_dynamic,
        is_clifford=walk.is_clifford,
        links=tuple(Link(tuple(sorted(place[q] for q in qubits)), rank) for qubits, rank in walk.links),
        turns=walk.turns,
    )


class _Walk:
    """One pass over a circuit and its blocks."""

    def __init__(self) -> None:
        self.active: set[int] = set()
        self.measured: set[int] = set()
        self.operations: Counter[str] = Counter()
        self.by_width: Counter[int] = Counter()
        self.delays = 0
        self.virtual = 0
        self.resets = 0
        self.is_dynamic = False
        self.is_clifford = True
        self.links: list[tuple[tuple[int, ...], int]] = []
        self.turns = 1

    def block(self, circuit: QuantumCircuit, wires: list[int], turns: int) -> None:
        """Take in a circuit whose qubit ``i`` is the outer qubit ``wires[i]``, run `turns` times."""
        index = {bit: wire for bit, wire in zip(circuit.qubits, wires, strict=True)}
        for instruction in circuit.data:
            operation = instruction.operation
            qubits = [index[bit] for bit in instruction.qubits]
            self.operations[operation.name] += 1
            if isinstance(operation, ControlFlowOp):
                self.is_dynamic = True
                again = turns * _turns(operation)
                for inner in operation.blocks:
                    self.block(inner, qubits, again)
            elif operation.name == "delay":
                self.delays += turns
            elif operation.name not in _IDLE:
                self._act(operation, qubits, turns)

    def _act(self, operation: Any, qubits: list[int], turns: int) -> None:
        name = operation.name
        self.is_dynamic = self.is_dynamic or name == "reset" or not self.measured.isdisjoint(qubits)
        self.active.update(qubits)
        if name == "measure":
            self.measured.update(qubits)
            return
        if name == "reset":
            self.resets += turns
            return
        self.is_clifford = self.is_clifford and _is_clifford(operation)
        self.by_width[min(len(qubits), 3)] += turns
        if len(qubits) == 1:
            self.virtual += turns if name in ("rz", "p", "u1", "z", "s", "sdg", "t", "tdg") else 0
        elif qubits:
            self.turns = max(self.turns, turns)
            self.links.append((tuple(qubits), 2 if name in _RANK_TWO else 4 ** (len(qubits) // 2)))


def _turns(operation: Instruction) -> int:
    """Return how often a block of control flow is run, at the most where that is known."""
    if isinstance(operation, ForLoopOp):
        return max(1, len(list(operation.params[0])))
    return _UNKNOWN_TURNS if isinstance(operation, WhileLoopOp) else 1


def _is_clifford(operation: Any) -> bool:
    name = operation.name
    if name in _CLIFFORD:
        return True
    if name not in _QUARTERS:
        return False
    angle = operation.params[0]
    if isinstance(angle, ParameterExpression):
        return False
    quarters = float(angle) / (math.pi / 2)
    return abs(quarters - round(quarters)) <= _ROUNDING * max(1.0, abs(quarters))
