"""The device's clock: what a run takes by it, and a pacer that never tells a batch before its time."""

import pytest

from qmio_jupyter.drivers.pace import Pacer, device_s
from qmio_jupyter.model.device import CostModel

CLOCK = CostModel(t0_s=0.5, per_shot_s=0.001)


class PlayedTime:
    """A host's clock that only sleeping moves; each sleep ends a little early or late, as real ones do."""

    def __init__(self, off=1.0):
        self.now = 100.0
        self.off = off
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds * self.off if len(self.slept) % 2 else seconds


def pacer(clock, time):
    return Pacer(clock, monotonic=time.monotonic, sleep=time.sleep)


def test_every_binding_has_its_own_beginning():
    assert device_s(CLOCK, 3, 6000) == pytest.approx(3 * 0.5 + 6000 * 0.001)


def test_without_a_clock_nothing_waits():
    time = PlayedTime()
    free = pacer(None, time)
    assert not free.keeps_time
    assert free.due_in(10, 10**9) == 0.0
    free.wait(10, 10**9)
    assert time.slept == []


@pytest.mark.parametrize("off", [0.7, 1.0, 1.3])
def test_shots_are_told_when_a_device_would_have_measured_them_and_no_sooner(off):
    time = PlayedTime(off)
    paced = pacer(CLOCK, time)
    assert paced.keeps_time
    for bindings, shots in ((1, 100), (1, 1000), (2, 1100)):
        due = 100.0 + device_s(CLOCK, bindings, shots)
        paced.wait(bindings, shots)
        assert due - 1e-9 <= time.now
        if off <= 1.0:
            assert time.now == pytest.approx(due)


def test_time_that_went_into_computing_is_not_waited_for_again():
    time = PlayedTime()
    paced = pacer(CLOCK, time)
    time.now += 0.55
    paced.wait(1, 100)
    assert sum(time.slept) == pytest.approx(0.05)
    time.now += 10
    assert paced.due_in(1, 200) < 0
    paced.wait(1, 200)
    assert len(time.slept) == 1
