"""What a proof is over: one digest that binds a credential to one key, one gateway, one question and one job."""

from __future__ import annotations

import hashlib

from qmio_jupyter.auth.keys import raw_key

#: Says what the digest is for, and in which version: nothing else that MUNGE signs can be taken for it.
TAG = b"qmio session proof 1"
#: Bytes of a nonce.
NONCE_BYTES = 32


def digest(
    *, server_key: str, client_key: bytes, nonce: bytes, cluster: str, job_id: str, grant_id: str | None
) -> bytes:
    """Return SHA-256 over the parts, each after its length: no two lists of parts give the same bytes.

    Parameters
    ----------
    server_key : str
        The gateway's public CURVE key, Z85: the proof is of no use at another gateway.
    client_key : bytes
        SHA-256 of the 32 bytes of the key that the session will be bound to: of no use under another key.
    nonce : bytes
        The gateway's question.
    cluster, job_id : str
        The job, as its own processes call it.
    grant_id : str or None
        The hub's promise; None, which is not the empty one, where there is none.
    """
    grant = b"\0" if grant_id is None else b"\1" + grant_id.encode()
    hashed = hashlib.sha256()
    for part in (TAG, raw_key(server_key), client_key, nonce, cluster.encode(), job_id.encode(), grant):
        hashed.update(len(part).to_bytes(8, "big"))
        hashed.update(part)
    return hashed.digest()
