"""The pool's threads and channels, with workers and a server that are played."""

import socket
import threading
import time

import msgspec
import pytest
from msgspec.structs import replace

from qmio_jupyter.drivers.workers import pool as pools
from qmio_jupyter.drivers.workers.channel import (
    ANSWER_BYTES,
    SMALL_BYTES,
    Channel,
    ChannelClosedError,
    ChannelTimeoutError,
    MessageTooLargeError,
)
from qmio_jupyter.drivers.workers.fork import Worker
from qmio_jupyter.drivers.workers.messages import Done, Failed, Job, Partial, Stage
from qmio_jupyter.errors import AgentError, QmioError
from qmio_jupyter.model.device import CostModel, Snapshot
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.testing import runs

SOON_S = 30
PROGRAM = runs.qasm3("qubit q;")
PACK = msgspec.msgpack.encode


def good(run):
    result = TaskResult(
        task_id=run.task_id, device="d", items=(), shots=1, shots_done=1, revision=1, is_final=True, seed=1
    )
    return PACK(Done(result=result))


class PlayedWorker:
    """Answers each job with what the test says: bytes, or an exception raised where the agent listens."""

    pid = 0

    def __init__(self, answers, answer_for):
        self.answers = answers
        self.answer_for = answer_for
        self.channel = self
        self.closed = threading.Event()
        self.waits = []
        self.given = []
        self.takes_at_once = True

    def forget_output(self):
        pass

    def give(self, job):
        self.job = job
        self.given.append("thread")

    def give_at_once(self, job):
        if isinstance(self.takes_at_once, Exception):
            raise self.takes_at_once
        if self.takes_at_once:
            self.job = job
            self.given.append("caller")
        return self.takes_at_once

    def receive(self, timeout_s):
        self.waits.append(timeout_s)
        answer = self.answer_for.pop(self.job.run.task_id, None) or self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else answer(self.job.run)

    def kill(self):
        pass

    def close(self):
        self.closed.set()


class PlayedServer:
    pid = None

    def __init__(self, answers):
        self.answers = answers
        #: By task, where workers run at the same time.
        self.answer_for = {}
        self.workers = []

    def spawn(self):
        if self.answers and isinstance(self.answers[0], Exception) and self.answers[0].args == ("spawn",):
            raise self.answers.pop(0)
        worker = PlayedWorker(self.answers, self.answer_for)
        self.workers.append(worker)
        return worker

    def close(self):
        pass


@pytest.fixture
def make_pool(monkeypatch):
    made = []

    def make(*answers, size=1, **more):
        server = PlayedServer(list(answers))
        monkeypatch.setattr(pools, "ForkServer", lambda module, memory_bytes, snapshot: server)
        limits = pools.PoolLimits(memory_bytes=1, cpu_s=1, wall_s=SOON_S, compile_s=SOON_S)
        made.append(pools.Pool("played", size, limits, **more))
        return made[-1], server

    yield make
    for pool in made:
        pool.close()


def run_one(pool):
    return pool.start(runs.run(PROGRAM), lambda result: None, lambda stage: None)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xc1 no msgpack",
        PACK({"type": "done"}),
        PACK({"type": "done", "result": {"task_id": 7}}),
        MemoryError(),
        ValueError("x"),
        IndexError(),
    ],
    ids=["nothing", "no msgpack", "no result", "a wrong result", "MemoryError", "ValueError", "IndexError"],
)
def test_whatever_a_worker_answers_the_job_ends_and_the_next_one_runs(make_pool, answer):
    pool, server = make_pool(answer, good)
    error = run_one(pool).exception(SOON_S)
    assert isinstance(error, QmioError)
    assert error.code == "agent.worker"
    assert error.hint
    assert server.workers[0].closed.is_set()
    assert run_one(pool).result(SOON_S).is_final


def test_a_server_that_cannot_fork_costs_an_error_not_the_thread(make_pool):
    pool, _ = make_pool(MemoryError("spawn"), ValueError("spawn"), good)
    assert run_one(pool).exception(SOON_S).code == "agent.worker"
    assert run_one(pool).result(SOON_S).is_final


def test_a_callback_that_fails_costs_its_job_only(make_pool):
    pool, server = make_pool(good, good)

    def broken(stage):
        raise KeyError(stage)

    future = pool.start(runs.run(PROGRAM), lambda result: None, broken)
    assert future.exception(SOON_S).code == "agent.worker"
    assert server.workers[0].closed.is_set()
    assert run_one(pool).result(SOON_S).is_final


