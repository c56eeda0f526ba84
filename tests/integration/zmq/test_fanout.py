"""Events to everybody: two hundred clients, ten rounds, one encoding per round."""

from __future__ import annotations

import pytest
import zmq

from qmio_jupyter.transport.sockets import Tuning
from qmio_jupyter.wire.codec import attach, decode, encode
from qmio_jupyter.wire.messages import Limits, Ping, Pong

CLIENTS = 200
ROUNDS = 10


@pytest.mark.slow
def test_two_hundred_clients_get_every_event_in_order_while_others_are_served(net, many_files):
    router = net.router(tuning=Tuning(strangers=2 * CLIENTS))
    good = net.dealer(router)
    net.echo(router, good)
    clients = [net.raw(router) for _ in range(CLIENTS)]
    for number, client in enumerate(clients, 1):
        client.send_multipart(encode(attach(Ping(), id=number)))
    heard = net.hear(router, CLIENTS)
    connections = {message.packet.envelope.id: message.connection for message in heard}
    assert len(set(connections.values())) == CLIENTS

    for epoch in range(ROUNDS):
        frames = encode(attach(Pong(epoch=epoch)))
        assert all(router.send_encoded(connection, frames) for connection in connections.values())
        # Between two rounds a request is answered, whatever is still on its way to the others.
        net.echo(router, good, epoch + 2)

    poller = zmq.Poller()
    got: dict[zmq.Socket, list[int]] = {client: [] for client in clients}
    for client in clients:
        poller.register(client, zmq.POLLIN)

    def all_there() -> bool:
        for client, _ in poller.poll(100):
            got[client].append(decode(client.recv_multipart(), Limits()).envelope.body.epoch)
        return sum(map(len, got.values())) >= CLIENTS * ROUNDS

    net.wait(all_there, "all events")
    assert all(epochs == list(range(ROUNDS)) for epochs in got.values())
    assert router.figures.undeliverable == 0

    for client in clients[:50]:
        client.close(linger=0)
    gone = net.gone(router, 50)
    assert len(gone) == len(set(gone)) == 50
    assert not any(router.send(connection, attach(Pong(epoch=9))) for connection in gone)
    assert router.connections == CLIENTS - 50 + 1
    net.echo(router, good)
