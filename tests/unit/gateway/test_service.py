"""The loop, with a router and a disk under the test's control: nothing leaves before its commit."""

import asyncio
import contextlib
import os
from concurrent.futures import Future

import pytest

from qmio_jupyter.errors import StoreError
from qmio_jupyter.gateway import backlog, recovery
from qmio_jupyter.gateway import service as service_module
from qmio_jupyter.gateway.log import GatewayLog
from qmio_jupyter.gateway.service import Service
from qmio_jupyter.gateway.turn import packet
from qmio_jupyter.model.result import Outcome
from qmio_jupyter.model.task import ClaimRef, TaskState
from qmio_jupyter.ports import Peer
from qmio_jupyter.transport.zeromq_router import Received
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach, decode

DEADLINE_S = 20


class FakeRouter:
    """Messages that a test puts in, packets that the service sent; readable like a real one."""

    def __init__(self):
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.waiting = []
        self.sent = []
        self.gone = []
        self.dropped = []
        self.unsent = {}
        self.stuck = []
        self.looks = 0
        self.serial = 0
        self.changed = asyncio.Event()

    def put(self, connection, key, body, blobs=()):
        self.serial += 1
        self.waiting.append(
            Received(connection, Peer(key=key, address=""), attach(body, blobs, id=self.serial))
        )
        os.eventfd_write(self.fd, 1)
        return self.serial

    def ready(self):
        return bool(self.waiting)

    def receive(self, at_most):
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.fd)
        taken, self.waiting = self.waiting[:at_most], self.waiting[at_most:]
        return taken

    def send_encoded(self, connection, frames):
        self.sent.append((connection, decode(frames, m.Limits())))
        self.changed.set()
        return True

    def unsent_bytes(self, connection=None):
        self.looks += 1
        return sum(self.unsent.values()) if connection is None else self.unsent.get(connection, 0)

    def stalled(self, seconds):
        found, self.stuck = self.stuck, []
        return found

    def peer(self, connection):
        return Peer(key="", address="")

    def departed(self):
        gone, self.gone = self.gone, []
        return gone

    def drop(self, connection):
        self.dropped.append(connection)

    def answers(self, number):
        return [packet.envelope.body for _, packet in self.sent if packet.envelope.re == number]

    async def answer(self, number):
        async with asyncio.timeout(DEADLINE_S):
            while not self.answers(number):
                self.changed.clear()
                await self.changed.wait()
        (body,) = self.answers(number)
        return body


class SlowStore:
    """A memory store whose commits end when the test says so, in order, or fail."""

    def __init__(self, store):
        self.store = store
        self.pending = []
        self.is_held = False
        self.is_broken = False
        self.asked_at_once = []

    def __getattr__(self, name):
        return getattr(self.store, name)

    def resume(self):
        pass

    def commit(self, batch, *, at_once=False):
        self.asked_at_once.append(at_once)
        future = Future()
        self.pending.append((future, list(batch)))
        if not self.is_held:
            self.let_go()
        return future

    def let_go(self, count=None):
        taken, self.pending = self.pending[:count], self.pending[count:] if count else []
        for future, batch in taken:
            if self.is_broken:
                future.set_exception(StoreError("the disk says no"))
            else:
                self.store.commit(batch).result(0)
                future.set_result(None)


