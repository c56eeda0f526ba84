"""A small reader of OpenQASM 2 for checks: no code of Qiskit's, and no more of the language than programs use."""

from __future__ import annotations

import ast
import cmath
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.testing.exact import Step

Array = NDArray[Any]

_CALL: Final = re.compile(r"(\w+)\s*(?:\((.*)\))?\s+(.*)$", re.DOTALL)
_PLACE: Final = re.compile(r"(\w+)\s*(?:\[\s*(\d+)\s*\])?$")
_GATE: Final = re.compile(r"gate\s+(\w+)\s*(?:\(([^)]*)\))?\s*([^{]*)\{([^}]*)\}", re.DOTALL)
_BINARY: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.BitXor: math.pow,  # OpenQASM 2 writes a power as ^
}


def rotation(theta: float, phi: float, lam: float) -> Array:
    """Return the general gate of one qubit, U(theta, phi, lambda)."""
    cos, sin = math.cos(theta / 2), math.sin(theta / 2)
    return np.array(
        [[cos, -cmath.exp(1j * lam) * sin], [cmath.exp(1j * phi) * sin, cmath.exp(1j * (phi + lam)) * cos]]
    )


def phase(angle: float) -> Array:
    """Return diag(1, exp(i angle))."""
    return np.diag([1, cmath.exp(1j * angle)])


def controlled(matrix: Array) -> Array:
    """Return a gate under the control of one more qubit, which comes first (least significant)."""
    size = len(matrix)
    made = np.eye(2 * size, dtype=complex)
    made[1::2, 1::2] = matrix
    return made


_X: Final = rotation(math.pi, 0, math.pi)
_Y: Final = np.array([[0, -1j], [1j, 0]])
_H: Final = rotation(math.pi / 2, 0, math.pi)
_SX: Final = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
_SWAP: Final = np.eye(4)[[0, 2, 1, 3]]

#: Matrices of the standard gates, by their angles.
MATRICES: Final[Mapping[str, Callable[..., Array]]] = {
    "U": rotation,
    "u3": rotation,
    "u": rotation,
    "u2": lambda phi, lam: rotation(math.pi / 2, phi, lam),
    "u1": phase,
    "p": phase,
    "id": lambda: np.eye(2),
    "x": lambda: _X,
    "y": lambda: _Y,
    "z": lambda: phase(math.pi),
    "h": lambda: _H,
    "s": lambda: phase(math.pi / 2),
    "sdg": lambda: phase(-math.pi / 2),
    "t": lambda: phase(math.pi / 4),
    "tdg": lambda: phase(-math.pi / 4),
    "sx": lambda: _SX,
    "rx": lambda theta: rotation(theta, -math.pi / 2, math.pi / 2),
    "ry": lambda theta: rotation(theta, 0, 0),
    "rz": phase,  # but for a global phase
    "CX": lambda: controlled(_X),
    "cx": lambda: controlled(_X),
    "cy": lambda: controlled(_Y),
    "cz": lambda: controlled(phase(math.pi)),
    "ch": lambda: controlled(_H),
    "cu1": lambda angle: controlled(phase(angle)),
    "cp": lambda angle: controlled(phase(angle)),
    "crz": lambda angle: controlled(np.diag([cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)])),
    "cu3": lambda theta, phi, lam: controlled(rotation(theta, phi, lam) * cmath.exp(0.5j * (phi + lam))),
    "swap": lambda: _SWAP,
    "ccx": lambda: controlled(controlled(_X)),
    "cswap": lambda: controlled(_SWAP),
    "rzz": lambda angle: np.diag([1, cmath.exp(1j * angle), cmath.exp(1j * angle), 1]),
    "ecr": lambda: np.array([[0, 1, 0, 1j], [1, 0, -1j, 0], [0, 1j, 0, 1], [-1j, 0, 1, 0]]) / math.sqrt(2),
}


