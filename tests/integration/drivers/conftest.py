"""One `ideal` device for all; most tests only want a result or an error of it."""

import pytest

from qmio_jupyter.drivers import registry
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing import runs

SOON_S = 90


class Device:
    def __init__(self, driver):
        self.driver = driver

    def start(self, *programs, **options):
        return self.driver.start(runs.run(*programs, **options), lambda result: None, lambda stage: None)

    def result(self, *programs, **options):
        return self.start(*programs, **options).result(SOON_S)

    def item(self, *programs, **options):
        return self.result(*programs, **options).items[0]

    def counts(self, *programs, **options):
        return dict(outcomes(self.item(*programs, **options)))

    def error(self, *programs, **options):
        problem = self.start(*programs, **options).exception(SOON_S)
        assert problem is not None
        return problem


@pytest.fixture(scope="session")
def ideal():
    driver = registry.make("ideal", "device", {})
    yield Device(driver)
    driver.close()


@pytest.fixture
def make_ideal():
    made = []

    def make(**options):
        driver = registry.make("ideal", "device", {name: str(value) for name, value in options.items()})
        made.append(driver)
        return Device(driver)

    yield make
    for driver in made:
        driver.close()
