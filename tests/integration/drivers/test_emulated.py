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


@pytest.fixture(scope="module")
def paced():
    """A device whose clock lets at least two partial results be told of a short task, at ten a second."""
    driver = registry.make("emulator", "device", {"t0_s": "0.3", "repetition_s": "0.002", "readout_s": "0"})
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


def chain(n, *, turn=""):
    return (
        f"qubit[{n}] q; bit[{n}] c; h q[0]; {turn}"
        + "".join(f"cx q[{k - 1}], q[{k}]; " for k in range(1, n))
        + "c = measure q;"
    )


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (chain(3), {}),
        (chain(16), {}),
        (chain(12, turn="".join(f"t q[{k}]; ry(0.3) q[{k}]; " for k in range(4))), {}),
        (chain(25), {"ideal": True}),
        ("qubit q; bit[2] c; c[0] = measure q; while (c != 1) { x q; c[0] = measure q; }", {}),
    ],
    ids=["exact", "frames", "many qubits", "ideal, wide", "a loop"],
)
def test_the_clock_changes_when_counts_are_told_never_which(paced, text, options):
    """However a program is computed: batches come in a device's time, and the result is that without a clock."""
    given = {
        "device": "device",
        "snapshot": paced.snapshot(),
        "shots": 300,
        "batch_shots": 50,
        "memory": True,
    }
    told = []
    results = [
        paced.start(
            runs.run(runs.qasm3(text), pace=pace, **given, **options), told.append, lambda stage: None
        ).result(SOON_S)
        for pace in ("real", "fast")
    ]
    assert results[0].items[0].bindings == results[1].items[0].bindings
    partials = [partial for partial in told if partial.seed == results[0].seed and not partial.is_final]
    assert len(partials) >= 2
    memory = results[0].items[0].bindings[0].memory
    for partial in partials:
        assert partial.shots_done % 50 == 0
        assert memory.startswith(partial.items[0].bindings[0].memory)
