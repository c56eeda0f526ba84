"""Plans of whole programs: what a shortcut may not leave out, and what is refused by its own shots alone."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.drivers.aer.deferring import deferred
from qmio_jupyter.drivers.aer.devices import Devices
from qmio_jupyter.drivers.aer.direct import Engine
from qmio_jupyter.drivers.aer.planner import Planner
from qmio_jupyter.drivers.aer.runner import Runner
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing import runs


@pytest.fixture
def planner():
    return Planner(64, 2**30, Engine(is_direct=True), Devices())


def test_a_bit_that_is_set_in_a_branch_is_set(planner):
    text = "qubit[1] q; bit[2] c; h q[0]; c[0] = measure q[0]; if (c[0]) { c[1] = true; }"
    run = runs.run(runs.qasm3(text), shots=1000, seed=3)
    result = Runner(run, planner, lambda _: None, lambda _: None, seconds=60).run()
    counts = dict(outcomes(result.items[0]))
    assert set(counts) == {"00", "11"}
    assert min(counts.values()) > 400


def test_an_assignment_in_a_branch_is_not_put_off():
    circuit = QuantumCircuit(1, 2)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.store(circuit.clbits[1], True)
    assert deferred(circuit, active=[0], readout={}, is_mixed=False, most=10) is None


def wide():
    """Return a noisy program that only few shots of are affordable."""
    lines = ["qubit[16] q; bit[16] c;"]
    for layer in range(8):
        lines += [f"ry({0.1 * (layer + 1) + 0.07 * n}) q[{n}];" for n in range(16)]
        lines += [f"cx q[{n}], q[{n + 1}];" for n in range(layer % 2, 15, 2)]
    return runs.qasm3("\n".join([*lines, "c = measure q;"]))


def test_what_fits_by_its_own_shots_is_not_refused_for_the_usual_number(planner):
    snapshot = to_snapshot(sample("qmio"), "dev")
    program = wide()
    few, many = (runs.run(program, shots=shots, snapshot=snapshot) for shots in (10, 1000))
    allowed_s = (
        planner.choose(planner.compiled(few, few.spec.items[0]), few.spec.items[0], 1e6).predicted_s * 3
    )
    with pytest.raises(ProgramError) as refused:
        planner.plan(many, many.spec.items[0], allowed_s)
    assert refused.value.code == "program.too_costly"
    plan = planner.plan(few, few.spec.items[0], allowed_s)
    assert plan.choice.predicted_s <= allowed_s
    assert planner.plan(few, few.spec.items[0], allowed_s) is plan


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if (c[0]) { c[1] = true; } else { c[2] = true; }", {"100", "011"}),
        ("if (c[0]) { if (c[0]) { c[1] = true; } }", {"000", "011"}),
        ("if (c[0]) { x q[0]; if (c[1]) { c[2] = true; } }", {"000", "001"}),
        ("for int i in [0:1] { if (c[0]) { c[2] = true; } }", {"000", "101"}),
    ],
)
@pytest.mark.parametrize("device", ["ideal", "qmio"])
def test_blocks_of_assignments_look_at_their_condition(planner, body, expected, device):
    text = f"qubit[1] q; bit[3] c; h q[0]; c[0] = measure q[0]; {body}"
    snapshot = None if device == "ideal" else to_snapshot(sample("qmio"), "dev")
    run = runs.run(runs.qasm3(text), shots=400, seed=3, snapshot=snapshot, ideal=True)
    result = Runner(run, planner, lambda _: None, lambda _: None, seconds=60).run()
    assert {key for key, _ in outcomes(result.items[0])} == expected
