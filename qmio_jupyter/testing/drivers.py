"""The contract of `ports.DeviceDriver` as a test suite: every driver subclasses it and passes it whole.

A subclass overrides the fixture `driver` and, where the defaults do not fit, the methods `short`, `many` and
`endless`. Nothing here waits longer than :data:`SOON_S`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import msgspec
import psutil
import pytest

from qmio_jupyter.errors import DeviceError, QmioError, TaskCancelledError
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.result import BindingCounts, ItemResult, TaskResult, key_width, outcomes
from qmio_jupyter.ports import DeviceDriver, Run
from qmio_jupyter.testing import runs

#: Deadline of every single wait, s.
SOON_S = 60.0

_BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")


class Heard:
    """What a driver said of one run, in order."""

    def __init__(self) -> None:
        self.partials: list[TaskResult] = []
        self.stages: list[str] = []
        self.began = threading.Event()

    def on_partial(self, result: TaskResult) -> None:
        """Note a partial result."""
        self.partials.append(result)

    def on_stage(self, stage: str) -> None:
        """Note a stage; the first one says that the run has begun."""
        self.stages.append(stage)
        self.began.set()


class DriverConformance:
    """What every driver promises, whatever device it speaks to."""

    #: Name the fixture gives the device.
    name = "device"

    @pytest.fixture
    def driver(self) -> Iterator[DeviceDriver]:
        """Give the driver under test, and close it."""
        raise NotImplementedError("a subclass overrides this fixture")

    @pytest.fixture
    def earlier(self) -> set[int]:
        """Give the child processes that were there before the driver was made."""
        return {child.pid for child in psutil.Process().children()}

    # ------------------------------------------------------------ runs to try it with

    def short(self, *, seed: int = 7, shots: int = 1000, memory: bool = False, items: int = 1) -> Run:
        """Return a run that ends soon and whose outcomes are random."""
        return runs.run(*[_BELL] * items, device=self.name, seed=seed, shots=shots, memory=memory)

    def many(self) -> Run:
        """Return a run of many batches that reports some of them."""
        return runs.run(_BELL, device=self.name, shots=20_000, batch_shots=100)

    def endless(self) -> Run:
        """Return a run that goes on until it is stopped."""
        raise NotImplementedError("a subclass says what takes long on its device")

    # ------------------------------------------------------------ helpers

    def start(self, driver: DeviceDriver, run: Run) -> tuple[Future[TaskResult], Heard]:
        """Start a run and listen to it."""
        heard = Heard()
        return driver.start(run, heard.on_partial, heard.on_stage), heard

    def result(self, driver: DeviceDriver, run: Run) -> TaskResult:
        """Return what a run gives."""
        return self.start(driver, run)[0].result(SOON_S)

    # ------------------------------------------------------------ the contract

    def test_it_describes_itself(self, driver: DeviceDriver) -> None:
        """The description is complete enough to be announced."""
        description = driver.describe()
        assert description.name == self.name
        assert description.title
        assert description.driver
        assert description.media_types
        assert description.batch_shots >= 1
        assert driver.state().takes_tasks
        snapshot = driver.snapshot()
        assert snapshot is None or snapshot.device == self.name

    def test_a_result_accounts_for_every_shot(self, driver: DeviceDriver) -> None:
        """Counts add up, item by item, and quote the task, its device and its seed."""
        run = self.short(items=2)
        result = self.result(driver, run)
        assert (result.task_id, result.device, result.seed) == (run.task_id, self.name, run.contract.seed)
        assert result.is_final
        assert result.shots == result.shots_done == run.spec.total_shots
        assert len(result.items) == len(run.spec.items)
        for item, wanted in zip(result.items, run.spec.items, strict=True):
            assert len(item.bindings) == wanted.bindings
            check_layout(item)
            for binding in item.bindings:
                assert binding.shots == wanted.shots
                assert sum(counts_of(item, binding).values()) == wanted.shots
        assert {name for name, _ in result.durations} >= {"compiled", "on_device", "measured"}
        assert all(seconds >= 0 for _, seconds in result.durations)
        assert result.software

    def test_a_seed_repeats_a_result(self, driver: DeviceDriver) -> None:
        """The same seed gives the same counts; another one gives others."""
        first, second, other = (self.result(driver, self.short(seed=seed)) for seed in (1, 1, 2))
        assert first.items == second.items
        assert first.items != other.items

    def test_memory_keeps_every_shot(self, driver: DeviceDriver) -> None:
        """The packed shots, counted, are the counts."""
        result = self.result(driver, self.short(memory=True, shots=500))
        item = result.items[0]
        binding = item.bindings[0]
        assert binding.memory is not None
        width = key_width(item.n_bits)
        assert len(binding.memory) == width * 500
        seen: dict[int, int] = {}
        for start in range(0, len(binding.memory), width):
            key = int.from_bytes(binding.memory[start : start + width], "little")
            seen[key] = seen.get(key, 0) + 1
        assert seen == counts_of(item, binding)

    def test_memory_changes_no_counts(self, driver: DeviceDriver) -> None:
        """Asking for the shots gives the same counts as not asking, and none when not asked."""
        plain = self.result(driver, self.short(shots=500)).items[0].bindings[0]
        kept = self.result(driver, self.short(shots=500, memory=True)).items[0].bindings[0]
        assert plain.memory is None
        assert (plain.keys, plain.counts) == (kept.keys, kept.counts)

    def test_partial_counts_only_grow(self, driver: DeviceDriver) -> None:
        """Revisions rise, shots and every outcome's count never fall, and the final result is the last."""
        run = self.many()
        future, heard = self.start(driver, run)
        final = future.result(SOON_S)
        assert all(not partial.is_final for partial in heard.partials)
        everything = [*heard.partials, final]
        revisions = [result.revision for result in everything]
        assert revisions == sorted(set(revisions))
        before: dict[tuple[int, int, int], int] = {}
        done = 0
        for result in everything:
            assert result.task_id == run.task_id
            assert done <= result.shots_done <= result.shots == run.spec.total_shots
            done = result.shots_done
            now = {
                (i, b, key): count
                for i, item in enumerate(result.items)
                for b, binding in enumerate(item.bindings)
                for key, count in counts_of(item, binding).items()
            }
            assert sum(now.values()) == result.shots_done
            assert all(now.get(key, 0) >= count for key, count in before.items())
            before = now

    def test_it_says_what_it_is_doing(self, driver: DeviceDriver) -> None:
        """A run that takes time says that it has begun."""
        run = self.endless()
        future, heard = self.start(driver, run)
        assert heard.began.wait(SOON_S)
        assert all(heard.stages)
        assert not future.done()
        driver.stop(run.task_id)
        with pytest.raises(TaskCancelledError):
            future.result(SOON_S)

    def test_a_stopped_run_ends_as_cancelled_and_the_next_one_runs(self, driver: DeviceDriver) -> None:
        """Stopping is no failure of the device."""
        run = self.endless()
        future, heard = self.start(driver, run)
        assert heard.began.wait(SOON_S)
        driver.stop(run.task_id)
        with pytest.raises(TaskCancelledError):
            future.result(SOON_S)
        assert self.result(driver, self.short()).is_final

    def test_a_run_that_has_not_begun_can_be_stopped(self, driver: DeviceDriver) -> None:
        """A run queued behind another ends at once when it is stopped; the other goes on."""
        first, second = self.endless(), self.endless()
        running, heard = self.start(driver, first)
        assert heard.began.wait(SOON_S)
        waiting, _ = self.start(driver, second)
        driver.stop(second.task_id)
        with pytest.raises(TaskCancelledError):
            waiting.result(SOON_S)
        assert not running.done()
        driver.stop(first.task_id)
        with pytest.raises(TaskCancelledError):
            running.result(SOON_S)

    def test_stopping_is_idempotent(self, driver: DeviceDriver) -> None:
        """Stopping what is unknown, stopped or over does nothing."""
        driver.stop("t-00000000000000000000000000")
        run = self.short()
        assert self.result(driver, run).is_final
        driver.stop(run.task_id)
        assert self.result(driver, self.short()).is_final

    def test_an_unknown_option_is_refused_by_name(self, driver: DeviceDriver) -> None:
        """A task's device option that the device does not know is an error that names it."""
        run = runs.run(_BELL, device=self.name, device_options={"no-such-option": "1"})
        with pytest.raises(DeviceError, match="no-such-option") as caught:
            self.result(driver, run)
        assert caught.value.code == "device.option"

    def test_a_dry_run_accounts_for_every_item(self, driver: DeviceDriver) -> None:
        """It says of each item what was asked of it, and takes no run's place."""
        run = self.short(items=2)
        found = driver.estimate(run, SOON_S).result(SOON_S)
        assert found.device == self.name
        assert [(item.shots, item.bindings) for item in found.items] == [
            (item.shots, item.bindings) for item in run.spec.items
        ]
        assert sum(item.predicted_s for item in found.items) == pytest.approx(found.predicted_s)
        assert found.cost_s == 0
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=DryRun) == found

    def test_a_dry_run_waits_for_no_run(self, driver: DeviceDriver) -> None:
        """It is answered while the device has all it can do, and disturbs nothing of it."""
        run = self.endless()
        running, heard = self.start(driver, run)
        assert heard.began.wait(SOON_S)
        assert driver.estimate(self.short(), SOON_S).result(SOON_S).items
        assert not running.done()
        driver.stop(run.task_id)
        with pytest.raises(TaskCancelledError):
            running.result(SOON_S)

    def test_a_dry_run_is_refused_as_the_run_would_be(self, driver: DeviceDriver) -> None:
        """The same error, without the wait."""
        run = runs.run(_BELL, device=self.name, device_options={"no-such-option": "1"})
        with pytest.raises(DeviceError, match="no-such-option") as caught:
            driver.estimate(run, SOON_S).result(SOON_S)
        assert caught.value.code == "device.option"

    def test_closing_ends_runs_and_leaves_no_process(self, earlier: set[int], driver: DeviceDriver) -> None:
        """Every future ends, no child process is left, and nothing starts any more."""
        running, heard = self.start(driver, self.endless())
        waiting, _ = self.start(driver, self.endless())
        assert heard.began.wait(SOON_S)
        ours = [child for child in psutil.Process().children() if child.pid not in earlier]
        processes = ours + [below for child in ours for below in child.children(recursive=True)]
        driver.close()
        for future in (running, waiting):
            with pytest.raises((QmioError, CancelledError)):
                future.result(SOON_S)
        _, alive = psutil.wait_procs(processes, timeout=SOON_S)
        assert not alive
        with pytest.raises(QmioError):
            self.start(driver, self.endless())[0].result(SOON_S)
        driver.close()


def counts_of(item: ItemResult, binding: BindingCounts) -> dict[int, int]:
    """Return ``{outcome: count}``, checking that no outcome stands twice and none is empty."""
    width = key_width(item.n_bits)
    number = len(binding.counts) // 8
    assert len(binding.counts) == 8 * number
    assert len(binding.keys) == width * number
    keys = [int.from_bytes(binding.keys[i * width : (i + 1) * width], "little") for i in range(number)]
    counts = [int.from_bytes(binding.counts[i * 8 : (i + 1) * 8], "little") for i in range(number)]
    assert len(set(keys)) == number
    assert all(count > 0 for count in counts)
    assert all(key < 1 << item.n_bits for key in keys)
    return dict(zip(keys, counts, strict=True))


def check_layout(item: ItemResult) -> None:
    """Check that every classical bit has a place, and that the outcomes can be written."""
    assert {bit for register in item.registers for bit in register.bits} == set(range(item.n_bits))
    for index in range(len(item.bindings)):
        assert all(text for text, _ in outcomes(item, index))
