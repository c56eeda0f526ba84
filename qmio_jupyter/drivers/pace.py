"""Device time: an emulated device that keeps its clock reveals every batch when a real one would have measured it.

A binding takes ``T0 + shots * (repetition period + readout)``, one binding after the other. T0 stands for whatever a
device does before its first shot; reading and compiling a program are in it. The worker that runs a task sleeps, so a
killed one has told exactly the batches whose time had come, and nothing is held back by anybody else.

Standard library only: the agent's process reckons with it too.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from qmio_jupyter.model.device import CostModel


def device_s(clock: CostModel, bindings: int, shots: int) -> float:
    """Return the seconds that `shots` in all, of `bindings` bindings, take a device with this clock."""
    return clock.t0_s * bindings + clock.per_shot_s * shots


class Pacer:
    """Holds a run back to its device's clock; does nothing without one.

    Parameters
    ----------
    clock : CostModel or None
        The device's figures, seconds; None: the run is as fast as it can be.
    monotonic, sleep : callable, optional
        The host's clock, and what waits by it.
    """

    def __init__(
        self,
        clock: CostModel | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep
        self._began = monotonic()

    @property
    def keeps_time(self) -> bool:
        """Whether there is a clock to keep."""
        return self._clock is not None

    def due_in(self, bindings: int, shots: int) -> float:
        """Return the seconds until `shots` in all are measured, the last of them in the `bindings`-th binding.

        Negative where the emulation is behind its device; 0 without a clock.
        """
        if self._clock is None:
            return 0.0
        return self._began + device_s(self._clock, bindings, shots) - self._monotonic()

    def wait(self, bindings: int, shots: int) -> None:
        """Return when `shots` in all are measured, the last of them in the `bindings`-th binding."""
        while (left := self.due_in(bindings, shots)) > 0:
            self._sleep(left)
