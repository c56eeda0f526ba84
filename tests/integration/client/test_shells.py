"""One contract for both shells, against a real gateway and the echo device."""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.client.aio import AsyncClient, AsyncTaskHandle
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect, mint_task_id
from qmio_jupyter.errors import (
    DeadlineError,
    DeviceError,
    GatewayError,
    LimitError,
    ProgramError,
    TaskCancelledError,
    TaskConflictError,
    TaskError,
    TaskFailedError,
    UnknownTaskError,
    UsageError,
)
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskOptions, TaskSpec, TaskState, TaskView
from qmio_jupyter.testing.home import Home


class Blocking:
    """Makes an asyncio client, and its handles, look like the synchronous ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, inner: Any) -> None:
        self._loop, self._inner = loop, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            value = self._loop.run_until_complete(found(*args, **kwargs))
            return Blocking(self._loop, value) if isinstance(value, AsyncTaskHandle) else value

        return call


@pytest.fixture(params=["sync", "asyncio"])
def client(request: pytest.FixtureRequest, shared: Home) -> Iterator[Any]:
    if request.param == "sync":
        with connect(environ=shared.environ, start=False) as found:
            yield found
        return
    loop = asyncio.new_event_loop()
    inner = AsyncClient(environ=shared.environ, start=False)
    yield Blocking(loop, inner)
    loop.run_until_complete(inner.close())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def program(data: bytes = b"a program") -> Program:
    return Program(digest=digest(data), media_type=OCTETS, data=data)


def spec(
    *programs: Program, shots: int = 100, seed: int | None = None, label: str = "", **echo: object
) -> TaskSpec:
    options = TaskOptions(seed=seed, device_options=tuple(sorted((k, str(v)) for k, v in echo.items())))
    return build_spec(programs or (program(),), device="echo", shots=shots, options=options, label=label)


def test_submit_wait_result(client: Any) -> None:
    handle = client.submit(spec(shots=1000, seed=7), [program()])
    result = handle.result(20)
    assert result.is_final
    assert (result.task_id, result.shots, result.shots_done, result.seed) == (handle.task_id, 1000, 1000, 7)
    pairs = handle.counts()
    assert sum(count for _, count in pairs) == 1000
    assert pairs == sorted(pairs)
    assert handle.done()
    assert handle.state is TaskState.COMPLETED
    assert [stamp.stage for stamp in handle.timeline][:2] == ["accepted", "queued"]
    assert client.result(handle.task_id) == result


def test_the_same_seed_gives_the_same_counts(client: Any) -> None:
    one, two = (client.submit(spec(seed=11), [program()]).result(20).items for _ in range(2))
    assert one == two


def test_several_items(client: Any) -> None:
    programs = [program(b"one"), program(b"two")]
    handle = client.submit(spec(*programs), programs)
    handle.result(20)
    assert sum(count for _, count in handle.counts(1)) == 100


def test_single_shots_are_kept_on_request_and_agree_with_the_counts(client: Any) -> None:
    asked = build_spec([program()], device="echo", shots=50, options=TaskOptions(seed=3, memory=True))
    handle = client.submit(asked, [program()])
    shots = handle.memory()
    assert len(shots) == 50
    assert [(outcome, shots.count(outcome)) for outcome in sorted(set(shots))] == handle.counts()
    with pytest.raises(UsageError, match="single shots"):
        client.submit(spec(), [program()]).memory()


def test_changes_are_told_in_order_to_the_end(client: Any) -> None:
    handle = client.submit(spec(shots=1000, seconds=0.6, partials=4), [program()])
    told: list[tuple[TaskView, TaskResult | None]] = []
    handle.wait(20, lambda view, partial: told.append((view, partial)))
    revisions = [view.revision for view, _ in told]
    assert revisions == sorted(revisions)
    assert told[-1][0].state is TaskState.COMPLETED
    done = [partial.shots_done for _, partial in told if partial is not None]
    assert done
    assert done == sorted(done)
    assert done[0] < 1000


def test_a_deadline_leaves_the_task_running_and_it_can_be_cancelled(client: Any) -> None:
    handle = client.submit(spec(seconds=60), [program()])
    with pytest.raises(DeadlineError) as caught:
        handle.wait(0.2)
    assert handle.task_id in caught.value.message
    assert not handle.done()
    assert handle.cancel().state in {TaskState.CANCELLING, TaskState.CANCELLED}
    with pytest.raises(TaskCancelledError):
        handle.result(10)
    assert client.cancel(handle.task_id).state is TaskState.CANCELLED


def test_a_failure_keeps_its_own_code(client: Any) -> None:
    handle = client.submit(spec(fail="program.syntax"), [program()])
    with pytest.raises(TaskFailedError) as caught:
        handle.result(20)
    assert caught.value.code == "program.syntax"


def test_a_repeated_submit_is_harmless_and_another_content_is_a_conflict(client: Any) -> None:
    task_id = mint_task_id()
    first = client.submit(spec(), [program()], task_id=task_id)
    first.wait(20)
    again = client.submit(spec(), [program()], task_id=task_id)
    assert again.task_id == task_id
    assert again.wait(20).revision == first.view.revision
    with pytest.raises(TaskConflictError):
        client.submit(spec(shots=5), [program()], task_id=task_id)


def test_attach_finds_tasks_of_another_client(client: Any, shared: Home) -> None:
    with connect(environ=shared.environ, start=False) as other:
        task_id = other.submit(spec(label="from elsewhere"), [program()]).task_id
    assert client.resolve("last") == task_id
    handle = client.attach(client.resolve("last"))
    assert handle.wait(20).label == "from elsewhere"
    assert client.resolve(task_id[:20]) == task_id


def test_a_dry_run_queues_nothing_and_keeps_nothing(client: Any) -> None:
    before = client.tasks()
    asked = program(b"never run")
    found = client.estimate(spec(asked, shots=50, seconds=3), [asked], within_s=20)
    assert (found.device, found.device_s, found.items[0].shots) == ("echo", 3.0, 50)
    assert found.cost_s > 0
    assert client.tasks() == before
    with pytest.raises(ProgramError):
        client.submit(spec(asked))  # without its bytes: nobody has them
    with pytest.raises(DeviceError):
        client.estimate(spec(asked, colour="red"), [asked])


def test_lists(client: Any) -> None:
    label = mint_task_id()[-8:]
    ids = [client.submit(spec(label=f"list {label}"), [program()]).task_id for _ in range(5)]
    for task_id in ids:
        client.attach(task_id).wait(20)
    found = client.tasks(3, label=label)
    assert [view.task_id for view in found] == ids[::-1][:3]
    assert len(client.tasks(100, label=label, states=[TaskState.COMPLETED])) == 5
    assert client.tasks(100, label=label, states=[TaskState.FAILED]) == ()
    client.forget(ids[0])
    assert len(client.tasks(100, label=label)) == 4
    with pytest.raises(UnknownTaskError):
        client.show(ids[0])


def test_unknown_things(client: Any) -> None:
    with pytest.raises(UnknownTaskError):
        client.attach(mint_task_id())
    with pytest.raises(DeviceError):
        client.device("nowhere")
    with pytest.raises(DeviceError):
        client.submit(build_spec([program()], device="nowhere", shots=1), [program()])
    handle = client.submit(spec(seconds=30), [program()])
    with pytest.raises(TaskError) as caught:
        client.result(handle.task_id)
    assert caught.value.code == "task.not_finished"
    handle.cancel()


def test_devices_session_gateway(client: Any) -> None:
    (device,) = client.devices()
    assert client.device("echo").description == device.description
    assert client.session().uid == os.getuid()
    assert client.gateway().store_ok
    assert client.welcome.epoch == client.ping()


def test_too_many_shots_are_refused_before_they_are_sent(client: Any) -> None:
    client.ping()
    limit = client.welcome.limits.program_bytes
    large = program(b"x" * (limit + 1))
    with pytest.raises(LimitError) as caught:
        client.submit(spec(large), [large], timeout_s=20)
    assert caught.value.code == "limit.size"


def test_programs_over_the_inline_limit_are_uploaded(client: Any) -> None:
    large = [program(bytes([i]) * 3_000_000) for i in range(4)]
    assert client.submit(spec(*large), large).result(30).shots == 400


def test_every_request_has_a_deadline(client: Any) -> None:
    with pytest.raises(DeadlineError):
        client.ping(0.0)
    client.ping()


def test_await_gives_the_result_in_a_running_loop(shared: Home) -> None:
    async def user() -> tuple[TaskResult, TaskResult, bool]:
        # As in a notebook: a synchronous client inside a running loop, which goes on turning.
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        with connect(environ=shared.environ, start=False) as client:
            one = await client.submit(spec(seconds=0.3), [program()])
            two = await client.submit(spec(), [program()])
        ticking.cancel()
        return one, two, ticks > 5

    one, two, turned = asyncio.run(user())
    assert one.is_final
    assert two.is_final
    assert turned


def test_the_asyncio_client_does_many_things_at_once(shared: Home) -> None:
    async def user() -> list[TaskResult]:
        async with AsyncClient(environ=shared.environ, start=False) as client:
            handles = await asyncio.gather(*(client.submit(spec(seed=i), [program()]) for i in range(40)))
            return await asyncio.gather(*(handle.result(30) for handle in handles))

    results = asyncio.run(user())
    assert sorted(result.seed for result in results) == list(range(40))


def test_an_asyncio_client_stays_in_its_loop(shared: Home) -> None:
    client = AsyncClient(environ=shared.environ, start=False)

    async def first() -> None:
        await client.ping()

    async def second() -> None:
        with pytest.raises(GatewayError):
            await client.ping()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(first())
    asyncio.run(second())
    loop.run_until_complete(client.close())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def test_many_threads_may_share_a_client(shared: Home) -> None:
    with connect(environ=shared.environ, start=False) as client:
        results: list[TaskResult] = []

        def user(seed: int) -> None:
            results.append(client.submit(spec(seed=seed), [program()]).result(30))

        threads = [threading.Thread(target=user, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(result.seed for result in results) == list(range(16))


def test_a_closed_client_says_so_and_ends_those_who_wait(shared: Home) -> None:
    client = connect(environ=shared.environ, start=False)
    handle = client.submit(spec(seconds=30), [program()])
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            handle.wait(60)
        except GatewayError as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    client.close()
    waiting.join(20)
    assert len(failed) == 1
    with pytest.raises(GatewayError, match="closed"):
        client.ping()
    client.close()
    assert not client._thread.is_alive()
    with connect(environ=shared.environ, start=False) as other:
        other.cancel(handle.task_id)


def in_child(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_is_refused_clearly_and_may_connect_anew(shared: Home) -> None:
    with connect(environ=shared.environ, start=False) as client:
        handle = client.submit(spec(seconds=5), [program()])

        def child() -> None:
            began = time.monotonic()
            for use in (client.ping, client.tasks, handle.cancel, lambda: handle.wait(5)):
                with pytest.raises(GatewayError, match="forked") as caught:
                    use()
                assert not caught.value.retryable
            assert time.monotonic() - began < 4
            client.close()
            with connect(environ=shared.environ, start=False) as own:
                own.ping()

        assert in_child(child) == 0
        client.ping()
        handle.cancel()


def test_a_client_without_a_gateway_says_what_to_do_at_once(home: Home) -> None:
    began = time.monotonic()
    with pytest.raises(GatewayError) as caught:
        connect(environ=home.environ, start=False, timeout_s=20)
    assert "jupyter qmio up" in caught.value.hint
    assert time.monotonic() - began < 10
    assert home.processes() == []


def test_nothing_is_left_of_a_client(shared: Home) -> None:
    def state() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    with connect(environ=shared.environ, start=False) as client:
        client.ping()
    before = state()
    for _ in range(5):
        with Client(environ=shared.environ, start=False) as client:
            client.submit(spec(), [program()]).result(20)
    assert state() == before
