"""The hub's link to a real gateway: grants made, bound, revoked, each as often as one likes, over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmio_jupyter.errors import QmioError
from qmio_jupyter.hub.promises import Promises
from qmio_jupyter.model.ids import mint
from qmio_jupyter.testing.centre import Centre


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    root = tmp_path / "centre"
    root.mkdir()
    made = Centre(root)
    yield made.start()
    made.stop()


async def _promise(promises: Promises, grant_id: str, tenant: str = "class/alice") -> None:
    await promises.create(grant_id, uid=2001, tenant=tenant, ttl_s=600, devices=["echo"], kind="interactive")


def test_a_grant_lives_through_restarts_and_repetition(centre: Centre) -> None:
    grant_id = mint("g", 1, bytes(10))

    async def before() -> None:
        promises = Promises([centre.address()])
        for _ in range(2):
            await _promise(promises, grant_id)
        for _ in range(2):
            grant = await promises.bind(grant_id, cluster="mini", job_id="7")
            assert (grant.cluster, grant.job_id, grant.uid, grant.devices) == ("mini", "7", 2001, ("echo",))
        with pytest.raises(QmioError, match="other content"):
            await _promise(promises, grant_id, "class/bob")
        with pytest.raises(QmioError, match="another job"):
            await promises.bind(grant_id, cluster="mini", job_id="8")
        assert await promises.bookings() == ()
        await promises.close()

    async def after() -> None:
        promises = Promises([centre.address()])
        assert (await promises.bind(grant_id, cluster="mini", job_id="7")).job_id == "7"
        for _ in range(2):
            await promises.revoke(grant_id)
        await promises.revoke(mint("g", 2, bytes(10)))
        with pytest.raises(QmioError, match="revoked"):
            await promises.bind(mint("g", 1, bytes(10)), cluster="mini", job_id="8")
        await promises.close()

    asyncio.run(before())
    centre.kill()
    centre.start()
    asyncio.run(after())


def test_a_gateway_that_is_away_says_so_and_is_found_again(centre: Centre) -> None:
    async def through() -> None:
        promises = Promises([centre.address()], timeout_s=2.0)
        assert [view.description.name for view in await promises.devices()] == ["echo"]
        centre.kill()
        with pytest.raises(QmioError) as caught:
            await promises.devices()
        assert caught.value.retryable
        centre.start()
        patient = Promises([centre.address()], timeout_s=20.0)
        await _promise(patient, mint("g", 3, bytes(10)))
        await patient.close()
        await promises.close()

    asyncio.run(through())