def test_an_answer_that_is_too_large_names_its_size(make_pool):
    pool, server = make_pool(MessageTooLargeError(123_456_789, ANSWER_BYTES), good)
    error = run_one(pool).exception(SOON_S)
    assert error.code == "limit.size"
    assert "123456789" in error.message
    assert server.workers[0].closed.is_set()
    assert run_one(pool).result(SOON_S).is_final


@pytest.fixture
def ends():
    agent, worker = socket.socketpair()
    with agent, worker:
        yield Channel.of_agent(agent), worker


def test_what_an_agent_takes_is_bounded_before_anything_is_read(ends):
    channel, raw = ends
    raw.sendall((ANSWER_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(MessageTooLargeError) as caught:
        channel.receive(SOON_S)
    assert caught.value.size == ANSWER_BYTES + 1


def test_an_announced_answer_of_the_largest_size_is_waited_for(ends):
    channel, raw = ends
    raw.sendall(ANSWER_BYTES.to_bytes(4, "big"))
    with pytest.raises(ChannelTimeoutError):
        channel.receive(0.01)


def test_nothing_is_sent_of_what_the_other_end_would_not_take():
    agent, worker = socket.socketpair()
    with agent, worker:
        channel = Channel(worker, send_bytes=100, receive_bytes=0)
        with pytest.raises(MessageTooLargeError):
            channel.send(Failed(code="x", message="y" * 100))
        channel.send(Stage(stage="running"))
        data = Channel.of_agent(agent).receive(SOON_S)
    assert msgspec.msgpack.decode(data, type=Stage).stage == "running"


CLOCK = CostModel(t0_s=5.0, per_shot_s=1.0)


def told(run, *, revision, done, final=False):
    result = TaskResult(
        task_id=run.task_id,
        device="d",
        items=(),
        shots=1000,
        shots_done=done,
        revision=revision,
        is_final=final,
        seed=1,
    )
    return PACK(Done(result=result) if final else Partial(result=result))


def test_a_second_try_goes_on_where_the_first_was_told(make_pool):
    """A worker is killed after two batches; the next one begins anew, and nobody sees counts go back."""
    pool, _ = make_pool(
        lambda run: told(run, revision=1, done=300),
        lambda run: told(run, revision=2, done=600),
        AgentError("killed", code="agent.worker", retryable=True),
        lambda run: told(run, revision=1, done=200),
        lambda run: told(run, revision=2, done=600),
        lambda run: told(run, revision=3, done=800),
        lambda run: told(run, revision=4, done=1000, final=True),
    )
    heard = []
    final = pool.start(runs.run(PROGRAM), heard.append, lambda stage: None).result(SOON_S)
    assert [(r.revision, r.shots_done) for r in (*heard, final)] == [(1, 300), (2, 600), (3, 800), (4, 1000)]


def test_a_worker_is_told_the_clock_and_given_its_time(make_pool):
    pool, server = make_pool(PACK(Stage(stage=pools.RUNNING)), good, good)
    pool.start(runs.run(PROGRAM, shots=100), lambda _: None, lambda _: None, clock=CLOCK).result(SOON_S)
    assert server.workers[0].job.clock == CLOCK
    assert [min(SOON_S, t) == pytest.approx(SOON_S, abs=5) for t in server.workers[0].waits] == [True, True]
    assert server.workers[0].waits[1] == pytest.approx(SOON_S + 5 + 100, abs=5)
    run_one(pool).result(SOON_S)
    assert server.workers[0].job.clock is None


def test_those_that_keep_the_clock_have_the_device_one_by_one(make_pool):
    """Two workers: of three jobs two keep the clock; the third one need not wait for them."""
    go_on = {"first": threading.Event(), "second": threading.Event()}
    began = threading.Event()
    order = []

    def until(name):
        def answer(run):
            order.append(name)
            began.set()
            assert go_on[name].wait(SOON_S)
            return good(run)

        return answer

    def free(run):
        order.append("free")
        return good(run)

    pool, server = make_pool(size=2)
    jobs = {name: runs.run(PROGRAM) for name in ("first", "second", "free")}
    server.answer_for.update(
        {jobs[name].task_id: until(name) for name in go_on} | {jobs["free"].task_id: free}
    )
    futures = {
        name: pool.start(run, lambda _: None, lambda _: None, clock=None if name == "free" else CLOCK)
        for name, run in jobs.items()
    }
    assert futures["free"].result(SOON_S)
    assert began.wait(SOON_S)  # the other worker may be slower to begin
    assert sorted(order) == ["first", "free"]
    go_on["first"].set()
    assert futures["first"].result(SOON_S)
    go_on["second"].set()
    assert futures["second"].result(SOON_S)
    assert order[-1] == "second"


def test_a_pool_that_is_not_warm_has_no_worker_before_its_first_job_and_then_keeps_one(make_pool):
    pool, server = make_pool(good, good, is_warm=False)
    assert server.workers == []
    assert run_one(pool).result(SOON_S).is_final
    assert run_one(pool).result(SOON_S).is_final
    assert len(server.workers) == 1


def test_a_worker_is_given_a_snapshot_once():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Worker(0, -1, Channel.of_agent(ours), -1, -1, "first")
        told = Channel.of_worker(theirs)
        run = runs.run(runs.qasm3("qubit q;"))
        for name, is_sent in [("first", False), ("second", True), ("second", False), ("first", True)]:
            snapshot = Snapshot(snapshot_id=name, device="device", taken_ms=1, data=b"{}")
            worker.give(Job(run=replace(run, snapshot=snapshot), cpu_s=1.0))
            job = msgspec.msgpack.decode(told.receive(5), type=Job)
            assert job.run.snapshot == (snapshot if is_sent else None)
            assert job.has_snapshot is not is_sent
        worker.give(Job(run=run, cpu_s=1.0))
        assert not msgspec.msgpack.decode(told.receive(5), type=Job).has_snapshot


def idle(pool):
    """Wait until a slot with a worker waits for a job."""
    deadline = time.monotonic() + SOON_S
    while not any(slot.worker is not None for slot in pool._idle):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_job_that_finds_an_idle_worker_is_sent_by_its_starter(make_pool):
    pool, server = make_pool(good, good)
    idle(pool)
    assert run_one(pool).result(SOON_S).is_final
    assert server.workers[0].given == ["caller"]


@pytest.mark.parametrize("refusal", [False, OSError("closed")], ids=["no", "an error"])
def test_what_cannot_be_sent_at_once_is_sent_by_the_thread(make_pool, refusal):
    pool, server = make_pool(good)
    idle(pool)
    server.workers[0].takes_at_once = refusal
    assert run_one(pool).result(SOON_S).is_final
    assert server.workers[0].given == ["thread"]


def test_a_large_job_does_not_keep_its_starter(make_pool):
    pool, server = make_pool(good)
    idle(pool)
    large = runs.qasm3("qubit q;" + " " * SMALL_BYTES)
    assert pool.start(runs.run(large), lambda _: None, lambda _: None).result(SOON_S).is_final
    assert server.workers[0].given == ["thread"]


def test_a_second_try_is_sent_anew(make_pool):
    pool, server = make_pool(AgentError("killed", code="agent.worker", retryable=True), good)
    idle(pool)
    assert run_one(pool).result(SOON_S).is_final
    assert [worker.given for worker in server.workers] == [["caller"], ["thread"]]


def test_closing_ends_jobs_that_were_just_given(make_pool):
    pool, server = make_pool(lambda run: pytest.fail("it was killed before"))
    idle(pool)
    stopped = threading.Event()
    worker = server.workers[0]
    worker.kill = stopped.set
    worker.receive = lambda timeout_s: stopped.wait(SOON_S) and good(worker.job.run)
    future = run_one(pool)
    pool.close()
    assert stopped.is_set()
    assert future.done()
    assert isinstance(run_one(pool).exception(SOON_S), AgentError)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_many_jobs_from_many_threads_end_once_each(make_pool, size):
    count = 200
    pool, _ = make_pool(*[good] * (4 * count), size=size)
    futures, lock = [], threading.Lock()

    def submit():
        for _ in range(count):
            future = run_one(pool)
            with lock:
                futures.append(future)

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    found = [future.result(SOON_S).task_id for future in futures]
    assert len(set(found)) == 4 * count
    assert pool.running == 0


def test_messages_of_every_size_arrive_whole():
    agent, worker = socket.socketpair()
    with agent, worker:
        ours, theirs = Channel.of_agent(agent), Channel.of_worker(worker)
        sizes = [0, 1, SMALL_BYTES - 100, SMALL_BYTES, SMALL_BYTES + 1, 3 * SMALL_BYTES]
        for size in sizes:
            message = Failed(code="x", message="y" * size)
            if not ours.send_at_once(message):
                assert size >= SMALL_BYTES - 100
                sender = threading.Thread(target=ours.send, args=(message,))
                sender.start()
                data = theirs.receive(SOON_S)
                sender.join(SOON_S)
            else:
                data = theirs.receive(SOON_S)
            assert msgspec.msgpack.decode(data, type=Failed) == message


def test_nothing_is_sent_at_once_to_an_end_that_is_gone():
    agent, worker = socket.socketpair()
    with agent:
        channel = Channel.of_agent(agent)
        worker.close()
        assert not channel.send_at_once(Stage(stage="x"))
        with pytest.raises(ChannelClosedError):
            channel.send(Stage(stage="x"))
