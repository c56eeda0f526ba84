"""Where a circuit's classical bits stand in its outcomes."""

from __future__ import annotations

from qiskit import QuantumCircuit

from qmio_jupyter.model.result import Register


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
