"""Something listens where the gateway should be, but the handshake with it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from qmio_jupyter.auth.keys import new_keys
from qmio_jupyter.client.aio import AsyncClient
from qmio_jupyter.client.locate import Demand, Target
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.errors import AuthError
from qmio_jupyter.transport.zeromq_router import Router

#: Long enough for a first handshake on loopback.
SETTINGS = ClientSettings(timeout_s=2.0)


class There:
    """Finds one target, always."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def locate(self, now_s: float, demand: Demand) -> Target:
        return self._target

    def linked(self) -> None:
        raise AssertionError("the handshake must not succeed")


@pytest.fixture(params=["another server key", "a key that is not enrolled"])
def there(request: pytest.FixtureRequest) -> Iterator[There]:
    ours = new_keys()
    if request.param == "another server key":
        router = Router(ours)
        key = new_keys().public
    else:
        router = Router(ours, domain="elsewhere")  # its ZAP handler answers 400
        key = ours.public
    yield There(Target(router.endpoint, key, new_keys()))
    router.close()


def check(error: AuthError) -> None:
    assert error.code == "auth"
    assert "the handshake failed with tcp://127.0.0.1:" in error.message
    assert "connection file" in error.hint


def test_the_synchronous_client_says_so(there: There) -> None:
    with Client(settings=SETTINGS, locator=there) as client:
        with pytest.raises(AuthError) as caught:
            client.ping()
        check(caught.value)


def test_the_asyncio_client_says_so(there: There) -> None:
    async def ask() -> None:
        async with AsyncClient(settings=SETTINGS, locator=there) as client:
            await client.ping()

    with pytest.raises(AuthError) as caught:
        asyncio.run(ask())
    check(caught.value)
