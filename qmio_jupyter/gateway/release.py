"""Commit first, act after: outputs wait here, in order, until their turn is on disk.

The service and the simulator both let everything out through this one door; the mutants "reply before
commit" and "result before commit" are made by overriding :meth:`Releases.must_wait`.
"""

from __future__ import annotations

from collections import deque

from qmio_jupyter.gateway.turn import Output, Ship, Turn


class _Held:
    """One turn that waits."""

    __slots__ = ("is_committed", "outputs", "ticket")

    def __init__(self, ticket: int, outputs: list[Output], is_committed: bool) -> None:
        self.ticket = ticket
        self.outputs = outputs
        self.is_committed = is_committed


class Releases:
    """Turns between their decision and their release.

    A turn without records needs no commit of its own, but still waits for those before it.

    Parameters
    ----------
    outruns : bool
        A dispatch to a repeatable device leaves at once. Should its commit fail, the claim is of an epoch that is
        over: whatever the agent says of it is refused, and it ran for nothing.
    """

    def __init__(self, *, outruns: bool = False) -> None:
        self._outruns = outruns
        self._held: deque[_Held] = deque()
        self._early: list[Output] = []
        self._next_ticket = 1

    def __len__(self) -> int:
        return len(self._held)

    @property
    def has_early(self) -> bool:
        """True while something that need not wait for its commit has not left."""
        return bool(self._early)

    def must_wait(self, output: Output) -> bool:
        """Return whether `output` waits for its commit: all but a dispatch that is allowed to outrun it."""
        if not (self._outruns and isinstance(output, Ship) and output.is_repeatable):
            return True
        # Never ahead of what its own agent is to hear first.
        return any(waiting.connection == output.connection for held in self._held for waiting in held.outputs)

    def hold(self, turn: Turn) -> int:
        """Take a turn in; return the ticket to give to :meth:`committed` when its records are on disk."""
        ticket = self._next_ticket
        self._next_ticket += 1
        held = _Held(ticket, [], not turn.records)
        self._held.append(held)
        for output in turn.outputs:
            (held.outputs if self.must_wait(output) else self._early).append(output)
        return ticket

    def committed(self, ticket: int) -> None:
        """Note that the records of `ticket`, and therefore of all before it, are on disk."""
        for held in self._held:
            if held.ticket > ticket:
                break
            held.is_committed = True

    def take(self) -> list[Output]:
        """Return, in order, what may leave now."""
        ready, self._early = self._early, []
        while self._held and self._held[0].is_committed:
            ready += self._held.popleft().outputs
        return ready

    def drop(self) -> list[Output]:
        """Forget every turn that waits, after a failed commit; return what will never leave."""
        lost = self._early + [output for held in self._held for output in held.outputs]
        self._early = []
        self._held.clear()
        return lost
