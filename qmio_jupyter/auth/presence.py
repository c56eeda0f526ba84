"""How a single-user server shows its hub that it is the one that the hub has started, and not who took its port.

Whoever listens first at an address of a shared node would be given a user's cookies. The server's token is known to
the hub and to that server alone; it is never sent: what is sent is a code over the hub's question.
"""

from __future__ import annotations

import hmac

#: Says what the code is for, and in which version.
TAG = b"qmio_jupyter server presence 1"
#: Bytes of a question.
NONCE_BYTES = 32


def presence(token: str, nonce: bytes) -> str:
    """Return HMAC-SHA256 under the server's token over the tag and the hub's question, hexadecimal.

    Parameters
    ----------
    token : str
        The server's API token at the hub.
    nonce : bytes
        `NONCE_BYTES` that the hub has just drawn.
    """
    return hmac.digest(token.encode(), TAG + b"\0" + nonce, "sha256").hex()
