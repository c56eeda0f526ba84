"""Somebody at the gateway's door who says and does what he likes: links, proofs and credentials made by hand."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

from qmio_jupyter.auth.job_files import JobFile
from qmio_jupyter.auth.job_secrets import prove
from qmio_jupyter.auth.keys import new_keys, raw_key
from qmio_jupyter.auth.transcript import digest
from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.model.ids import digest as sha256
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.transport.zeromq_dealer import Dealer
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

DEADLINE_S = 60


def credential(
    payload: bytes, socket: Path, *, user: str = "", only_for: int | None = None, ttl_s: int = 60
) -> bytes:
    """Return a credential of the real munge command: of this process's user, or (as root) of another's."""
    munge = shutil.which("munge")
    assert munge is not None
    argv = [munge, f"--socket={socket}", f"--ttl={ttl_s}"]
    if only_for is not None:
        argv.append(f"--restrict-uid={only_for}")
    if user:
        argv = ["/usr/sbin/runuser", "-u", user, "--", *argv]
    return subprocess.run(argv, input=payload, capture_output=True, check=True).stdout.strip()


class Door:
    """One key at the door.

    Parameters
    ----------
    gateway : GatewayAddress
        Where it is.
    keys : KeyPair, optional
        A fresh pair when None.
    cluster : str
        Cluster of the jobs it says to be of.
    source : str
        Address the link comes from; empty: as the system has it.
    """

    def __init__(
        self, gateway: GatewayAddress, keys: KeyPair | None = None, *, cluster: str = "", source: str = ""
    ) -> None:
        self.gateway = gateway
        self.cluster = cluster
        self.keys = keys or new_keys()
        self.numbers = itertools.count(1)
        endpoint = gateway.endpoint
        if source:
            endpoint = endpoint.replace("tcp://", f"tcp://{source}:0;")
        self.dealer = Dealer(endpoint, gateway.server_key, self.keys)
        end = time.monotonic() + DEADLINE_S
        while not self.dealer.is_up and time.monotonic() < end:
            self.dealer.poll(0.05)
            self.dealer.receive()
            self.dealer.link_events()
        assert self.dealer.is_up

    def ask(self, body: m.Message) -> m.Message:
        """Send a request; return its answer."""
        number = next(self.numbers)
        assert self.dealer.send(attach(body, id=number))
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            self.dealer.poll(0.05)
            for packet in self.dealer.receive():
                if not isinstance(packet, Exception) and packet.envelope.re == number:
                    return packet.envelope.body
        raise TimeoutError(body)

    def nonce(self) -> m.SessionNonce:
        """Ask for the gateway's question."""
        answer = self.ask(m.SessionChallenge())
        assert isinstance(answer, m.SessionNonce), answer
        return answer

    def payload(self, question: m.SessionNonce, job_id: str, **changes: object) -> bytes:
        """Return what a credential for this key and question carries."""
        parts: dict[str, object] = {
            "server_key": self.gateway.server_key,
            "client_key": bytes.fromhex(sha256(raw_key(self.keys.public))),
            "nonce": question.nonce,
            "cluster": self.cluster,
            "job_id": job_id,
            "grant_id": None,
        }
        return digest(**(parts | changes))  # type: ignore[arg-type]

    def prove(self, job_id: str, socket: Path, *, user: str = "", **changes: object) -> m.Message:
        """Open a session as whoever `user` is, with `changes` to what the credential carries."""
        payload = self.payload(self.nonce(), job_id, **changes)
        made = credential(payload, socket, user=user, only_for=os.geteuid())
        return self.ask(m.SessionOpen(cluster=self.cluster, job_id=job_id, credential=made))

    def prove_with(self, handed: JobFile, **changes: object) -> m.Message:
        """Open a session with the secret of a job, with `changes` to the transcript that the proof is for."""
        payload = self.payload(self.nonce(), handed.job_id, **changes)
        credential = prove(handed.secret, payload)
        return self.ask(
            m.SessionOpen(cluster=self.cluster, job_id=handed.job_id, node=handed.node, credential=credential)
        )

    def close(self) -> None:
        """End the link."""
        self.dealer.close()


def refusal(answer: m.Message) -> tuple[str, str]:
    """Return the code and the message of a refusal."""
    assert isinstance(answer, m.Failure), answer
    return answer.error.code, answer.error.message
