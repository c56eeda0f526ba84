"""ZAP (ZeroMQ RFC 27): every connection's CURVE key becomes the ``User-Id`` of each of its frames.

Every well-formed key is admitted while there is room: who it belongs to, and what it may do, is decided above,
for each message (an unknown key gets role ``none``). What is refused here is refused aloud, so that nobody waits
in silence.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

import zmq
from zmq.auth import CURVE_ALLOW_ANY
from zmq.auth.thread import ThreadAuthenticator

from qmio_jupyter.model.ids import KeyId, digest
from qmio_jupyter.transport.sockets import ZAP_DOMAIN

_log = logging.getLogger(__name__)


class Admission(ThreadAuthenticator):
    """The ZAP handler of one context, in its own thread; start it before binding, stop it before ``term``.

    Parameters
    ----------
    admits : callable
        Whether a key may connect now; called in this handler's thread.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], admits: Callable[[KeyId], bool]) -> None:
        super().__init__(context, log=_log)
        self.configure_curve(domain="*", location=CURVE_ALLOW_ANY)
        self._admits = admits

    def curve_user_id(self, client_public_key: bytes) -> str:
        """Return the key id: SHA-256 of the 32 bytes, in hexadecimal."""
        return digest(client_public_key)

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Answer one request: anything but CURVE in our domain is refused, and nothing ends this thread."""
        try:
            if len(msg) >= 6 and (msg[5] != b"CURVE" or msg[2] != ZAP_DOMAIN.encode()):
                _log.warning("refused mechanism %r in domain %r", msg[5][:32], msg[2][:64])
                self._send_zap_reply(msg[1], b"400", b"CURVE in this domain only")
                return
            if len(msg) == 7 and not self._admits(digest(msg[6])):
                self._send_zap_reply(msg[1], b"400", b"Too many strangers")
                return
            await super().handle_zap_message(msg)
        except Exception:  # noqa: BLE001 - anything here would end the thread, and every handshake to come
            _log.exception("a ZAP request could not be answered")
            with contextlib.suppress(zmq.ZMQError, IndexError):
                # REP must answer before it can hear the next one; fails harmlessly if an answer was sent.
                self._send_zap_reply(msg[1], b"500", b"Internal error")