class Bench:
    """A service at work on a counter's desk."""

    def __init__(self, counter, path, *, outruns):
        self.counter = counter
        self.router = FakeRouter()
        self.store = SlowStore(counter.store)
        self.log = GatewayLog(path, self)
        self.service = Service(
            counter.desk,
            self.router,
            self.store,
            reload=counter.core,
            clock=self,
            log=self.log,
            outruns=outruns,
        )
        self.running = asyncio.create_task(self.service.run())

    def now_ms(self):
        return self.counter.now_ms

    async def settle(self):
        """Let the loop do what it can do now."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def close(self):
        self.store.is_held = False
        self.store.let_go()
        self.service.stop()
        await asyncio.wait_for(self.running, DEADLINE_S)
        self.log.close()
        os.close(self.router.fd)


@pytest.fixture
def play(counter, tmp_path):
    """Run a scenario against a service."""

    def play(scenario, *, outruns=False):
        async def main():
            bench = Bench(counter, tmp_path / "log", outruns=outruns)
            try:
                await scenario(bench, bench.router, bench.store)
            finally:
                await bench.close()

        asyncio.run(main())

    return play


def test_replies_wait_for_the_disk_and_keep_their_order(play, keys):
    async def scenario(bench, router, store):
        store.is_held = True
        hello = router.put(1, keys.ana, m.Hello())
        await bench.settle()
        ping = router.put(1, keys.ana, m.Ping())
        await bench.settle()
        assert len(store.pending) == 1
        assert not router.waiting, "both were read"
        assert router.sent == []
        store.let_go()
        await router.answer(ping)
        assert [packet.envelope.re for _, packet in router.sent] == [hello, ping]

    play(scenario)


def test_several_turns_are_on_their_way_to_the_disk_at_once(play, keys):
    async def scenario(bench, router, store):
        store.is_held = True
        first = router.put(1, keys.ana, m.Hello())
        await bench.settle()
        second = router.put(2, keys.ben, m.Hello())
        await bench.settle()
        assert len(store.pending) == 2
        store.let_go(1)
        await router.answer(first)
        assert router.answers(second) == []
        store.let_go()
        await router.answer(second)

    play(scenario)


def test_messages_of_one_turn_are_one_batch(play, keys):
    async def scenario(bench, router, store):
        store.is_held = True
        numbers = [router.put(1, keys.ana, m.Hello()), router.put(2, keys.ben, m.Hello())]
        await bench.settle()
        assert len(store.pending) == 1
        store.let_go()
        for number in numbers:
            assert isinstance(await router.answer(number), m.Welcome)

    play(scenario)


def test_only_who_is_alone_is_written_at_once(play, keys):
    async def scenario(bench, router, store):
        await router.answer(router.put(1, keys.ana, m.Hello()))
        assert store.asked_at_once == [True]
        numbers = [
            router.put(number, key, m.Hello())
            for number, key in ((2, keys.ben), (3, keys.agent), (4, keys.ana))
        ]
        for number in numbers:
            await router.answer(number)
        assert store.asked_at_once == [True, False], "three in one turn: the loop may go on meanwhile"
        store.is_held = True
        first = router.put(1, keys.ana, m.SessionClose())
        await bench.settle()
        second = router.put(1, keys.ana, m.Hello())
        await bench.settle()
        assert store.asked_at_once[2:] == [True, False], "what is under way goes first"
        store.let_go()
        for number in (first, second):
            await router.answer(number)

    play(scenario)


@pytest.mark.parametrize("outruns", [False, True])
def test_where_it_is_allowed_a_dispatch_leaves_while_its_commit_is_under_way(play, keys, outruns):
    """Its reply waits for the disk in any case."""

    def dispatched(router):
        return [to for to, sent in router.sent if isinstance(sent.envelope.body, m.ClaimDispatch)]

    async def scenario(bench, router, store):
        finished(bench.counter, keys.ana)
        store.is_held = True
        number = router.put(1, keys.ana, bench.counter.submission())
        await bench.settle()
        assert store.asked_at_once == [not outruns]
        assert dispatched(router) == ([9] if outruns else [])
        assert router.answers(number) == []
        store.let_go()
        assert isinstance(await router.answer(number), m.TaskAccepted)
        assert dispatched(router) == [9]

    play(scenario, outruns=outruns)


def test_a_dispatch_that_outran_a_failed_commit_is_of_a_life_that_is_over(play, keys):
    """What its agent says of it is refused, and the task was never accepted."""

    async def scenario(bench, router, store):
        finished(bench.counter, keys.ana)
        store.is_held = store.is_broken = True
        number = router.put(1, keys.ana, bench.counter.submission())
        await bench.settle()
        store.let_go()
        assert (await router.answer(number)).error.retryable
        store.is_held = store.is_broken = False
        (sent,) = [s.envelope.body for _, s in router.sent if isinstance(s.envelope.body, m.ClaimDispatch)]
        outcome = Outcome(state=TaskState.FAILED, error_code="program", error_message="it is wrong")
        async with asyncio.timeout(DEADLINE_S):
            while bench.counter.desk.is_suspended:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert bench.counter.desk.core.epoch > sent.ref.epoch
        answer = await router.answer(router.put(9, keys.agent, m.ClaimFinish(ref=sent.ref, outcome=outcome)))
        assert answer.error.code == "task.stale_claim"
        assert bench.counter.desk.core.live_tasks == 0

    play(scenario, outruns=True)


def test_a_receipt_goes_with_what_its_agent_is_sent_next(play, keys):
    receipt = packet(m.ClaimRecorded(ref=ClaimRef(task_id="t-01", epoch=1, attempt=1)))

    def told(router):
        return [type(sent.envelope.body) for to, sent in router.sent if to == 9]

    async def scenario(bench, router, store):
        await router.answer(router.put(9, keys.agent, m.Hello()))
        router.sent.clear()
        bench.service._put(9, receipt)
        await router.answer(router.put(9, keys.agent, m.Ping()))
        assert told(router) == [m.ClaimRecorded, m.Pong]

    play(scenario)


def test_a_receipt_does_not_wait_for_long(play, keys):
    receipt = packet(m.ClaimRecorded(ref=ClaimRef(task_id="t-01", epoch=1, attempt=1)))

    async def scenario(bench, router, store):
        await router.answer(router.put(9, keys.agent, m.Hello()))
        router.sent.clear()
        bench.service._put(9, receipt)
        assert router.sent == []
        async with asyncio.timeout(DEADLINE_S):
            while not router.sent:
                router.changed.clear()
                await router.changed.wait()
        assert router.sent == [(9, receipt)]

    play(scenario)


def test_receipts_are_sent_before_the_end(play, keys):
    receipt = packet(m.ClaimRecorded(ref=ClaimRef(task_id="t-01", epoch=1, attempt=1)))

    async def scenario(bench, router, store):
        await router.answer(router.put(9, keys.agent, m.Hello()))
        bench.service._put(9, receipt)
        bench.service.stop()
        await asyncio.wait_for(bench.running, DEADLINE_S)
        assert (9, receipt) in router.sent

    play(scenario)


def test_more_than_a_turn_takes_is_read_without_another_edge(play, keys):
    async def scenario(bench, router, store):
        numbers = [router.put(1, keys.ana, m.Ping()) for _ in range(5 * service_module.DRAIN)]
        await router.answer(numbers[-1])
        assert all(router.answers(number) for number in numbers)

    play(scenario)


def test_a_slow_disk_slows_down_who_asks(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "MOST_UNDER_WAY", 2)

    async def scenario(bench, router, store):
        store.is_held = True
        numbers = []
        for connection in range(1, 5):
            numbers.append(router.put(connection, keys.ana, m.SessionClose()))
            numbers.append(router.put(connection, keys.ana, m.Hello()))
            await bench.settle()
        assert len(store.pending) == 2
        assert router.waiting, "the rest stays with the transport"
        store.is_held = False
        store.let_go()
        await router.answer(numbers[-1])

    play(scenario)


def test_a_failed_commit_refuses_everything_that_waited_and_comes_back(play, keys, monkeypatch):
    monkeypatch.setattr(recovery, "PROBE_S", 0.01)

    async def scenario(bench, router, store):
        await router.answer(router.put(9, keys.agent, m.Hello()))
        epoch = bench.counter.desk.core.epoch
        store.is_held = True
        lost = [router.put(1, keys.ana, m.Hello())]
        await bench.settle()
        lost.append(router.put(1, keys.ana, m.Ping()))
        await bench.settle()
        store.is_broken = True
        store.is_held = False
        store.let_go()
        for number in lost:
            answer = await router.answer(number)
            assert (answer.error.code, answer.error.retryable) == ("store", True)
        refused = await router.answer(router.put(1, keys.ana, m.Hello()))
        assert (refused.error.code, refused.error.retryable) == ("store", True)
        store.is_broken = False
        async with asyncio.timeout(DEADLINE_S):
            while bench.counter.desk.is_suspended:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        welcome = await router.answer(router.put(1, keys.ana, m.Hello()))
        assert welcome.epoch == epoch + 1
        told = [to for to, packet in router.sent if isinstance(packet.envelope.body, m.Restarted)]
        assert sorted(told) == [1, 9]

    play(scenario)


def test_a_defect_is_answered_once_and_the_others_are_asked_again(play, keys, monkeypatch):
    monkeypatch.setattr(recovery, "PROBE_S", 0.01)

    async def scenario(bench, router, store):
        desk = bench.counter.desk
        receive = desk.receive

        def broken(connection, peer, packet, now_ms):
            if isinstance(packet.envelope.body, m.SessionShow):
                raise ZeroDivisionError
            return receive(connection, peer, packet, now_ms)

        desk.receive = broken
        before = router.put(1, keys.ana, m.Hello())
        poison = router.put(1, keys.ana, m.SessionShow())
        after = router.put(2, keys.ana, m.TaskList())
        answer = await router.answer(poison)
        assert (answer.error.code, answer.error.retryable) == ("internal", False)
        for number in (before, after):
            error = (await router.answer(number)).error
            assert (error.code, error.retryable) == ("store", True)
        # Its records may be with the writer already: nobody may be told that nothing was accepted.
        assert "may have been accepted" in router.answers(before)[0].error.message

    play(scenario)


@pytest.mark.parametrize("broken", ["load_live", "resume"])
def test_recovery_survives_what_nobody_foresaw(play, keys, monkeypatch, broken):
    monkeypatch.setattr(recovery, "PROBE_S", 0.01)

    async def scenario(bench, router, store):
        epoch = bench.counter.desk.core.epoch
        tries = []

        def fail():
            tries.append(1)
            if len(tries) < 3:
                raise ZeroDivisionError
            return getattr(store.store, broken)()

        monkeypatch.setattr(store, broken, fail, raising=False)
        store.is_broken = True
        await router.answer(router.put(1, keys.ana, m.Hello()))
        store.is_broken = False
        async with asyncio.timeout(DEADLINE_S):
            while bench.counter.desk.is_suspended:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert len(tries) == 3
        assert (await router.answer(router.put(1, keys.ana, m.Hello()))).epoch == epoch + 1

    play(scenario)


def test_a_core_that_cannot_be_adopted_is_reloaded_again(play, keys, monkeypatch):
    monkeypatch.setattr(recovery, "PROBE_S", 0.01)

    async def scenario(bench, router, store):
        desk = bench.counter.desk
        epoch, adopt, adopted = desk.core.epoch, desk.adopt, []

        def fail(core):
            adopted.append(core.epoch)
            if len(adopted) == 1:
                raise ZeroDivisionError
            return adopt(core)

        desk.adopt = fail
        store.is_broken = True
        await router.answer(router.put(1, keys.ana, m.Hello()))
        store.is_broken = False
        async with asyncio.timeout(DEADLINE_S):
            while desk.is_suspended:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert adopted == [epoch + 1, epoch + 2]

    play(scenario)


def test_housekeeping_goes_on_after_an_exception(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "HOUSEKEEPING_S", 0.01)

    async def scenario(bench, router, store):
        await router.answer(router.put(1, keys.ana, m.Hello()))
        departed, calls = router.departed, []

        def fail():
            calls.append(1)
            if len(calls) == 1:
                raise ZeroDivisionError
            return departed()

        router.departed = fail
        router.gone.append(1)
        async with asyncio.timeout(DEADLINE_S):
            while bench.counter.desk.connections:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert not bench.counter.desk.is_suspended

    play(scenario)


def test_a_departure_that_meets_a_defect_discards_the_core(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(recovery, "PROBE_S", 0.01)

    async def scenario(bench, router, store):
        await router.answer(router.put(1, keys.ana, m.Hello()))
        desk = bench.counter.desk
        epoch, disconnected = desk.core.epoch, desk.disconnected

        def fail(connection, now_ms):
            desk.disconnected = disconnected
            raise ZeroDivisionError

        desk.disconnected = fail
        router.gone.append(1)
        async with asyncio.timeout(DEADLINE_S):
            while desk.core.epoch == epoch or desk.is_suspended:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    play(scenario)


def test_departed_connections_are_forgotten(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "HOUSEKEEPING_S", 0.01)

    async def scenario(bench, router, store):
        await router.answer(router.put(1, keys.ana, m.Hello()))
        assert bench.counter.desk.connections == 1
        router.gone.append(1)
        async with asyncio.timeout(DEADLINE_S):
            while bench.counter.desk.connections:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    play(scenario)


def finished(counter, key):
    """Greet over connections 1 and 2 and return the id of a task that has a result."""
    counter.announce()
    counter.hello(1, key)
    counter.hello(2, key)
    task_id = counter.submit()
    counter.finish(counter.bodies(9, m.ClaimDispatch)[-1].ref)
    return task_id


def test_results_are_not_fetched_for_who_does_not_read_them(play, keys, monkeypatch):
    async def scenario(bench, router, store):
        task_id = finished(bench.counter, keys.ana)
        fetched = []

        def result(task_id, *, partial):
            fetched.append(task_id)
            return store.store.result(task_id, partial=partial)

        monkeypatch.setattr(store, "result", result, raising=False)
        router.unsent = {1: service_module.MOST_QUEUED + 1}
        waiting = [router.put(1, keys.ana, m.TaskResultGet(task_id=task_id)) for _ in range(3)]
        waiting.append(router.put(1, keys.ana, m.Ping()))
        other = router.put(2, keys.ana, m.TaskResultGet(task_id=task_id))
        assert isinstance(await router.answer(other), m.TaskResultData)
        assert len(fetched) == 1
        assert not any(router.answers(number) for number in waiting), "nothing overtakes what waits"
        looks = router.looks
        await bench.settle()
        assert router.looks <= looks + 4, "it must not turn in circles meanwhile"
        router.unsent.clear()
        await router.answer(waiting[-1])
        assert [packet.envelope.re for to, packet in router.sent if to == 1] == waiting
        assert len(fetched) == 4

    play(scenario)


def test_the_bound_in_all_holds_for_everybody(play, keys):
    async def scenario(bench, router, store):
        task_id = finished(bench.counter, keys.ana)
        router.unsent = {77: service_module.MOST_QUEUED_IN_ALL + 1}
        asked = router.put(1, keys.ana, m.TaskResultGet(task_id=task_id))
        assert isinstance(await router.answer(router.put(2, keys.ana, m.Ping())), m.Pong)
        assert not router.answers(asked)
        router.unsent.clear()
        assert isinstance(await router.answer(asked), m.TaskResultData)

    play(scenario)


def test_many_answers_are_fetched_one_after_the_other(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "MOST_QUEUED", 0)

    async def scenario(bench, router, store):
        task_id = finished(bench.counter, keys.ana)
        peak, put, outbox = [], bench.service._outbox.put, bench.service._outbox

        def counted(connection, packet):
            put(connection, packet)
            peak.append(len(outbox))

        monkeypatch.setattr(outbox, "put", counted)
        asked = [router.put(1, keys.ana, m.TaskResultGet(task_id=task_id)) for _ in range(5)]
        await router.answer(asked[-1])
        assert [packet.envelope.re for to, packet in router.sent] == asked
        assert max(peak) == 1

    play(scenario)


def test_who_takes_nothing_or_asks_without_end_is_given_up(play, keys, monkeypatch):
    monkeypatch.setattr(service_module, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(backlog, "MAX_WAITING", 3)

    async def scenario(bench, router, store):
        task_id = finished(bench.counter, keys.ana)
        router.unsent = {1: service_module.MOST_QUEUED + 1}
        for _ in range(4):
            router.put(1, keys.ana, m.TaskResultGet(task_id=task_id))
        router.stuck.append(2)
        async with asyncio.timeout(DEADLINE_S):
            while sorted(router.dropped) != [1, 2]:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert len(bench.service._backlog) == 0

    play(scenario)


def test_stopping_flushes_what_was_decided(play, keys):
    async def scenario(bench, router, store):
        await router.answer(router.put(1, keys.ana, m.Hello()))
        stop = router.put(1, keys.ana, m.GatewayStop())
        await asyncio.wait_for(bench.running, DEADLINE_S)
        assert isinstance(await router.answer(stop), m.Done)

    play(scenario)