class Reader:
    """One program, read: its `steps`, and its registers as offset and size."""

    def __init__(self, text: str) -> None:
        self.steps: list[Step] = []
        self.qubits: dict[str, tuple[int, int]] = {}
        self.bits: dict[str, tuple[int, int]] = {}
        self._gates: dict[str, tuple[list[str], list[str], str]] = {}
        code = re.sub(r"//[^\n]*", "", text)
        for name, angles, arguments, body in _GATE.findall(code):
            self._gates[name] = (_names(angles), _names(arguments), body)
        for statement in _GATE.sub("", code).split(";"):
            self.steps.extend(self._statement(" ".join(statement.split())))

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return sum(size for _, size in self.qubits.values())

    def _statement(self, text: str) -> Iterator[Step]:
        word = text.split(" ", 1)[0].split("(", maxsplit=1)[0]
        match word:
            case "" | "OPENQASM" | "include" | "barrier":
                return
            case "qreg" | "creg":
                found = _PLACE.match(text.split(" ", 1)[1])
                assert found is not None
                where = self.qubits if word == "qreg" else self.bits
                where[found[1]] = (sum(size for _, size in where.values()), int(found[2]))
            case "measure":
                source, target = text.removeprefix("measure").split("->")
                for qubit, bit in zip(_places(source, self.qubits), _places(target, self.bits), strict=True):
                    yield Step("measure", (qubit,), bit=bit)
            case "reset":
                for qubit in _places(text.removeprefix("reset"), self.qubits):
                    yield Step("reset", (qubit,))
            case "if":
                found = re.match(r"if\s*\(\s*(\w+)\s*==\s*(\d+)\s*\)\s*(.*)$", text)
                assert found is not None, text
                offset, size = self.bits[found[1]]
                inner = tuple(self._statement(found[3]))
                yield Step("if", condition=(tuple(range(offset, offset + size)), int(found[2])), inner=inner)
            case _:
                found = _CALL.match(text)
                assert found is not None, text
                angles = [number(part, {}) for part in _names(found[2] or "")]
                places = [_places(part, self.qubits) for part in _names(found[3])]
                width = max(map(len, places))
                for row in range(width):
                    qubits = tuple(place[0] if len(place) == 1 else place[row] for place in places)
                    yield from self._call(found[1], angles, qubits)

    def _call(self, name: str, angles: Sequence[float], qubits: tuple[int, ...]) -> Iterator[Step]:
        if name not in self._gates:
            yield Step("gate", qubits, matrix=MATRICES[name](*angles), label=name)
            return
        formal_angles, formal_qubits, body = self._gates[name]
        values = dict(zip(formal_angles, angles, strict=True))
        wires = dict(zip(formal_qubits, qubits, strict=True))
        for statement in body.split(";"):
            found = _CALL.match(" ".join(statement.split()))
            if found is not None and found[1] != "barrier":
                yield from self._call(
                    found[1],
                    [number(part, values) for part in _names(found[2] or "")],
                    tuple(wires[part] for part in _names(found[3])),
                )


def _names(text: str) -> list[str]:
    """Return the parts between commas that no parenthesis encloses."""
    parts, depth, begin = [], 0, 0
    for index, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(text[begin:index])
            begin = index + 1
    return [part.strip() for part in (*parts, text[begin:]) if part.strip()]


def _places(text: str, registers: Mapping[str, tuple[int, int]]) -> list[int]:
    found = _PLACE.match(text.strip())
    assert found is not None, text
    offset, size = registers[found[1]]
    return [offset + int(found[2])] if found[2] is not None else list(range(offset, offset + size))


def number(text: str, names: Mapping[str, float]) -> float:
    """Return the value of an arithmetic expression; `names` beside ``pi``."""

    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=float() | int() as number):
                return float(number)
            case ast.Name(id=name):
                return {"pi": math.pi, **names}[name]
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return float(getattr(math, {"ln": "log"}.get(name, name))(value(argument)))
            case _:
                raise AssertionError(text)

    return value(ast.parse(text.strip(), mode="eval").body)
