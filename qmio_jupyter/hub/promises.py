"""The hub at the gateway: it promises sessions (grants), ties them to Slurm jobs, takes them back, and sees devices.

One link per hub process, as the issuer whose key file it is given. Every request may be repeated: after a lost answer
the same grant is made, bound or revoked again, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.client import flows
from qmio_jupyter.client.aio import AsyncClient
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.access import Booking, Grant
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.wire.messages import (
    BookingList,
    BookingShow,
    Done,
    GrantBind,
    GrantCreate,
    GrantRevoke,
    GrantState,
)


class Promises:
    """A hub's link to its gateways.

    Parameters
    ----------
    gateways : sequence of GatewayAddress
        In order of preference, each with the issuer's key file.
    timeout_s : float
        Seconds a request may take, a restart of the gateway included.

    Notes
    -----
    Every method raises `GatewayError` or `DeadlineError` (retryable) where the gateway does not answer: then the
    request may have had its effect.
    """

    def __init__(self, gateways: Sequence[GatewayAddress], *, timeout_s: float = 20.0) -> None:
        settings = ClientSettings(gateways=tuple(gateways), start_embedded=False, timeout_s=timeout_s)
        self._client = AsyncClient(settings=settings, start=False)

    async def create(
        self, grant_id: str, *, uid: int, tenant: str, ttl_s: float, devices: Sequence[str], kind: str
    ) -> Grant:
        """Promise `uid` a session; the same again is answered alike."""
        body = GrantCreate(
            grant_id=grant_id, uid=uid, tenant=tenant, ttl_s=ttl_s, devices=tuple(devices), kind=kind
        )
        return (await self._client.run(flows.one(body, GrantState))).grant

    async def bind(self, grant_id: str, *, cluster: str, job_id: str) -> Grant:
        """Tie a grant to its Slurm job; the same again is answered alike."""
        body = GrantBind(grant_id=grant_id, cluster=cluster, job_id=job_id)
        return (await self._client.run(flows.one(body, GrantState))).grant

    async def revoke(self, grant_id: str) -> None:
        """End a grant and its sessions; one that the gateway does not have is as good as ended."""
        try:
            await self._client.run(flows.one(GrantRevoke(grant_id=grant_id), Done))
        except QmioError as error:
            if error.code != "grant":
                raise

    async def devices(self) -> tuple[DeviceView, ...]:
        """Return the gateway's devices."""
        return await self._client.devices()

    async def bookings(self) -> tuple[Booking, ...]:
        """Return the bookings that are not over."""
        return (await self._client.run(flows.one(BookingShow(), BookingList))).bookings

    async def close(self) -> None:
        """End the link."""
        await self._client.close()
