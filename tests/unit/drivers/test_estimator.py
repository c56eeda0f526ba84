"""Dry runs' own workers, played: deadlines, stops, deaths, idleness."""

from __future__ import annotations

import queue
import threading
from typing import Any

import msgspec
import pytest

from qmio_jupyter.drivers.workers import estimator as estimators
from qmio_jupyter.drivers.workers.channel import ChannelClosedError, MessageTooLargeError
from qmio_jupyter.drivers.workers.estimator import Estimator
from qmio_jupyter.drivers.workers.messages import Estimated, Failed, Stage
from qmio_jupyter.errors import AgentError, DeadlineError, ProgramError, QmioError, TaskCancelledError
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.testing import runs

SOON_S = 30.0
FOUND = DryRun(device="d", items=())
PACK = msgspec.msgpack.encode


class PlayedWorker:
    """Answers with what the test puts; a kill closes the channel, as it does with a real one."""

    def __init__(self) -> None:
        self.channel = self
        self.answers: queue.Queue[Any] = queue.Queue()
        self.jobs: queue.Queue[Any] = queue.Queue()
        self.closed = threading.Event()
        self.killed = threading.Event()

    def forget_output(self) -> None:
        pass

    def give(self, job: Any) -> None:
        self.jobs.put(job)

    def receive(self, timeout_s: float | None) -> bytes:
        answer = self.answers.get(timeout=SOON_S)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else PACK(answer)

    def kill(self) -> None:
        self.killed.set()
        self.answers.put(ChannelClosedError())

    def exit_status(self, timeout_s: float) -> int:
        return 9

    def output(self) -> str:
        return ""

    def close(self) -> None:
        self.closed.set()


class PlayedServer:
    def __init__(self) -> None:
        self.spawned: queue.Queue[PlayedWorker] = queue.Queue()
        self.count = 0
        self.problem: Exception | None = None

    def spawn(self) -> Any:
        if self.problem is not None:
            raise self.problem
        self.count += 1
        worker = PlayedWorker()
        self.spawned.put(worker)
        return worker


class Bench:
    def __init__(self) -> None:
        self.server = PlayedServer()
        self.estimator = Estimator(self.server, cpu_s=5.0, memory_bytes=2**30)

    def ask(self, timeout_s: float = SOON_S) -> tuple[Any, Any]:
        run = runs.run(runs.qasm3("qubit q;"))
        return run, self.estimator.ask(run, timeout_s)

    def worker(self) -> PlayedWorker:
        return self.server.spawned.get(timeout=SOON_S)


@pytest.fixture
def bench() -> Any:
    found = Bench()
    yield found
    found.estimator.close()
    assert all(not thread.is_alive() for thread in found.estimator._threads)


def test_no_worker_before_the_first_question_and_one_for_many(bench: Bench) -> None:
    assert bench.server.count == 0
    run, future = bench.ask()
    worker = bench.worker()
    job = worker.jobs.get(timeout=SOON_S)
    assert (job.run, job.cpu_s, job.is_dry_run) == (run, 5.0, True)
    worker.answers.put(Stage(stage="reading"))
    worker.answers.put(Estimated(dry_run=FOUND))
    assert future.result(SOON_S) == FOUND


def test_errors_come_through_and_the_worker_stays(bench: Bench) -> None:
    _, future = bench.ask()
    worker = bench.worker()
    worker.answers.put(Failed(code="program.too_costly", message="3 h", hint="Use fewer qubits."))
    error = future.exception(SOON_S)
    assert isinstance(error, ProgramError)
    assert (error.code, error.hint) == ("program.too_costly", "Use fewer qubits.")
    assert not worker.closed.is_set()


