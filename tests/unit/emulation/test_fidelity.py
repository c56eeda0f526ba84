"""Expected success: a product that can be checked by hand."""

from __future__ import annotations

import math

import pytest
from qiskit import QuantumCircuit

from qmio_jupyter.emulation import fidelity
from qmio_jupyter.emulation.noise import NoiseBook


def test_gates_and_readout_multiply(record) -> None:
    isa = QuantumCircuit(4, 2)
    isa.sx(0)
    isa.rz(0.1, 0)
    isa.ecr(0, 1)
    isa.sx(3)
    isa.measure(0, 0)
    isa.measure(1, 1)
    expected = (1 - 0.002) * (1 - 0.03) * (1 - 0.04) * (1 - 0.02)
    assert fidelity.expected(isa, record) == pytest.approx(expected, rel=1e-9)
    assert fidelity.expected(isa, NoiseBook(record)) == fidelity.expected(isa, record)


def test_waiting_costs(record) -> None:
    isa = QuantumCircuit(1)
    isa.delay(20, 0, unit="us")
    e, c = math.exp(-20 / 60), math.exp(-20 / 40)
    assert fidelity.expected(isa, record) == pytest.approx((2 * (1 + 2 * c + e) / 4 + 1) / 3)


def test_a_gate_is_never_better_than_what_is_emulated(record, book) -> None:
    isa = QuantumCircuit(3)
    isa.sx(2)
    assert fidelity.expected(isa, record) == pytest.approx(1 - book.infidelity("sx", (2,)))
    assert book.infidelity("sx", (2,)) > 1e-5


def test_the_worst_branch_and_all_turns_count(record) -> None:
    isa = QuantumCircuit(2, 1)
    with isa.if_test((isa.clbits[0], 1)) as otherwise:
        isa.sx(0)
    with otherwise:
        isa.ecr(0, 1)
    with isa.for_loop(range(5)):
        isa.sx(1)
    assert fidelity.expected(isa, record) == pytest.approx((1 - 0.03) * (1 - 0.001) ** 5)


def test_nothing_done_is_nothing_lost(record) -> None:
    isa = QuantumCircuit(4)
    isa.reset(0)
    isa.barrier()
    assert fidelity.expected(isa, record) == 1.0
