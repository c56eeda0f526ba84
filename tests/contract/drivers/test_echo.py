"""`echo` keeps the contract of drivers."""

import pytest

from qmio_jupyter.drivers import registry
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.drivers import DriverConformance


class TestEcho(DriverConformance):
    @pytest.fixture
    def driver(self):
        driver = registry.make("echo", self.name, {})
        yield driver
        driver.close()

    def many(self):
        return runs.run(
            runs.qasm3(""),
            device=self.name,
            shots=20_000,
            device_options={"partials": "9", "seconds": "0.05"},
        )

    def endless(self):
        return runs.run(runs.qasm3(""), device=self.name, device_options={"seconds": "3600"})