def test_a_worn_worker_is_let_go(bench: Bench) -> None:
    _, future = bench.ask()
    worker = bench.worker()
    worker.answers.put(Estimated(dry_run=FOUND, is_last=True))
    assert future.result(SOON_S) == FOUND
    assert worker.closed.wait(SOON_S)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xc1",
        PACK({"type": "estimated"}),
        ChannelClosedError(),
        MessageTooLargeError(9, 1),
        MemoryError(),
    ],
    ids=["nothing", "no msgpack", "no dry run", "death", "too large", "MemoryError"],
)
def test_whatever_a_worker_does_costs_the_worker_only(bench: Bench, answer: Any) -> None:
    _, future = bench.ask()
    first = bench.worker()
    first.answers.put(answer)
    assert isinstance(future.exception(SOON_S), QmioError)
    assert first.closed.wait(SOON_S)
    _, future = bench.ask()
    bench.worker().answers.put(Estimated(dry_run=FOUND))
    assert future.result(SOON_S) == FOUND


def test_a_server_that_cannot_fork_is_told(bench: Bench) -> None:
    bench.server.problem = AgentError("no worker process could be started")
    assert isinstance(bench.ask()[1].exception(SOON_S), AgentError)
    bench.server.problem = None
    _, future = bench.ask()
    bench.worker().answers.put(Estimated(dry_run=FOUND))
    assert future.result(SOON_S) == FOUND


def test_the_deadline_kills(bench: Bench) -> None:
    _, future = bench.ask(timeout_s=0.05)
    worker = bench.worker()
    error = future.exception(SOON_S)
    assert isinstance(error, DeadlineError)
    assert "0.05 s" in error.message
    assert worker.killed.is_set()
    assert worker.closed.wait(SOON_S)


def test_an_answer_that_comes_with_the_kill_is_too_late(bench: Bench) -> None:
    """Whatever crossed the kill: the worker is as good as dead, and must not be asked again."""
    run, future = bench.ask()
    worker = bench.worker()
    worker.jobs.get(timeout=SOON_S)
    worker.kill = lambda: worker.answers.put(Estimated(dry_run=FOUND))  # type: ignore[method-assign]
    bench.estimator.stop(run.task_id)
    assert isinstance(future.exception(SOON_S), TaskCancelledError)
    assert worker.closed.wait(SOON_S)


def test_the_deadline_counts_from_the_question_also_for_those_that_wait(bench: Bench) -> None:
    busy = [bench.ask() for _ in range(estimators.SLOTS)]
    workers = [bench.worker() for _ in busy]
    _, waiting = bench.ask(timeout_s=0.05)
    assert isinstance(waiting.exception(SOON_S), DeadlineError)
    for worker in workers:
        worker.answers.put(Estimated(dry_run=FOUND))
    assert [future.result(SOON_S) for _, future in busy] == [FOUND] * estimators.SLOTS
    assert bench.server.count == estimators.SLOTS


def test_one_that_takes_long_keeps_nobody_waiting(bench: Bench) -> None:
    slow, first = bench.ask()
    stuck = bench.worker()
    stuck.jobs.get(timeout=SOON_S)
    _, second = bench.ask()
    bench.worker().answers.put(Estimated(dry_run=FOUND))
    assert second.result(SOON_S) == FOUND
    assert not first.done()
    bench.estimator.stop(slow.task_id)
    assert isinstance(first.exception(SOON_S), TaskCancelledError)
    assert stuck.killed.is_set()


def test_stopping_one_that_waits(bench: Bench) -> None:
    for _ in range(estimators.SLOTS):
        bench.ask()
    run, waiting = bench.ask()
    bench.estimator.stop(run.task_id)
    bench.estimator.stop(run.task_id)
    assert isinstance(waiting.exception(SOON_S), TaskCancelledError)


def test_an_idle_worker_is_let_go_and_comes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimators, "IDLE_S", 0.01)
    for count in (1, 2):
        _, future = bench.ask()
        worker = bench.worker()
        worker.answers.put(Estimated(dry_run=FOUND))
        assert future.result(SOON_S) == FOUND
        assert worker.closed.wait(SOON_S)
        assert bench.server.count == count


def test_closing_ends_every_question(bench: Bench) -> None:
    asked = [bench.ask()[1] for _ in range(estimators.SLOTS + 2)]
    bench.estimator.close()
    for future in asked:
        assert isinstance(future.exception(SOON_S), AgentError)
    assert isinstance(bench.ask()[1].exception(SOON_S), AgentError)
    bench.estimator.close()
