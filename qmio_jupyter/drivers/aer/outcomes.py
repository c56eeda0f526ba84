"""From Aer's hexadecimal outcomes to columns of bytes in which every bit keeps its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec
from qiskit import QuantumCircuit

from qmio_jupyter.model.result import BindingCounts, Register, key_width, pack_counts


def layout(circuit: QuantumCircuit) -> tuple[Register, ...]:
    """Return the circuit's classical registers, and its lone bits, by their lowest bit."""
    registers = [
        Register(name=register.name, bits=tuple(circuit.find_bit(bit).index for bit in register))
        for register in circuit.cregs
        if len(register)
    ]
    covered = {bit for register in registers for bit in register.bits}
    registers += [Register(name="", bits=(bit,)) for bit in range(circuit.num_clbits) if bit not in covered]
    return tuple(sorted(registers, key=lambda register: min(register.bits)))


class Tally(msgspec.Struct, kw_only=True):
    """Counts of one binding as its batches come in."""

    n_bits: int
    keeps_memory: bool
    shots: int = 0
    counts: Counter[int] = msgspec.field(default_factory=Counter[int])
    rows: list[bytes] = msgspec.field(default_factory=list[bytes])

    def add(self, counts: Mapping[str, int], memory: Iterable[str], shots: int) -> None:
        """Add a batch: Aer's counts by hexadecimal outcome and, if kept, its shots in order."""
        self.shots += shots
        for outcome, count in counts.items():
            self.counts[int(outcome, 16)] += count
        if self.keeps_memory:
            width = key_width(self.n_bits)
            known: dict[str, bytes] = {}
            for outcome in memory:
                row = known.get(outcome)
                if row is None:
                    row = known[outcome] = int(outcome, 16).to_bytes(width, "little")
                self.rows.append(row)

    def columns(self) -> BindingCounts:
        """Return what there is so far."""
        keys, counts = pack_counts(list(self.counts.items()), self.n_bits)
        memory = b"".join(self.rows) if self.keeps_memory else None
        return BindingCounts(shots=self.shots, keys=keys, counts=counts, memory=memory)
