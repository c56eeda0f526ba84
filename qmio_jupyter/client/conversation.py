"""What both shells share: one protocol, the link of the moment, and the search for the next one.

`step` does all that can be done now and never blocks; a shell calls it when a descriptor is readable, at
`next_deadline`, and after it asked for something.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

from qmio_jupyter._version import __version__
from qmio_jupyter.client.events import ClientEvent, GatewayChanged, ProofWanted
from qmio_jupyter.client.locate import Demand, Locator, Target
from qmio_jupyter.client.protocol import ClientProtocol
from qmio_jupyter.errors import LimitError, QmioError
from qmio_jupyter.model.ids import TaskId
from qmio_jupyter.transport.zeromq_dealer import Dealer, LinkState
from qmio_jupyter.wire.messages import Message, Packet, SessionOpen

#: Pause between two looks for a gateway while there is no link.
SEEK_S = 0.1
#: The same while nobody wants anything.
SEEK_IDLE_S = 2.0

_log = logging.getLogger("qmio_jupyter.client")
_log.addHandler(logging.NullHandler())


class Conversation:
    """A `ClientProtocol` over whatever link its `Locator` leads to. Not thread-safe: one owner."""

    def __init__(self, locator: Locator) -> None:
        self.protocol = ClientProtocol(software=f"qmio_jupyter/{__version__}")
        self.dealer: Dealer | None = None
        self._locator = locator
        self._target: Target | None = None
        self._unsent: deque[Packet] = deque()
        self._seek_at = 0.0
        self._down_since: float | None = None

    @property
    def is_linked(self) -> bool:
        """True while the link is up."""
        return self.dealer is not None and self.dealer.is_up

    def unreachable_s(self, now_s: float) -> float:
        """Return for how long no gateway has answered; 0 while one does."""
        if self.protocol.ready:
            return 0.0
        return 0.0 if self._down_since is None else now_s - self._down_since

    def request(
        self, body: Message, blobs: Sequence[tuple[str, bytes]], *, deadline_s: float, now_s: float
    ) -> int:
        """Ask; call `step` soon after. Looks for a gateway at once if there is no link."""
        if not self.is_linked:
            self._seek_at = min(self._seek_at, now_s)
        return self.protocol.request(body, blobs, deadline_s=deadline_s, now_s=now_s)

    def watch(self, task_id: TaskId, now_s: float) -> None:
        """Watch a task."""
        self.protocol.watch(task_id, now_s)

    def step(self, now_s: float, *, look: bool = True) -> list[ClientEvent]:
        """Receive, look for a gateway, send; return what happened.

        Without `look` an established link is not read from: for a caller who knows that nothing woke it there.
        """
        events = self._receive(now_s) if look or not self.is_linked else []
        if not self.is_linked:
            events += self._seek(now_s)
        events += self.protocol.tick(now_s)
        self._send()
        if self.protocol.ready:
            self._down_since = None
        elif self._down_since is None:
            self._down_since = now_s
        return events

    def next_deadline(self, now_s: float) -> float:
        """Return when `step` is due at the latest, in seconds of the caller's monotonic clock."""
        if self.dealer is not None and (self.dealer.needs_another_turn or self.dealer.ready()):
            return now_s
        due = self.protocol.next_deadline()
        if not self.is_linked:
            due = self._seek_at if due is None else min(due, self._seek_at)
        elif self._unsent:
            due = now_s + 0.01  # The queue to the gateway is full; it empties as the gateway reads.
        return now_s + 60.0 if due is None else due

    def close(self) -> None:
        """Send what is queued, for at most the linger time, and close the link."""
        if self.dealer is not None:
            self.dealer.close()
            self.dealer = None

    def _receive(self, now_s: float) -> list[ClientEvent]:
        events: list[ClientEvent] = []
        dealer = self.dealer
        if dealer is None:
            return events
        for packet in dealer.receive():
            if isinstance(packet, QmioError):
                _log.warning("unreadable message from the gateway: %s", packet)
                continue
            for event in self.protocol.receive(packet, now_s):
                if isinstance(event, ProofWanted):
                    events += self._prove(event, now_s)
                    continue
                if isinstance(event, GatewayChanged):
                    dealer.limits = event.welcome.limits
                events.append(event)
        for change in dealer.link_events():
            if change.state is LinkState.UP:
                # Only the gateway itself gets through the handshake, even if it takes its time to answer.
                self._locator.linked()
                self.protocol.link_up(now_s)
            elif change.state is LinkState.DOWN:
                _log.info("link to %s is down: %s", dealer.endpoint, change.detail)
                self._unsent.clear()
                self._seek_at = now_s
                events += self.protocol.link_down(now_s)
            elif change.state is LinkState.REFUSED:
                _log.info("link to %s is refused: %s", dealer.endpoint, change.detail)
                self.protocol.link_refused(f"{dealer.endpoint}: {change.detail}", now_s)
        return events

    def _seek(self, now_s: float) -> list[ClientEvent]:
        if now_s < self._seek_at:
            return []
        demand = self._demand()
        self._seek_at = now_s + (SEEK_IDLE_S if demand is Demand.NONE else SEEK_S)
        try:
            target = self._locator.locate(now_s, demand)
        except QmioError as error:
            return self.protocol.refuse_all(error)
        if target is not None and target != self._target:
            self.close()
            self._unsent.clear()
            self.dealer = Dealer(target.endpoint, target.server_key, target.keys)
            welcome = self.protocol.welcome
            if welcome is not None:
                self.dealer.limits = welcome.limits
            self._target = target
            self.protocol.proves = target.prover is not None
        return []

    def _prove(self, wanted: ProofWanted, now_s: float) -> list[ClientEvent]:
        """Answer the gateway's question who this is: MUNGE is asked, on this node, which takes no time."""
        target = self._target
        if target is None or target.prover is None:
            return []
        try:
            proof: SessionOpen | QmioError = target.prover.answer(wanted.nonce, target.server_key)
        except QmioError as error:
            proof = error
        return self.protocol.prove(proof, now_s)

    def _demand(self) -> Demand:
        if self.protocol.busy:
            return Demand.ASKING
        return Demand.WAITING if self.protocol.watching else Demand.NONE

    def _send(self) -> None:
        self._unsent.extend(self.protocol.outgoing())
        while self._unsent and self.dealer is not None:
            try:
                if not self.dealer.send(self._unsent[0]):
                    return
            except LimitError as error:  # The protocol refuses such requests; nothing else is that large.
                _log.error("not sent: %s", error)
            self._unsent.popleft()
