"""Programs that emulated devices once did not run, or not right."""

import pytest

from qmio_jupyter.drivers import registry
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing import runs

SOON_S = 90


@pytest.fixture(scope="module")
def emulated():
    driver = registry.make("emulator", "device", {})
    yield driver
    driver.close()


def counts(driver, text, **options):
    run = runs.run(runs.qasm3(text), device="device", snapshot=driver.snapshot(), shots=300, **options)
    result = driver.start(run, lambda result: None, lambda stage: None).result(SOON_S)
    return dict(outcomes(result.items[0]))


@pytest.mark.parametrize(
    "more",
    ["", "".join(f"h q[{k}]; cx q[{k}], q[{k + 1}]; " for k in range(1, 12))],
    ids=["one qubit", "many qubits"],
)
def test_a_condition_may_read_bits_that_nothing_writes(emulated, more):
    """With noise, Aer forgot the two last bits and ended its process."""
    loop = "while (c != 1) { reset q[0]; x q[0]; c[0] = measure q[0]; }"
    assert counts(emulated, f"qubit[13] q; bit[3] c; c[0] = measure q[0]; {loop} {more}") == {"001": 300}
