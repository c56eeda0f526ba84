"""Links between the parties of a simulated world: they delay, drop, duplicate, reorder, part and break.

Every packet crosses as the frames the real codec makes of it, and is decoded again where it arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from qmio_jupyter.model.ids import KeyId
from qmio_jupyter.testing.clockwork import Clockwork
from qmio_jupyter.wire.codec import decode, encode
from qmio_jupyter.wire.messages import Limits, Packet

_LIMITS = Limits()


class Party(Protocol):
    """Whoever dials the gateway: a client or an agent."""

    name: str
    key: KeyId

    def link_up(self) -> None:
        """Hear that the link works."""
        ...

    def link_down(self) -> None:
        """Hear that the link is gone."""
        ...

    def receive(self, packet: Packet) -> None:
        """Take a packet that has arrived."""
        ...


class Weather:
    """How bad the links are at present; all zero but the delay in good weather."""

    def __init__(self) -> None:
        self.drop = 0.0
        self.duplicate = 0.0
        #: Share of packets that take up to `late_ms`: the others overtake them.
        self.late = 0.0
        self.late_ms = 3_000
        self.delay_ms = 20

    def clear(self) -> None:
        """Let the sun come out."""
        self.drop = self.duplicate = self.late = 0.0


class Link:
    """One connection of one party, under the number the gateway knows it by."""

    __slots__ = ("is_alive", "is_parted", "number", "party")

    def __init__(self, number: int, party: Party) -> None:
        self.number = number
        self.party = party
        self.is_alive = True
        #: Nothing gets through, and neither side is told.
        self.is_parted = False


class Network:
    """All links.

    Parameters
    ----------
    clock : Clockwork
        The world's time.
    rng : Random
        The world's only source of chance.
    to_gateway : callable
        Takes (link, packet) where it arrives.
    on_gone : callable
        Takes the number of a connection that the gateway learns is gone.
    note : callable
        Takes (where to, envelope bytes) of every delivery, for the digest.
    """

    def __init__(
        self,
        clock: Clockwork,
        rng: Random,
        *,
        to_gateway: Callable[[Link, Packet], None],
        on_gone: Callable[[int], None],
        note: Callable[[str, bytes], None],
    ) -> None:
        self.weather = Weather()
        self.is_listening = False
        self._clock = clock
        self._rng = rng
        self._to_gateway = to_gateway
        self._on_gone = on_gone
        self._note = note
        self._by_party: dict[str, Link] = {}
        self._by_number: dict[int, Link] = {}
        self._dialling: dict[str, Party] = {}
        self._last_number = 0

    def link_of(self, party: Party) -> Link | None:
        """Return a party's present link."""
        return self._by_party.get(party.name)

    def links(self) -> list[Link]:
        """Return all links that are alive."""
        return list(self._by_number.values())

    # ------------------------------------------------------------ up and down

    def dial(self, party: Party) -> None:
        """Connect a party, as soon as a gateway listens."""
        if party.name not in self._by_party and party.name not in self._dialling:
            self._dialling[party.name] = party
            self._clock.after(self._rng.randrange(5, 60), self._connect, party)

    def _connect(self, party: Party) -> None:
        if self._dialling.get(party.name) is not party:
            return
        if not self.is_listening:
            self._clock.after(self._rng.randrange(50, 300), self._connect, party)
            return
        del self._dialling[party.name]
        self._last_number += 1
        link = Link(self._last_number, party)
        self._by_party[party.name] = link
        self._by_number[link.number] = link
        party.link_up()

    def hang_up(self, party: Party) -> None:
        """End a party's link because its process is gone, without a word to anybody."""
        self._dialling.pop(party.name, None)
        link = self._by_party.get(party.name)
        if link is not None:
            self._break(link)

    def disconnect(self, link: Link) -> None:
        """Break a link; its party notices and dials again."""
        if link.is_alive:
            self._break(link)
            self._clock.after(self._rng.randrange(0, 200), self._notice, link.party)

    def gateway_gone(self) -> None:
        """End every link because the gateway's process is gone."""
        self.is_listening = False
        for link in self.links():
            link.is_alive = False
            del self._by_number[link.number]
            del self._by_party[link.party.name]
            self._clock.after(self._rng.randrange(0, 200), self._notice, link.party)

    def _break(self, link: Link) -> None:
        link.is_alive = False
        del self._by_number[link.number]
        del self._by_party[link.party.name]
        self._clock.after(self._rng.randrange(0, 400), self._on_gone, link.number)

    def _notice(self, party: Party) -> None:
        if party.name not in self._by_party and party.name not in self._dialling:
            party.link_down()
            self.dial(party)

    # ------------------------------------------------------------ packets

    def send_up(self, party: Party, packet: Packet) -> None:
        """Send from a party to the gateway."""
        link = self._by_party.get(party.name)
        if link is not None:
            self._send(link, packet, is_up=True)

    def send_down(self, number: int, packet: Packet) -> None:
        """Send from the gateway to a connection; one that is gone swallows it, as a ROUTER would."""
        link = self._by_number.get(number)
        if link is not None:
            self._send(link, packet, is_up=False)

    def _send(self, link: Link, packet: Packet, *, is_up: bool) -> None:
        weather = self.weather
        rng = self._rng
        if link.is_parted or (weather.drop and rng.random() < weather.drop):
            return
        frames = encode(packet)
        copies = 2 if weather.duplicate and rng.random() < weather.duplicate else 1
        for _ in range(copies):
            delay = rng.randrange(1, weather.delay_ms)
            if weather.late and rng.random() < weather.late:
                delay += rng.randrange(1, weather.late_ms)
            self._clock.after(delay, self._deliver, link, frames, is_up)

    def _deliver(self, link: Link, frames: list[bytes], is_up: bool) -> None:
        if not link.is_alive or link.is_parted:
            return
        self._note(f"{link.number}{'>' if is_up else '<'}", frames[1])
        packet = decode(frames, _LIMITS)
        if is_up:
            self._to_gateway(link, packet)
        else:
            link.party.receive(packet)
