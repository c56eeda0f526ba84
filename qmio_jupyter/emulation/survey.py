"""What a circuit holds, as far as it decides how it can be simulated and what that takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from qiskit import QuantumCircuit
from qiskit.circuit import ForLoopOp, Instruction, ParameterExpression, WhileLoopOp

#: Operations that act on no amplitude.
_IDLE: Final = frozenset({"barrier", "break_loop", "continue_loop"})
#: Gates that a stabilizer simulation takes whatever their place; others do for some angles.
CLIFFORD: Final = frozenset(
    {
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
        "pauli",
    }
)
#: Gates of one angle that are Clifford for its multiples of pi / 2.
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
_VIRTUAL: Final = frozenset({"rz", "p", "u1", "z", "s", "sdg", "t", "tdg"})
#: Gates that a rotation about Z may be moved behind. Moved to a measurement it is gone: nobody sees it there.
#: (Noise is no hindrance: depolarisation and relaxation treat all angles about Z alike.)
DIAGONAL: Final = _VIRTUAL | {"cz", "id"}
#: Gates on so many qubits or more are counted together.
_WIDER: Final = 3


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
    one_qubit, two_qubit, wider, delays, resets : int
        Operations that are run: those in loops as often as the loop turns. Resets of qubits that nothing touched
        before are left out: they do nothing.
    virtual : int
        Those of `one_qubit` that are diagonal and take no time on a device (``rz`` and its kin).
    free : int
        Gates with free parameters, run as above.
    measures : int
        Measurements as they stand in the circuit.
    is_branching : bool
        True if something follows a measurement, or depends on one.
    is_dynamic : bool
        True if a state vector must be run for every shot on its own: a branching circuit, or one with resets.
    is_clifford : bool
        True if a stabilizer simulation can take it; False while a parameter is free. Rotations about Z that only
        a measurement follows are not looked at, unless the circuit branches.
    links : tuple of Link
        The gates between qubits in order, loops turned once; one after the other between the same two qubits are
        one link.
    turns : int
        The most often that a link is passed; more than 1 only where there are loops.
    """

    active: tuple[int, ...]
    operations: Counter[str]
    one_qubit: int
    two_qubit: int
    wider: int
    delays: int
    resets: int
    virtual: int
    free: int
    measures: int
    is_branching: bool
    is_dynamic: bool
    is_clifford: bool
    links: tuple[Link, ...]
    turns: int = 1

    @property
    def active_qubits(self) -> int:
        """Number of qubits that something acts on."""
        return len(self.active)

    @property
    def gates(self) -> int:
        """Number of gates that are run."""
        return self.one_qubit + self.two_qubit + self.wider


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
        resets=walk.resets,
        virtual=walk.virtual,
        free=walk.free,
        measures=walk.operations["measure"],
        is_branching=walk.is_branching,
        is_dynamic=walk.is_branching or walk.resets > 0,
        is_clifford=walk.is_clifford and not (walk.is_branching and walk.has_turned),
        links=tuple(Link(tuple(sorted(place[q] for q in qubits)), rank) for qubits, rank in walk.links),
        turns=walk.turns,
    )


class _Walk:
    """One pass over a circuit and its blocks."""

    def __init__(self) -> None:
        self.active: set[int] = set()
        self.touched: set[int] = set()
        self.measured: set[int] = set()
        self.operations: Counter[str] = Counter()
        self.by_width: Counter[int] = Counter()
        self.delays = 0
        self.resets = 0
        self.virtual = 0
        self.free = 0
        self.is_branching = False
        self.is_clifford = True
        #: Qubits with a rotation that is no Clifford gate, and nothing but diagonal gates since.
        self.turned: set[int] = set()
        self.has_turned = False
        self.links: list[tuple[tuple[int, ...], int]] = []
        #: Per qubit, the number of its latest link.
        self.latest: dict[int, int] = {}
        self.turns = 1

    def block(self, circuit: QuantumCircuit, wires: list[int], turns: int) -> None:
        """Take in a circuit whose qubit ``i`` is the outer qubit ``wires[i]``, run `turns` times."""
        index = dict(zip(circuit.qubits, wires, strict=True))
        for instruction in circuit.data:
            name = instruction.name
            self.operations[name] += 1
            qubits = [index[bit] for bit in instruction.qubits]
            if instruction.is_control_flow():
                self.is_branching = True
                operation = instruction.operation
                again = turns * _turns(operation)
                for inner in getattr(operation, "blocks", ()):
                    self.block(inner, qubits, again)
            elif name == "delay":
                self.delays += turns
            elif not qubits:
                self.is_branching = self.is_branching or name == "store"
            elif name not in _IDLE:
                self._act(instruction, qubits, turns)

    def _act(self, instruction: Any, qubits: list[int], turns: int) -> None:
        name = instruction.name
        self.active.update(qubits)
        if name == "reset" and self.touched.isdisjoint(qubits):
            return
        self.is_branching = self.is_branching or not self.measured.isdisjoint(qubits)
        self.touched.update(qubits)
        if name in ("measure", "reset"):
            self.turned.difference_update(qubits)
        if name == "measure":
            self.measured.update(qubits)
        elif name == "reset":
            self.resets += turns
        else:
            self._gate(instruction, qubits, turns)

    def _gate(self, instruction: Any, qubits: list[int], turns: int) -> None:
        name = instruction.name
        angles = instruction.params
        is_free = any(isinstance(angle, ParameterExpression) and angle.parameters for angle in angles)
        self.free += turns if is_free else 0
        if name not in DIAGONAL:
            self.is_clifford = self.is_clifford and self.turned.isdisjoint(qubits)
        if is_free or not _is_clifford(name, angles):
            self.is_clifford = self.is_clifford and not is_free and name in _VIRTUAL
            self.turned.update(qubits)
            self.has_turned = True
        self.by_width[min(len(qubits), _WIDER)] += turns
        if len(qubits) == 1:
            self.virtual += turns if name in _VIRTUAL else 0
        else:
            self.turns = max(self.turns, turns)
            self._link(tuple(qubits), 2 if name in _RANK_TWO else 4 ** (len(qubits) // 2))

    def _link(self, qubits: tuple[int, ...], rank: int) -> None:
        before = {self.latest.get(qubit, -1) for qubit in qubits}
        number = before.pop()
        if not before and number >= 0 and set(self.links[number][0]) == set(qubits):
            self.links[number] = (qubits, min(4 ** (len(qubits) // 2), rank * self.links[number][1]))
            return
        self.latest.update(dict.fromkeys(qubits, len(self.links)))
        self.links.append((qubits, rank))


def _turns(operation: Instruction) -> int:
    """Return how often a block of control flow is run, at the most where that is known."""
    if isinstance(operation, ForLoopOp):
        return max(1, len(list(operation.params[0])))
    return _UNKNOWN_TURNS if isinstance(operation, WhileLoopOp) else 1


def _is_clifford(name: str, angles: Sequence[Any]) -> bool:
    if name in CLIFFORD:
        return True
    if name not in _QUARTERS:
        return False
    angle = angles[0]
    value = float(angle.numeric() if isinstance(angle, ParameterExpression) else angle) / (math.pi / 2)
    return abs(value - round(value)) <= _ROUNDING * max(1.0, abs(value))
