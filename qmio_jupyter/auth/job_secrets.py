"""Proofs without MUNGE: what is done with the secret that a node's prolog hands to a Slurm job.

The gateway keeps a hash of the secret. A proof is the secret under a mask, and the mask an HMAC, keyed by that hash,
over the transcript that a MUNGE credential would carry: who has the secret makes both; who has only the hash can take
the mask away, and see whether what is under it has that hash. So a stolen ledger proves nothing, a proof tells nothing
to who has no ledger, and each is good for one question, key, gateway, job and grant. It is what SCRAM does (RFC 5802,
section 3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from secrets import token_bytes

#: Says what the hash is for, and in which version.
TAG = b"qmio job secret 1"
#: Bytes of a secret, of its hash and of a proof.
BYTES = 32


def new_secret() -> bytes:
    """Return a fresh secret, from the operating system's randomness."""
    return token_bytes(BYTES)


def check_of(secret: bytes) -> bytes:
    """Return the hash of a secret that its proofs are checked with. The secret is random: no salt is needed."""
    return hashlib.sha256(TAG + secret).digest()


def prove(secret: bytes, digest: bytes) -> bytes:
    """Return the proof of having `secret` that is good for one transcript (`transcript.digest`)."""
    return _masked(secret, check_of(secret), digest)


def proven(proof: bytes, digests: Iterable[bytes], check: bytes) -> bytes | None:
    """Return the transcript that a proof was made for, with the secret that has the hash `check`; None if for none.

    Parameters
    ----------
    proof : bytes
        As it came; anything may stand in it.
    digests : iterable of bytes
        The transcripts it may be for.
    check : bytes
        See :func:`check_of`.
    """
    if len(proof) != BYTES:
        return None
    for digest in digests:
        if hmac.compare_digest(check_of(_masked(proof, check, digest)), check):
            return digest
    return None


def _masked(text: bytes, check: bytes, digest: bytes) -> bytes:
    mask = hmac.digest(check, digest, "sha256")
    return bytes(one ^ other for one, other in zip(text, mask, strict=True))
