"""The server's one link to the user's gateway: made when it is needed, kept a while, let go with the server.

The link is an :class:`qmio_jupyter.client.aio.AsyncClient` that starts no gateway. It reads the settings and looks
for the connection file when it is made, as every kernel does, so both find the same gateway. A link without a
gateway is not waited with: the next question makes a new one, which looks again, at whatever is there by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from qmio_jupyter.errors import DeadlineError, GatewayError

if TYPE_CHECKING:
    from qmio_jupyter.client.aio import AsyncClient

T = TypeVar("T")
#: A client ends every wait at its own deadline; one that is broken is given up so much later.
GRACE_S = 1.0
#: How long the end of the server waits for what was sent last to leave.
CLOSE_S = 2.0


class Link:
    """Asks the gateway for the handlers, in the server's event loop.

    Parameters
    ----------
    keep_s : float
        Seconds after the last question for which the link is kept. A gateway of the user's own stops when nobody
        is connected; a link that lived as long as the server would keep it for ever.
    make : callable, optional
        Makes a client, for tests.
    """

    def __init__(self, *, keep_s: float, make: Callable[[], AsyncClient] | None = None) -> None:
        self._keep_s = keep_s
        self._make = make
        self._client: AsyncClient | None = None
        self._asking = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def ask(self, question: Callable[[AsyncClient], Awaitable[T]], within_s: float) -> T:
        """Return the answer to a `question`, which keeps a deadline of `within_s` itself.

        Raises
        ------
        GatewayError
            There is no gateway, or none could be reached in time.
        DeadlineError
            The gateway is there and did not answer in time.
        QmioError
            What it refused with.
        """
        client = await self._present()
        self._asking += 1
        self._rest()
        try:
            async with asyncio.timeout(within_s + GRACE_S):
                return await question(client)
        except TimeoutError:
            self._drop(client)
            raise DeadlineError(f"no answer within {within_s:g} s", hint="Try again.") from None
        except DeadlineError as error:
            if client.unreachable_s > 0:
                raise GatewayError(
                    f"no gateway answered within {within_s:g} s",
                    hint="Accepted tasks are safe. Start a gateway: jupyter qmio up",
                ) from error
            raise
        finally:
            self._asking -= 1
            self._rest()

    async def close(self) -> None:
        """Let the link go; questions are refused from now on. Idempotent."""
        self._is_closed = True
        self._let_go()
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_S)

    async def _present(self) -> AsyncClient:
        make = self._make
        if make is None:
            # Reading the client's modules takes a moment, which the server has better use for.
            await asyncio.to_thread(import_module, "qmio_jupyter.client.aio")
            make = self._make = _client
        if self._is_closed:
            raise GatewayError("this Jupyter server is stopping", code="gateway.stopping")
        if self._client is not None and self._client.unreachable_s > 0 and not self._asking:
            self._drop(self._client)
        if self._client is None:
            self._client = make()
        return self._client

    def _rest(self) -> None:
        """Have the link let go in a while if nobody asks; not at all while somebody does."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._client is not None and not self._asking:
            self._timer = asyncio.get_running_loop().call_later(self._keep_s, self._let_go)

    def _let_go(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._client is not None:
            self._drop(self._client)

    def _drop(self, client: AsyncClient) -> None:
        if self._client is client:
            self._client = None
            closing = asyncio.get_running_loop().create_task(client.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _client() -> AsyncClient:
    from qmio_jupyter.client.aio import AsyncClient

    return AsyncClient(start=False)
