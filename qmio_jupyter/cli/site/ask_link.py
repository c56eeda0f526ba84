"""The gateway over the wire: whether it answers, under which key, as whom it knows us, and what it has."""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit

from msgspec.structs import replace

from qmio_jupyter.auth import munge
from qmio_jupyter.auth.keys import key_id, new_keys
from qmio_jupyter.auth.transcript import digest
from qmio_jupyter.cli.site.facts import DeviceFacts, LinkFacts
from qmio_jupyter.client import flows
from qmio_jupyter.client.locate import Demand, Target
from qmio_jupyter.client.sync import Client
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.wire.messages import SessionChallenge, SessionNonce, SessionOpen, SessionState, Welcome

#: Seconds for one question.
PATIENCE_S = 8.0
#: No job has this id.
NO_JOB = "0"


class _One:
    """Leads to one gateway."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def locate(self, now_s: float, demand: Demand) -> Target | None:  # noqa: ARG002 - it does not move
        """Return it."""
        return self._target

    def linked(self) -> None:
        """Know that already."""


def port_why(endpoint: str) -> str:
    """Return why a TCP connection to ``tcp://host:port`` cannot be made; empty: it can."""
    parts = urlsplit(endpoint)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_S):
            return ""
    except (OSError, ValueError) as problem:
        return str(problem)


def look(address: GatewayAddress, keys: KeyPair, *, munge_socket: str, cluster: str) -> LinkFacts:
    """Return what the gateway at `address` says to the holder of `keys`, and to a stranger with a MUNGE credential.

    Parameters
    ----------
    address : GatewayAddress
        Endpoint and pinned key.
    keys : KeyPair
        The hub's.
    munge_socket : str
        munged's socket here; empty: as libmunge finds it.
    cluster : str
        Slurm's name of the cluster, for the proof.
    """
    why = port_why(address.endpoint)
    if why:
        return LinkFacts(endpoint=address.endpoint, port_why=why)
    client = _client(address, keys)
    try:
        welcome, skew_s = _greeted(client)
        found = LinkFacts(
            endpoint=address.endpoint,
            role=welcome.role.value,
            software=f"{welcome.gateway}, {welcome.software}",
            skew_s=skew_s,
        )
        return _more(client, found, address, munge_socket, cluster)
    except QmioError as error:
        return LinkFacts(endpoint=address.endpoint, code=error.code, why=error.message)
    finally:
        client.close()


def _client(address: GatewayAddress, keys: KeyPair) -> Client:
    target = Target(endpoint=address.endpoint, server_key=address.server_key, keys=keys)
    settings = ClientSettings(gateways=(address,), start_embedded=False, timeout_s=PATIENCE_S)
    return Client(settings=settings, environ={}, locator=_One(target), start=False)


def _greeted(client: Client) -> tuple[Welcome, float]:
    """Return the welcome of a client that has asked nothing yet, and by how many s this clock is ahead."""
    began = time.monotonic()
    client.ping(PATIENCE_S)
    welcome = client.welcome
    assert welcome is not None
    # The welcome came between then and now.
    return welcome, time.time_ns() / 1e9 - welcome.now_ms / 1000 - (time.monotonic() - began) / 2


def skew_s(address: GatewayAddress) -> float:
    """Return by how many seconds this host's clock is ahead of the gateway's, as a stranger learns it.

    Raises
    ------
    QmioError
        If the gateway does not answer.
    """
    client = _client(address, new_keys())
    try:
        return _greeted(client)[1]
    finally:
        client.close()


def _more(
    client: Client, found: LinkFacts, address: GatewayAddress, munge_socket: str, cluster: str
) -> LinkFacts:
    now_s = time.time_ns() / 1e9 - found.skew_s
    try:
        state = client.gateway(PATIENCE_S)
        devices = tuple(_device(view, now_s) for view in client.devices(PATIENCE_S))
        found = replace(found, store_ok=state.store_ok, log=state.log, devices=devices)
    except QmioError as error:
        found = replace(found, devices_why=error.message)
    code, why = prove_nothing(address, munge_socket=munge_socket, cluster=cluster)
    return replace(found, cluster=cluster, proof_code=code, proof_why=why)


def _device(view: DeviceView, now_s: float) -> DeviceFacts:
    return DeviceFacts(
        name=view.description.name,
        state=str(view.state.value),
        takes_tasks=view.state.takes_tasks,
        agents=view.agents,
        is_simulator=view.description.is_simulator,
        note=view.note,
        snapshot_age_s=None if view.snapshot_ms is None else now_s - view.snapshot_ms / 1000,
    )


def prove_nothing(address: GatewayAddress, *, munge_socket: str, cluster: str) -> tuple[str, str]:
    """Return code and message with which a gateway refuses the proof of a job that there cannot be.

    By how it refuses it tells how far it came: MUNGE first, then Slurm, then the job.
    """
    keys = new_keys()
    client = _client(address, keys)
    try:
        nonce = client.run(flows.one(SessionChallenge(), SessionNonce), PATIENCE_S)
        payload = digest(
            server_key=address.server_key,
            client_key=bytes.fromhex(key_id(keys.public)),
            nonce=nonce.nonce,
            cluster=cluster,
            job_id=NO_JOB,
            grant_id=None,
        )
        credential = munge.encode(payload, only_for=nonce.uid or 0, path=munge_socket)
        body = SessionOpen(cluster=cluster, job_id=NO_JOB, credential=credential)
        client.run(flows.one(body, SessionState), 4 * PATIENCE_S)
    except QmioError as error:
        return error.code, error.message
    finally:
        client.close()
    return "", "a session was opened for a job that there is not"
