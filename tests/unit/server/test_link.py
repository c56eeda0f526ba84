"""The server's one link: made late, kept a while, replaced when it leads nowhere, never waited for without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest

from qmio_jupyter.client.aio import AsyncClient
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError, UnknownTaskError
from qmio_jupyter.server import link as room
from qmio_jupyter.server.link import Link

FOREVER_S = 60.0


class FakeClient:
    """As much of a client as the link looks at."""

    def __init__(self) -> None:
        self.unreachable_s = 0.0
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class Factory:
    """Makes fakes and remembers them."""

    def __init__(self) -> None:
        self.made: list[FakeClient] = []

    def __call__(self) -> AsyncClient:
        self.made.append(FakeClient())
        return cast("AsyncClient", self.made[-1])


Question = Callable[[AsyncClient], Awaitable[object]]


def run(test: Callable[[Link, Factory], Coroutine[Any, Any, None]], keep_s: float = FOREVER_S) -> None:
    """Run a test in a loop of its own, with a link over fakes."""

    async def whole() -> None:
        factory = Factory()
        link = Link(keep_s=keep_s, make=factory)
        try:
            await test(link, factory)
        finally:
            await link.close()
        assert all(client.closed == 1 for client in factory.made)

    asyncio.run(whole())


def answering(value: object) -> Question:
    """Return a question that is answered at once."""

    async def question(client: AsyncClient) -> object:
        return value

    return question


def failing(error: BaseException) -> Question:
    """Return a question that fails."""

    async def question(client: AsyncClient) -> object:
        raise error

    return question


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; a test's own timeout ends a hopeless one."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it is any condition
            await asyncio.sleep(0)


def test_nothing_is_made_before_the_first_question() -> None:
    async def test(link: Link, factory: Factory) -> None:
        assert factory.made == []
        assert await link.ask(answering(3), 1) == 3
        assert await link.ask(answering(4), 1) == 4
        assert len(factory.made) == 1

    run(test)


def test_first_questions_at_the_same_time_share_one_link() -> None:
    async def test(link: Link, factory: Factory) -> None:
        answers = await asyncio.gather(*(link.ask(answering(i), 1) for i in range(20)))
        assert answers == list(range(20))
        assert len(factory.made) == 1

    run(test)


def test_a_link_without_a_gateway_gives_way_to_a_new_one() -> None:
    async def test(link: Link, factory: Factory) -> None:
        await link.ask(answering(1), 1)
        factory.made[0].unreachable_s = 0.5
        await link.ask(answering(2), 1)
        assert len(factory.made) == 2
        await until(lambda: factory.made[0].closed == 1)
        assert factory.made[1].closed == 0

    run(test)


def test_a_link_that_somebody_still_waits_with_is_not_taken_away() -> None:
    async def test(link: Link, factory: Factory) -> None:
        news = asyncio.Event()

        async def patient(client: AsyncClient) -> object:
            await news.wait()
            return "answered"

        waiting = asyncio.create_task(link.ask(patient, FOREVER_S))
        await until(lambda: len(factory.made) == 1)
        factory.made[0].unreachable_s = 0.5
        await link.ask(answering(2), 1)
        assert len(factory.made) == 1
        news.set()
        assert await waiting == "answered"

    run(test)


def test_a_deadline_without_a_gateway_says_that_there_is_none() -> None:
    async def test(link: Link, factory: Factory) -> None:
        async def question(client: AsyncClient) -> object:
            factory.made[0].unreachable_s = 1.0
            raise DeadlineError("late")

        with pytest.raises(GatewayError, match="no gateway answered within 1 s"):
            await link.ask(question, 1)

    run(test)


@pytest.mark.parametrize("error", [DeadlineError("late"), UnknownTaskError("none"), GatewayError("gone")])
def test_what_the_client_raises_comes_through(error: QmioError) -> None:
    async def test(link: Link, factory: Factory) -> None:
        with pytest.raises(type(error)) as caught:
            await link.ask(failing(error), 1)
        assert caught.value is error

    run(test)


def test_a_client_that_misses_its_own_deadline_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRACE_S", 0.01)

    async def test(link: Link, factory: Factory) -> None:
        async def broken(client: AsyncClient) -> object:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        with pytest.raises(DeadlineError, match=r"no answer within 0\.01 s"):
            await link.ask(broken, 0.01)
        await until(lambda: factory.made[0].closed == 1)
        await link.ask(answering(1), 1)
        assert len(factory.made) == 2

    run(test)


def test_a_link_that_nobody_uses_is_let_go() -> None:
    async def test(link: Link, factory: Factory) -> None:
        await link.ask(answering(1), 1)
        await until(lambda: factory.made[0].closed == 1)
        await link.ask(answering(1), 1)
        assert len(factory.made) == 2

    run(test, keep_s=0.0)


def test_a_link_in_use_is_kept_however_long_it_takes() -> None:
    async def test(link: Link, factory: Factory) -> None:
        news = asyncio.Event()

        async def patient(client: AsyncClient) -> object:
            await news.wait()
            return "answered"

        await link.ask(answering(1), 1)  # Its timer runs out while the next one is asked.
        waiting = asyncio.create_task(link.ask(patient, FOREVER_S))
        loop = asyncio.get_running_loop()
        later = loop.time() + 0.1
        await until(lambda: loop.time() > later)
        assert [client.closed for client in factory.made] == [0]
        news.set()
        assert await waiting == "answered"

    run(test, keep_s=0.05)


def test_after_the_end_every_question_is_refused() -> None:
    async def test(link: Link, factory: Factory) -> None:
        await link.ask(answering(1), 1)
        await link.close()
        assert factory.made[0].closed == 1
        with pytest.raises(GatewayError) as caught:
            await link.ask(answering(1), 1)
        assert caught.value.code == "gateway.stopping"
        await link.close()
        assert len(factory.made) == 1

    run(test)
