"""The parts of a link that need no peer."""

from __future__ import annotations

import pytest
import zmq

from qmio_jupyter.errors import GatewayError
from qmio_jupyter.transport import sockets
from qmio_jupyter.transport.sockets import Owner, Tuning, harden
from qmio_jupyter.transport.zeromq_router import sender, where_from
from qmio_jupyter.wire.messages import Limits


def test_what_both_ends_of_a_link_are_set_to():
    tuning = Tuning()
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        harden(socket, tuning)
        assert socket.linger == 1_000
        assert socket.getsockopt(zmq.HEARTBEAT_IVL) == 2_000
        assert socket.getsockopt(zmq.HEARTBEAT_IVL) < socket.getsockopt(zmq.HEARTBEAT_TIMEOUT) == 8_000
        assert socket.getsockopt(zmq.HANDSHAKE_IVL) == 5_000
        assert 0 < socket.getsockopt(zmq.SNDHWM) <= 1_000
        assert 0 < socket.getsockopt(zmq.RCVHWM) <= 1_000
        # The longest message fits, with what CURVE adds; not much more.
        assert 33 <= socket.getsockopt(zmq.MAXMSGSIZE) - Limits().message_bytes <= 4_096


def test_a_forked_child_is_told(monkeypatch):
    owner = Owner()
    owner.check("link")
    monkeypatch.setattr(sockets.os, "getpid", lambda: 1)
    assert not owner.is_here
    with pytest.raises(GatewayError, match="forked child") as told:
        owner.check("link")
    assert not told.value.retryable


def test_a_frame_without_metadata_has_no_sender():
    frame = zmq.Frame(b"\0\0\0\0\1")
    assert sender(frame) == ""
    assert where_from(frame) == ("", -1)
