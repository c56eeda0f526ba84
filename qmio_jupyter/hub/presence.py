"""Finds out whether who listens at a node is the server that this hub has started: only that one knows its token."""

from __future__ import annotations

import hmac
import ssl
from secrets import token_bytes

import msgspec
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from qmio_jupyter.auth.presence import NONCE_BYTES, presence

#: Seconds an answer may take, and bytes it may have: whoever answers is not known yet.
ANSWER_S = 2.0
MOST_BYTES = 4096


class _Answer(msgspec.Struct):
    proof: str


async def is_present(base_url: str, token: str, context: ssl.SSLContext | None = None) -> bool:
    """Return whether a server answers there that knows the token; False too while nobody listens.

    Parameters
    ----------
    base_url : str
        Of the single-user server, with its prefix and a slash at the end.
    token : str
        The server's API token. It is not sent.
    context : SSLContext, optional
        The hub's, with internal TLS.
    """
    nonce = token_bytes(NONCE_BYTES)
    client = SimpleAsyncHTTPClient(
        force_instance=True, max_body_size=MOST_BYTES, max_header_size=4 * MOST_BYTES, max_buffer_size=65_536
    )
    try:
        reply = await client.fetch(
            f"{base_url}qmio_jupyter/api/presence/{nonce.hex()}",
            ssl_options=context,
            connect_timeout=ANSWER_S,
            request_timeout=ANSWER_S,
            follow_redirects=False,
        )
        found = msgspec.json.decode(reply.body, type=_Answer).proof
    except Exception:  # noqa: BLE001 - whatever a stranger answers, it is not ours
        return False
    finally:
        client.close()
    return hmac.compare_digest(found.encode(), presence(token, nonce).encode())
