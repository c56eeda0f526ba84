"""What an emulated device says of itself, without any worker: the calibration's topology, and its clock."""

import subprocess
import sys
from concurrent.futures import Future
from dataclasses import replace

import pytest

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import record_of, to_snapshot
from qmio_jupyter.drivers import emulator
from qmio_jupyter.drivers.workers.pool import Pool
from qmio_jupyter.errors import ConfigError, DeviceError, ProgramError
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.testing import runs

BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")


class PlayedPool(Pool):
    """Takes jobs and starts no process."""

    def __init__(self, module, size, limits, *, is_warm=True, snapshot=None):
        self.is_warm = is_warm
        self.module, self.size, self.limits = module, size, limits
        self.started = []
        self._current = {}
        self.answer = Future()

    def start(self, run, on_partial, on_stage, *, clock=None):
        self.started.append((run, clock))
        return Future()

    def estimate(self, run, timeout_s):
        return self.answer

    def close(self):
        pass


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(emulator, "Pool", PlayedPool)
    return lambda **options: emulator.make("fake", options)


def test_it_is_the_device_of_its_calibration(make):
    driver = make()
    record, told = sample("qmio"), driver.describe()
    assert (told.name, told.driver, told.n_qubits) == ("fake", "emulator", 32)
    assert told.couplings == record.couplings
    assert len(told.couplings) == 33
    assert set(told.native_gates) == {"rz", "sx", "x", "ecr", "delay", "measure", "reset"}
    assert (told.pace, told.parallel, told.checked_above) == ("fast", 1, 12)
    snapshot = driver.snapshot()
    assert snapshot.device == "fake"
    assert record_of(snapshot) == record


def test_a_calibration_may_be_a_file(make, tmp_path):
    snapshot = make().snapshot()
    file = tmp_path / "ours.json"
    file.write_bytes(snapshot.data)
    again = make(calibration=str(file), title="Ours")
    assert again.describe().title == "Ours"
    assert again.snapshot().snapshot_id == snapshot.snapshot_id


def test_a_calibration_that_is_none_is_named(make, tmp_path):
    file = tmp_path / "broken.json"
    file.write_text("{}")
    with pytest.raises(ConfigError, match=r"broken\.json") as caught:
        make(calibration=str(file))
    assert caught.value.code.startswith("config")


def test_the_clock_is_the_calibrations_unless_configured(make):
    clock = make().describe().clock
    assert clock.t0_s == 0.4
    record = sample("qmio")
    slowest = max(q.readout_s for q in record.qubits)
    t1 = sorted(q.t1_s for q in record.qubits)
    assert clock.per_shot_s == pytest.approx(5 * (t1[15] + t1[16]) / 2 + slowest, abs=1e-6)
    ours = make(t0_s="1.5", repetition_s="0.001", readout_s="0.00025").describe()
    assert ours.clock == CostModel(t0_s=1.5, per_shot_s=0.00125)
    assert ours.cost != ours.clock


def test_a_calibration_without_times_still_has_a_clock(make, tmp_path):
    record = sample("qmio")
    bare = replace(record, qubits=tuple(replace(q, t1_s=None, readout_s=None) for q in record.qubits))
    file = tmp_path / "bare.json"
    file.write_bytes(to_snapshot(bare, "any").data)
    assert make(calibration=str(file)).describe().clock == CostModel(t0_s=0.4, per_shot_s=5e-4 + 2e-6)


def test_a_device_that_always_keeps_its_clock_runs_one_task_at_a_time(make):
    told = make(pace="real", workers="4").describe()
    assert (told.pace, told.parallel, told.cost) == ("real", 1, told.clock)
    assert make(workers="4").describe().parallel == 4


def test_workers_may_wait_for_the_first_task(make):
    assert make().pool.is_warm
    assert not make(warm="no").pool.is_warm


@pytest.mark.parametrize(
    ("options", "pace", "is_kept"),
    [({}, "real", True), ({}, "fast", False), ({"pace": "real"}, "fast", True)],
)
def test_a_run_is_given_the_clock_that_it_is_to_keep(make, options, pace, is_kept):
    driver = make(**options)
    driver.start(runs.run(BELL, pace=pace, snapshot=driver.snapshot()), lambda _: None, lambda _: None)
    ((_, clock),) = driver.pool.started
    assert clock == (driver.describe().clock if is_kept else None)


