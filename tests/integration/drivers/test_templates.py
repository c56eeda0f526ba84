"""Programs that differ in their angles share what is made of them, and nothing else."""

import io

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter
from qiskit.circuit.library import CRXGate
from qiskit.quantum_info import Statevector

from qmio_jupyter.drivers.aer.devices import Devices
from qmio_jupyter.drivers.aer.direct import Engine
from qmio_jupyter.drivers.aer.planner import Planner
from qmio_jupyter.drivers.aer.runner import Runner
from qmio_jupyter.drivers.aer.templates import freed, template
from qmio_jupyter.model.program import QPY
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing import runs

SHOTS = 100_000


def circuit(angles, *, names=("c",), last=1):
    made = QuantumCircuit(QuantumRegister(2), *[ClassicalRegister(2 // len(names), name) for name in names])
    made.ry(angles[0], 0)
    made.u(angles[1], angles[2], angles[3], 1)
    made.cx(0, 1)
    made.rx(angles[4], last)
    made.measure([0, 1], [0, 1])
    return made


@pytest.fixture
def planner():
    return Planner(64, 2**30, Engine(is_direct=True), Devices())


def as_program(made):
    file = io.BytesIO()
    qpy.dump(made, file)
    return runs.program(file.getvalue(), QPY)


def counts(planner, made, **options):
    run = runs.run(as_program(made), shots=SHOTS, **options)
    result = Runner(run, planner, lambda _: None, lambda _: None, seconds=60).run()
    return dict(outcomes(result.items[0]))


def test_each_has_its_own_angles(planner):
    for seed in range(4):
        angles = np.random.default_rng(seed).uniform(-3, 3, 5)
        made = circuit(angles)
        seen = counts(planner, made)
        expected = Statevector(made.remove_final_measurements(inplace=False)).probabilities_dict()
        for outcome in seen.keys() | expected.keys():
            # Fixed seeds; five standard deviations of a count.
            assert abs(seen.get(outcome, 0) / SHOTS - expected.get(outcome, 0.0)) < 5 * 0.5 / SHOTS**0.5


def test_a_result_does_not_depend_on_what_ran_before(planner):
    first, other = (circuit(np.random.default_rng(seed).uniform(-3, 3, 5)) for seed in (1, 2))
    alone = counts(Planner(64, 2**30, Engine(is_direct=True), Devices()), first)
    counts(planner, other)
    assert counts(planner, first) == alone


def test_the_same_structure_is_one_plan(planner):
    plans = []
    for seed in (1, 2):
        run = runs.run(as_program(circuit(np.random.default_rng(seed).uniform(-3, 3, 5))))
        plans.append(planner.plan(run, run.spec.items[0], 60))
    assert plans[0].way is plans[1].way
    assert (plans[0].compiled.angles != plans[1].compiled.angles).any()


@pytest.mark.parametrize("other", [{"names": ("a", "b")}, {"last": 0}])
def test_another_structure_is_another(other):
    angles = [0.1, 0.2, 0.3, 0.4, 0.5]
    assert template(circuit(angles)).structure != template(circuit(angles, **other)).structure


def test_angles_are_found_and_freed_in_one_order():
    angles = [0.1, 0.2, 0.3, 0.4, 0.5]
    made = circuit(angles)
    assert template(made).angles.tolist() == [angles]
    bound = freed(made).assign_parameters({f"a{at}": angle for at, angle in enumerate(angles)})
    assert bound == made


def without_angles():
    made = QuantumCircuit(1, 1)
    made.h(0)
    made.measure(0, 0)
    return made


def with_a_free_one():
    return circuit([0.1, Parameter("x"), 0.3, 0.4, 0.5])


def with_a_reset():
    made = circuit([0.1] * 5)
    made.reset(0)
    return made


def with_an_open_control():
    made = circuit([0.1] * 5)
    made.append(CRXGate(0.5, ctrl_state=0), [0, 1])
    return made


def with_a_branch():
    made = circuit([0.1] * 5)
    with made.if_test((made.clbits[0], 1)):
        made.x(0)
    return made


def too_wide():
    made = QuantumCircuit(11, 1)
    made.rx(0.1, 0)
    made.measure(0, 0)
    return made


@pytest.mark.parametrize(
    "make", [without_angles, with_a_free_one, with_a_reset, with_an_open_control, with_a_branch, too_wide]
)
def test_what_is_more_than_gates_and_angles_has_no_template(make):
    assert template(make()) is None
