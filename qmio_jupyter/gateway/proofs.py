"""Sessions by proof: the questions (nonces) given to keys, and the proofs that are being looked into. Sans-I/O.

A nonce is good once and for half a minute. What a proof says is found out by the shell, which asks MUNGE and Slurm;
here it is only known which key has asked what, and who is waiting for the answer. A proof with a job's secret is given
what checks it on its way.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from qmio_jupyter.auth.transcript import NONCE_BYTES, digest
from qmio_jupyter.gateway import refusals
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.turn import Output, reply
from qmio_jupyter.model.allocation import JobSecret
from qmio_jupyter.model.ids import GrantId, KeyId
from qmio_jupyter.wire import messages as m

#: How long a nonce may be used, ms.
NONCE_MS = 30_000
#: Nonces one key may have at once, and all keys together; the oldest are forgotten beyond.
MOST_OF_KEY = 4
MOST_NONCES = 4_000
#: Proofs of one key, and of all, that are looked into at once.
MOST_PROOFS_OF_KEY = 2
MOST_PROOFS = 500


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A proof to be looked into."""

    number: int
    connection: int
    request: int
    key: KeyId
    cluster: str
    job_id: str
    grant_id: GrantId | None
    credential: bytes
    restarts: int = 0
    #: Where it came from.
    address: str = ""
    #: The node whose prolog handed out the secret it was made with; empty: it is MUNGE's.
    node: str = ""
    #: What checks it; None: it is MUNGE's, or nobody has handed out such a secret.
    secret: JobSecret | None = None
    #: What the credential may carry: one digest for each nonce that the key had.
    digests: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Say whose it is, and keep the credential."""
        return f"Proof(number={self.number}, key={self.key[:12]!r}, job_id={self.job_id!r})"


class Proofs:
    """Nonces and open proofs.

    Parameters
    ----------
    server_key : str
        The gateway's public key, Z85.
    uid : int
        The gateway's uid, which alone is to read credentials.
    nonces : callable, optional
        Returns that many random bytes; None: this gateway takes no proofs.
    secret_of : callable
        Returns what checks the proofs of a job, by cluster, job and node; None where there is no such secret.
    kinds : sequence of str
        What is taken: ``munge``, ``secret``.
    """

    def __init__(
        self,
        server_key: str,
        uid: int,
        nonces: Callable[[int], bytes] | None,
        *,
        secret_of: Callable[[str, str, str], JobSecret | None],
        kinds: tuple[str, ...],
    ) -> None:
        self._server_key = server_key
        self._uid = uid
        self._secret_of = secret_of
        self._kinds = kinds
        self._random = nonces
        self._nonces: dict[KeyId, list[tuple[bytes, int]]] = {}
        self._open: dict[int, Proof] = {}
        self._wanted: list[Proof] = []
        self._last = 0

    @property
    def are_taken(self) -> bool:
        """True if this gateway opens sessions by proof."""
        return self._random is not None

    def challenge(self, caller: Caller, now_ms: int) -> Output:
        """Return the answer to `session.challenge`: a nonce for this key alone."""
        if self._random is None:
            return reply(caller.connection, caller.request, refusals.no_proofs())
        if caller.key not in self._nonces and len(self._nonces) >= MOST_NONCES:
            del self._nonces[next(iter(self._nonces))]
        nonce = self._random(NONCE_BYTES)
        kept = self._valid(caller.key, now_ms)[-(MOST_OF_KEY - 1) :]
        self._nonces[caller.key] = [*kept, (nonce, now_ms + NONCE_MS)]
        answer = m.SessionNonce(nonce=nonce, server_key=self._server_key, uid=self._uid, proofs=self._kinds)
        return reply(caller.connection, caller.request, answer)

    def open(self, caller: Caller, body: m.SessionOpen, now_ms: int) -> Output | None:
        """Take a proof to be looked into, or return why not; its key's nonces are used up with it."""
        if self._random is None:
            return reply(caller.connection, caller.request, refusals.no_proofs())
        if ("secret" if body.node else "munge") not in self._kinds:
            return reply(caller.connection, caller.request, refusals.other_proofs(self._kinds))
        of_key = [proof for proof in self._open.values() if proof.key == caller.key]
        if any((proof.connection, proof.request) == (caller.connection, caller.request) for proof in of_key):
            return None  # Sent again by a client that waits.
        nonces = [nonce for nonce, _ in self._valid(caller.key, now_ms)]
        self._nonces.pop(caller.key, None)
        if not nonces:
            return reply(caller.connection, caller.request, refusals.stale_proof())
        if len(of_key) >= MOST_PROOFS_OF_KEY or len(self._open) >= MOST_PROOFS:
            return reply(caller.connection, caller.request, refusals.too_many_proofs())
        self._last += 1
        proof = Proof(
            number=self._last,
            connection=caller.connection,
            request=caller.request,
            key=caller.key,
            cluster=body.cluster,
            job_id=body.job_id,
            grant_id=body.grant_id,
            credential=body.credential,
            restarts=body.restarts,
            address=caller.address,
            node=body.node,
            secret=self._secret_of(body.cluster, body.job_id, body.node) if body.node else None,
            digests=tuple(self._digest(caller.key, nonce, body) for nonce in nonces),
        )
        self._open[proof.number] = proof
        self._wanted.append(proof)
        return None

    def take(self) -> list[Proof]:
        """Return, once, the proofs that the shell is to look into."""
        wanted, self._wanted = self._wanted, []
        return wanted

    def settle(self, number: int) -> Proof | None:
        """Return an open proof, and forget it; None if it is not open."""
        return self._open.pop(number, None)

    def _valid(self, key: KeyId, now_ms: int) -> list[tuple[bytes, int]]:
        return [one for one in self._nonces.get(key, ()) if one[1] > now_ms]

    def _digest(self, key: KeyId, nonce: bytes, body: m.SessionOpen) -> bytes:
        return digest(
            server_key=self._server_key,
            client_key=bytes.fromhex(key),
            nonce=nonce,
            cluster=body.cluster,
            job_id=body.job_id,
            grant_id=body.grant_id,
        )
