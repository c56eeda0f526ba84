"""Emulated devices as an agent drives them: real worker processes, a bound snapshot, no gateway."""

from importlib.util import find_spec

import pytest
from msgspec.structs import replace

from qmio_jupyter.calibration.snapshots import record_of
from qmio_jupyter.drivers import registry
from qmio_jupyter.testing import runs

SOON_S = 100


class Device:
    """A driver with its snapshot; programs run with fixed seeds unless a test says otherwise."""

    def __init__(self, name, options):
        self.driver = registry.make("emulator", name, options)
        self.snapshot = self.driver.snapshot()
        self.record = record_of(self.snapshot)

    def task(self, *programs, isa=False, options=None, **asked):
        """Return a run bound to the snapshot; with `isa` its programs are in the device's gates, on its qubits."""
        run = runs.run(*programs, **asked)
        chosen = dict(options or {})
        if isa:
            chosen["compiled_for"] = self.snapshot.snapshot_id
        return replace(
            run,
            snapshot=self.snapshot,
            contract=replace(run.contract, snapshot_id=self.snapshot.snapshot_id),
            spec=replace(run.spec, options=replace(run.spec.options, seed=run.contract.seed, **chosen)),
        )

    def run(self, *programs, **asked):
        """Return the future of a task's result."""
        return self.driver.start(self.task(*programs, **asked), lambda result: None, lambda stage: None)

    def compiled(self, *programs, **asked):
        """Return what a dry run of the task shows of each program."""
        return self.driver.estimate(self.task(*programs, **asked), SOON_S).result(SOON_S).items

    def items(self, *programs, **asked):
        return self.run(*programs, **asked).result(SOON_S).items

    def error(self, *programs, **asked):
        problem = self.run(*programs, **asked).exception(SOON_S)
        assert problem is not None
        return problem


@pytest.fixture(scope="session")
def qmio():
    device = Device("fake-qmio", {})
    yield device
    device.driver.close()


@pytest.fixture(scope="session")
def fez():
    if find_spec("qiskit_ibm_runtime") is None:
        from tests.conftest import missing

        missing("qiskit-ibm-runtime")
    device = Device("fake-fez", {"calibration": "fez"})
    yield device
    device.driver.close()
