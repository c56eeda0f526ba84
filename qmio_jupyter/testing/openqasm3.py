"""A reader of the compiled circuits that dry runs show: OpenQASM 3 of native gates on physical qubits, for checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import pi
from typing import Final

from qmio_jupyter.testing.exact import Step
from qmio_jupyter.testing.openqasm2 import MATRICES, number

_BITS: Final = re.compile(r"bit(?:\[(\d+)\])?\s+(\w+)$")
_MEASURE: Final = re.compile(r"(\w+)(?:\[(\d+)\])?\s*=\s*measure\s+(\S+)$")
_GATE: Final = re.compile(r"(\w+)(?:\((.*?)\))?((?:\s*,?\s*(?:\$\d+|\w+\[\d+\]))+)$")
_DELAY: Final = re.compile(r"delay\[([\d.e+-]+)(dt|ns|us|ms|s)\]\s+(\S+)$")
_QUBIT: Final = re.compile(r"\$(\d+)")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
#: Statements, and what opens and closes a block.
_TOKEN: Final = re.compile(r"if\s*\((?P<condition>[^{]*)\)\s*\{|(?P<close>\})|(?P<statement>[^;{}]+);")


class Compiled:
    """A compiled circuit: its `steps` on `qubits`, physical qubits in ascending order.

    Parameters
    ----------
    text : str
        As a dry run shows it, whole.
    dt_s : float
        The device's sample time, seconds.
    """

    def __init__(self, text: str, dt_s: float) -> None:
        code = re.sub(r"//[^\n]*", "", text)
        code = re.sub(r"\bgate\s[^{]*\{[^}]*\}", "", code)
        self.qubits = tuple(sorted({int(number_) for number_ in _QUBIT.findall(code)}))
        self._place = {qubit: index for index, qubit in enumerate(self.qubits)}
        self._dt_s = dt_s
        self._bits: dict[str, tuple[int, int]] = {}
        self.steps = list(self._block(_TOKEN.finditer(code)))

    def _block(self, tokens: Iterator[re.Match[str]]) -> Iterator[Step]:
        for token in tokens:
            if token["close"]:
                return
            if token["condition"] is not None:
                inner = tuple(self._block(tokens))
                yield Step("if", condition=self._condition(token["condition"].strip()), inner=inner)
            else:
                yield from self._statement(" ".join(token["statement"].split()))

    def _condition(self, text: str) -> tuple[tuple[int, ...], int]:
        negated = text.startswith("!")
        name, _, value = text.lstrip("!").partition("==")
        found = re.match(r"(\w+)(?:\[(\d+)\])?$", name.strip())
        assert found is not None, text
        offset, size = self._bits[found[1]]
        bits = (offset + int(found[2]),) if found[2] else tuple(range(offset, offset + size))
        return bits, int(value) if value.strip() else int(not negated)

    def _statement(self, text: str) -> Iterator[Step]:
        if text.startswith(("OPENQASM", "include", "barrier", "qubit")):
            return
        if found := _BITS.match(text):
            self._bits[found[2]] = (sum(size for _, size in self._bits.values()), int(found[1] or 1))
        elif found := _MEASURE.match(text):
            bit = self._bits[found[1]][0] + int(found[2] or 0)
            yield Step("measure", self._qubits(found[3]), bit=bit)
        elif text.startswith("reset"):
            yield Step("reset", self._qubits(text))
        elif found := _DELAY.match(text):
            unit = self._dt_s if found[2] == "dt" else _UNITS[found[2]]
            yield Step("delay", self._qubits(found[3]), seconds=float(found[1]) * unit)
        else:
            found = _GATE.match(text)
            assert found is not None, text
            angles = [number(part, {"pi": pi}) for part in (found[2] or "").split(",") if part]
            yield Step("gate", self._qubits(found[3]), matrix=MATRICES[found[1]](*angles), label=found[1])

    def _qubits(self, text: str) -> tuple[int, ...]:
        return tuple(self._place[int(qubit)] for qubit in _QUBIT.findall(text))
