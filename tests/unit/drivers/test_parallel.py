"""What drivers say of how many tasks really run at once: estimates are made of it."""

import pytest

from qmio_jupyter.drivers import echo, emulator, ideal


@pytest.mark.parametrize(
    ("make", "options", "parallel"),
    [
        (ideal.make, {}, 1),
        (ideal.make, {"workers": "3", "credit": "8"}, 3),
        (emulator.make, {"workers": "3"}, 3),
        (emulator.make, {"workers": "3", "pace": "real"}, 1),
        # Timed tasks take the device one after the other, however many it holds.
        (echo.make, {"credit": "16"}, 1),
    ],
)
def test_parallel_is_announced(make, options, parallel):
    driver = make("dev", options)
    try:
        assert driver.describe().parallel == parallel
    finally:
        driver.close()
