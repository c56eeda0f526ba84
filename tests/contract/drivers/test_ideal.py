"""`ideal` keeps the contract of drivers."""

import pytest

from qmio_jupyter.drivers import registry
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.drivers import DriverConformance

#: Each round takes microseconds, and there is no last one.
ENDLESS = runs.qasm3(
    "qubit q; bit[2] c; h q; c[0] = measure q; c[1] = measure q;while (c != 3) { reset q; c[0] = measure q; }"
)


@pytest.fixture(scope="module")
def shared():
    driver = registry.make("ideal", DriverConformance.name, {})
    yield driver
    driver.close()


class TestIdeal(DriverConformance):
    @pytest.fixture
    def driver(self, request):
        if "closing" not in request.node.name:
            # Its fork server takes a second to import everything; not made just before children are counted.
            yield request.getfixturevalue("shared")
            return
        driver = registry.make("ideal", self.name, {})
        yield driver
        driver.close()

    def endless(self):
        return runs.run(ENDLESS, device=self.name)
