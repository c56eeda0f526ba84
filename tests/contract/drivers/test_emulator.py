"""`emulator` keeps the contract of drivers, as fast as it can and by its device's clock."""

import pytest
from msgspec.structs import replace

from qmio_jupyter.drivers import registry
from qmio_jupyter.errors import DeviceError
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.drivers import DriverConformance

#: A clock that is quick enough for a test.
QUICK = {"t0_s": "0.01", "repetition_s": "0.00001", "readout_s": "0"}
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
#: Each round takes microseconds, and there is no last one.
ENDLESS = runs.qasm3("qubit q; bit[3] c; c[0] = measure q; while (c != 7) { reset q; c[0] = measure q; }")


@pytest.fixture(scope="module")
def shared():
    driver = registry.make("emulator", DriverConformance.name, QUICK)
    yield driver
    driver.close()


class Bound(DriverConformance):
    """Runs as an agent gives them: bound to the device's snapshot."""

    pace = "fast"

    @pytest.fixture
    def driver(self, request):
        if "closing" not in request.node.name:
            # Its fork server takes a second to import everything; not made just before children are counted.
            yield request.getfixturevalue("shared")
            return
        driver = registry.make("emulator", self.name, QUICK)
        yield driver
        driver.close()

    @pytest.fixture(autouse=True)
    def bind(self, monkeypatch, driver):
        """Have every run of this suite bound to the driver's snapshot."""
        make, snapshot = runs.run, driver.snapshot()
        monkeypatch.setattr(
            runs,
            "run",
            lambda *given, **more: make(*given, **{"snapshot": snapshot, "pace": self.pace, **more}),
        )

    def endless(self):
        return runs.run(ENDLESS, device=self.name)


class TestFast(Bound):
    def test_a_run_that_is_bound_to_no_calibration_is_refused(self, driver):
        """Else its result would be without noise, and nobody would see it."""
        unbound = replace(self.short(), snapshot=None)
        with pytest.raises(DeviceError) as caught:
            self.result(driver, unbound)
        assert caught.value.code == "device.snapshot"


class TestPaced(Bound):
    pace = "real"

    def endless(self):
        """Return a run of ten million shots, a hundred seconds of device time."""
        return runs.run(BELL, device=self.name, shots=10_000_000)
