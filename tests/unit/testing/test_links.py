"""Simulated links lose, double, delay and break as they are told, and nothing more."""

from random import Random

import pytest

from qmio_jupyter.testing.clockwork import Clockwork
from qmio_jupyter.testing.links import Network
from qmio_jupyter.wire.codec import attach
from qmio_jupyter.wire.messages import Ping, Pong


class Someone:
    name = "someone"
    key = "k"

    def __init__(self):
        self.heard = []

    def link_up(self):
        self.heard.append("up")

    def link_down(self):
        self.heard.append("down")

    def receive(self, packet):
        self.heard.append(packet)


class Net:
    def __init__(self):
        self.clock = Clockwork()
        self.arrived, self.gone, self.noted = [], [], []
        self.network = Network(
            self.clock,
            Random(1),
            to_gateway=lambda link, packet: self.arrived.append((link.number, packet)),
            on_gone=self.gone.append,
            note=lambda where, data: self.noted.append((where, data)),
        )
        self.party = Someone()
        self.network.is_listening = True
        self.network.dial(self.party)
        self.run()
        self.link = self.network.link_of(self.party)

    def run(self):
        while self.clock.step():
            pass


@pytest.fixture
def net():
    return Net()


def test_packets_cross_both_ways(net):
    net.network.send_up(net.party, attach(Ping(), id=7))
    net.network.send_down(net.link.number, attach(Pong(epoch=1), re=7))
    net.run()
    assert net.arrived == [(1, attach(Ping(), id=7))]
    assert net.party.heard == ["up", attach(Pong(epoch=1), re=7)]
    assert sorted(where for where, _ in net.noted) == ["1<", "1>"]


def test_dropped_and_doubled(net):
    net.network.weather.drop = 1.0
    net.network.send_up(net.party, attach(Ping()))
    net.run()
    assert net.arrived == []
    net.network.weather.drop, net.network.weather.duplicate = 0.0, 1.0
    net.network.send_up(net.party, attach(Ping()))
    net.run()
    assert len(net.arrived) == 2


def test_late_packets_are_overtaken(net):
    net.network.weather.late = 0.5
    for number in range(1, 30):
        net.network.send_up(net.party, attach(Ping(), id=number))
    net.run()
    order = [packet.envelope.id for _, packet in net.arrived]
    assert sorted(order) == list(range(1, 30))
    assert order != sorted(order)


def test_a_parted_link_swallows_everything_and_tells_nobody(net):
    net.network.send_up(net.party, attach(Ping()))
    net.link.is_parted = True
    net.network.send_down(net.link.number, attach(Pong(epoch=1)))
    net.run()
    assert (net.arrived, net.party.heard, net.gone) == ([], ["up"], [])


def test_a_broken_link_is_noticed_and_comes_back_under_another_number(net):
    net.network.send_up(net.party, attach(Ping()))
    net.network.disconnect(net.link)
    net.run()
    assert net.arrived == []
    assert net.gone == [1]
    assert net.party.heard == ["up", "down", "up"]
    assert net.network.link_of(net.party).number == 2
    net.network.send_down(1, attach(Pong(epoch=1)))
    net.run()
    assert net.party.heard == ["up", "down", "up"]


def test_nobody_connects_while_no_gateway_listens(net):
    net.network.gateway_gone()
    for _ in range(20):
        net.clock.step()
    assert net.party.heard == ["up", "down"]
    net.network.is_listening = True
    net.run()
    assert net.party.heard == ["up", "down", "up"]


def test_a_dead_party_is_told_nothing(net):
    net.network.hang_up(net.party)
    net.run()
    assert net.party.heard == ["up"]
    assert net.gone == [1]