def test_a_dry_run_says_what_the_device_would_take(make):
    driver = make(t0_s="0.5", repetition_s="0.001", readout_s="0")
    asked = driver.estimate(runs.run(BELL, snapshot=driver.snapshot()), 5.0)
    assert not asked.done()
    items = tuple(DryRunItem(n_qubits=2, n_bits=2, shots=1000, bindings=n) for n in (1, 3))
    driver.pool.answer.set_result(DryRun(device="fake", items=items))
    made = asked.result(0)
    assert [item.device_s for item in made.items] == pytest.approx([1.5, 4.5])
    assert made.device_s == pytest.approx(6.0)


def test_a_dry_run_that_fails_fails_as_it_is(make):
    driver = make()
    asked = driver.estimate(runs.run(BELL, snapshot=driver.snapshot()), 5.0)
    driver.pool.answer.set_exception(ProgramError("no", code="program.too_wide"))
    assert asked.exception(0).code == "program.too_wide"


@pytest.mark.parametrize("verb", ["start", "estimate"])
def test_a_task_option_it_does_not_know_is_refused(make, verb):
    driver, run = make(), runs.run(BELL, device_options={"speed": "11"})
    given = (lambda _: None, lambda _: None) if verb == "start" else (5.0,)
    with pytest.raises(DeviceError, match="speed"):
        getattr(driver, verb)(run, *given).result(0)
    assert driver.pool.started == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"calibration": "/nowhere/at-all.json"}, "at-all.json"),
        ({"pace": "slow"}, "pace='slow'"),
        ({"t0_s": "-1"}, "t0_s='-1'"),
        ({"repetition_s": "2"}, "repetition_s='2'"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_used_is_named_at_the_start(make, options, named):
    with pytest.raises(ConfigError) as caught:
        make(**options)
    assert named in caught.value.message
    assert caught.value.hint


def test_the_agents_process_imports_no_quantum_software():
    """Neither the module nor a device of it: an agent stays small and starts fast."""
    script = (
        "import sys; from qmio_jupyter.drivers import emulator\n"
        "emulator.Pool = lambda *given, **more: None\n"
        "driver = emulator.make('fake', {}); driver.describe(); driver.snapshot()\n"
        "print(sorted({'qiskit', 'numpy', 'qiskit_aer', 'qiskit_ibm_runtime'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip() == "[]"


@pytest.fixture
def daily(make, tmp_path, monkeypatch):
    """A device whose calibration is a file, looked at whenever it is asked."""
    monkeypatch.setattr(emulator, "LOOK_S", 0.0)
    file = tmp_path / "today.json"
    record = sample("qmio")
    file.write_bytes(to_snapshot(record, "any").data)
    return make(calibration=str(file)), file, record


def test_a_new_calibration_is_a_new_snapshot(daily):
    driver, file, record = daily
    before = driver.snapshot()
    assert driver.snapshot() is before
    slow = tuple(replace(qubit, t1_s=2 * qubit.t1_s) for qubit in record.qubits)
    dead = tuple(replace(gate, error=1.0) if gate.qubits == (15, 8) else gate for gate in record.gates)
    fresh = replace(record, taken_ms=record.taken_ms + 1, qubits=slow, gates=dead)
    file.write_bytes(to_snapshot(fresh, "any").data)
    after = driver.snapshot()
    assert after.taken_ms == before.taken_ms + 1
    assert record_of(after) == fresh
    assert driver.describe().clock.per_shot_s > 2.5e-4 + record_readout(record)
    assert set(record.couplings) - set(driver.describe().couplings) == {(15, 8)}
    assert driver.state() == "idle"


def test_a_broken_calibration_degrades_the_device_and_is_said_once(daily, caplog):
    driver, file, _ = daily
    before, good = driver.snapshot(), file.read_bytes()
    file.write_text("{}")
    for _ in range(3):
        assert driver.snapshot() is before
    assert driver.state() == "degraded"
    (told,) = caplog.records
    assert "fake keeps its calibration; the newest: [config.calibration]" in told.getMessage()
    assert f"{file}: no calibration of a known shape" in told.getMessage()
    file.write_bytes(good)
    assert driver.snapshot() is before
    assert driver.state() == "idle"


def test_it_is_not_looked_at_all_the_time(make, tmp_path, monkeypatch):
    file = tmp_path / "today.json"
    file.write_bytes(to_snapshot(sample("qmio"), "any").data)
    driver = make(calibration=str(file))
    file.write_text("{}")
    driver.snapshot()
    assert driver.state() == "idle"


def record_readout(record):
    return max(qubit.readout_s for qubit in record.qubits)
