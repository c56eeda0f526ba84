"""The daemon's loop: one thread, one socket, one ledger. No decision is made here.

Each turn: drain a bounded number of messages, hand each to the desk, commit all their records as one batch,
and release the turn's outputs, in order, when the batch is on disk. Several turns may be on their way there.
It is one file because the steps of a turn share what is under way, and are read best in their order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import partial

from qmio_jupyter.core.core import Core
from qmio_jupyter.core.records import LiveState, Record
from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway.backlog import Backlog
from qmio_jupyter.gateway.commits import Commits
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.log import GatewayLog
from qmio_jupyter.gateway.opening import Opening
from qmio_jupyter.gateway.outbox import Outbox, Sent
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.gateway.recovery import Recovery
from qmio_jupyter.gateway.refusals import internal
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.gateway.turn import Output, Turn, join, packet, request_of
from qmio_jupyter.gateway.verifying import Admitted, Verifying, outcome_of
from qmio_jupyter.model.allocation import JobRun
from qmio_jupyter.ports import Clock, TaskStore
from qmio_jupyter.transport.zeromq_router import Malformed, Received, Router
from qmio_jupyter.wire.messages import ClaimRecorded, Packet

#: Messages read per turn.
DRAIN = 64
#: Messages of one turn, and bytes attached to them, whose records may be written while the loop waits (ADR 17).
ALONE = 2
ALONE_BYTES = 2**16
#: Batches on their way to the disk above which nothing more is read: a slow disk slows down who asks.
MOST_UNDER_WAY = 64
#: Packets sent per turn of the loop; more would delay whoever asks next.
CHUNK = 100
#: Seconds between looks at departed connections, full queues, the log and idleness.
HOUSEKEEPING_S = 1.0
#: Seconds until the log's lines are written: whoever waits for an answer does not wait for them.
LOG_S = 0.01
#: Seconds that an agent's receipt waits for company: nobody is delayed by it.
RECEIPT_S = 0.005
#: Seconds until connections that were full are tried again.
UNSTICK_S = 0.05
#: Bytes queued for one connection (beside one message), and in all, above which nothing more is fetched.
MOST_QUEUED = 64 * 2**20
MOST_QUEUED_IN_ALL = 256 * 2**20
#: Seconds in which a connection must take something of what is meant for it: the bound in all is for all.
STALLED_S = 60.0
#: Seconds that commits under way and packets unsent are waited for when stopping.
FLUSH_S = 5.0


class Service:
    """Runs a desk on a router and a store until it is told to stop.

    Parameters
    ----------
    desk : Desk
        Its :meth:`Desk.start` is on disk already.
    router : Router
        Open and bound.
    store : TaskStore
        The ledger.
    reload : callable
        Makes the next core of what the ledger holds, with the next epoch.
    clock : Clock
        The gateway's time.
    log : GatewayLog
        One line per request and per transition.
    opening : Opening, optional
        Keeps users' greetings until the devices are there.
    idle_s : float, optional
        Stop after so long without clients and live tasks; None: never.
    verifying : Verifying, optional
        Looks into proofs, and into which jobs have ended; None: the desk takes no proofs.
    outruns : bool
        Whether a dispatch to a repeatable device may leave before its commit; see `Releases`.
    """

    def __init__(
        self,
        desk: Desk,
        router: Router,
        store: TaskStore,
        *,
        reload: Callable[[LiveState], Core],
        clock: Clock,
        log: GatewayLog,
        opening: Opening | None = None,
        idle_s: float | None = None,
        verifying: Verifying | None = None,
        outruns: bool = False,
    ) -> None:
        self._desk = desk
        self._router = router
        self._store = store
        self._clock = clock
        self._log = log
        self._opening = opening
        self._idle_s = idle_s
        self._verifying = verifying
        # True while it is being found out which jobs have ended.
        self._is_reconciling = False
        self._loop = asyncio.get_running_loop()
        self._releases = Releases(outruns=outruns)
        self._commits = Commits(
            store,
            self._releases,
            self._loop,
            on_ended=self._on_ended,
            on_failure=self._on_failure,
            figures=desk.figures,
        )
        self._recovery = Recovery(store, self._commits, reload=reload, adopt=self._adopt, log=log)
        self._outbox = Outbox(self._send, self._give_up, desk.figures)
        self._backlog = Backlog(self._has_room)
        self._unlogged: list[Callable[[], None]] = []
        self._logging: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        # Receipts for agents, by connection.
        self._receipts: dict[int, list[Packet]] = {}
        self._receipting: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._is_closed = False
        self._unsticking: asyncio.TimerHandle | None = None
        self._housekeeping: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms: int | None = None
        self._busy_at = self._loop.time()

    # ------------------------------------------------------------ life

    async def run(self, *, before_flush: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serve until :meth:`stop`, a `gateway.stop` or idleness; then flush what was decided.

        Parameters
        ----------
        before_flush : callable, optional
            Awaited while new work is refused and claims are still recorded: the place to stop agents.
        """
        self._loop.add_reader(self._router.fd, self._pump)
        self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._keep_house)
        self._arm()
        # What arrived between binding and add_reader made no edge that anybody saw.
        self._wake()
        try:
            await self._stopping.wait()
            self._desk.is_stopping = True
            if before_flush is not None:
                await before_flush()
        finally:
            await self._flush()

    def stop(self) -> None:
        """Ask the service to end."""
        self._stopping.set()

    async def _flush(self) -> None:
        """Stop receiving; wait, not for long, until decisions are on disk and answers on their way."""
        self._desk.is_stopping = True
        self._is_closed = True
        self._recovery.close()
        self._loop.remove_reader(self._router.fd)
        for timer in (self._housekeeping, self._timer, self._unsticking, self._logging, self._receipting):
            if timer is not None:
                timer.cancel()
        deadline = self._loop.time() + FLUSH_S
        while self._has_more and self._loop.time() < deadline:
            self._queue_receipts()
            self._let_out()
            await asyncio.sleep(0.002)
        self._queue_receipts()
        self._let_out()
        self._write_down()

    @property
    def _has_more(self) -> bool:
        return bool(self._commits.under_way or len(self._outbox) or len(self._backlog))

    # ------------------------------------------------------------ in

    def _wake(self) -> None:
        """Run a turn soon: there is more than the descriptor says."""
        if not self._is_pumping:
            self._is_pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Run one turn: drain, decide, commit, let out."""
        self._is_pumping = False
        if self._is_closed:
            return
        messages = [] if self._is_congested else self._router.receive(DRAIN)
        now_ms = self._clock.now_ms()
        if self._opening is not None:
            messages = self._open(self._opening, messages, now_ms)
        if messages:
            self._decide(messages, now_ms)
            self._arm()
            if self._opening is not None and self._opening.is_over(now_ms):
                self._wake()
        self._let_out()
        if self._desk.is_stopping and not self._stopping.is_set():
            self._log.event("asked to stop")
            self.stop()

    @property
    def _is_congested(self) -> bool:
        """True while the disk is far behind; every batch that ends looks at the socket again."""
        return self._commits.under_way >= MOST_UNDER_WAY

    def _open(
        self, opening: Opening, messages: list[Received | Malformed], now_ms: int
    ) -> list[Received | Malformed]:
        """Return the messages that may be looked at now."""
        if opening.is_over(now_ms):
            self._opening = None
            return opening.take() + messages
        return opening.sift(messages)

    def _decide(self, messages: list[Received | Malformed], now_ms: int) -> None:
        """Hand messages to the desk and their records to the ledger, as one batch."""
        turns: list[Turn] = []
        for message in messages:
            try:
                turns.append(self._take(message, now_ms))
            except Exception as error:  # noqa: BLE001 - whatever a message breaks, the others are served
                # Asked again it would break again: no retryable answer for this one.
                if isinstance(message, Received) and message.packet.envelope.id:
                    self._outbox.put(message.connection, packet(internal(), re=message.packet.envelope.id))
                self._releases.hold(join(turns))
                self._on_defect(error)
                turns = []
        turn = join(turns)
        if self._commits.submit(turn, at_once=self._is_alone(messages)):
            self._note(partial(self._log.committed, turn.records))

    def _is_alone(self, messages: list[Received | Malformed]) -> bool:
        """Return whether nobody else waits for the loop while these messages' small records are written."""
        if len(messages) > ALONE or self._commits.under_way or len(self._outbox):
            return False
        size = sum(
            len(one)
            for message in messages
            if isinstance(message, Received)
            for one in message.packet.attachments
        )
        return size <= ALONE_BYTES and not self._router.ready()

    def _take(self, message: Received | Malformed, now_ms: int) -> Turn:
        if isinstance(message, Malformed):
            self._log.malformed(message.peer, message.error)
            return self._desk.malformed(
                message.connection, message.peer, message.error, message.request, now_ms
            )
        turn = self._desk.receive(message.connection, message.peer, message.packet, now_ms)
        for proof in self._desk.proofs.take():
            self._look_into(proof)
        for ended in self._desk.take_ended():
            # A copied key is not to be let in again on what Slurm said before: that the job runs.
            if self._verifying is not None:
                self._verifying.has_ended(ended.cluster, ended.job_id)
        self._note(partial(self._log.request, message.connection, message.peer, message.packet, turn))
        return turn

    def _note(self, line: Callable[[], None]) -> None:
        """Have a line written to the log when the ledger and the sockets have what they wait for."""
        self._unlogged.append(line)
        if self._logging is None and not self._is_closed:
            self._logging = self._loop.call_later(LOG_S, self._write_down)

    def _write_down(self) -> None:
        """Write what the log is to say of requests and transitions, in order."""
        self._logging = None
        lines, self._unlogged = self._unlogged, []
        with self._log.together():
            for line in lines:
                line()

    # ------------------------------------------------------------ proofs and jobs

    def _look_into(self, proof: Proof) -> None:
        assert self._verifying is not None, "a desk without nonces takes no proofs"

        def tell(done: Future[Admitted]) -> None:
            outcome = outcome_of(done)
            self._call(self._proved, proof, outcome)

        self._verifying.look_into(proof).add_done_callback(tell)

    def _call(self, then: Callable[..., None], *arguments: object) -> None:
        """Have something done in the loop, from another thread; nothing once the loop has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(then, *arguments)

    def _proved(self, proof: Proof, outcome: Admitted | QmioError) -> None:
        if self._is_closed:
            return
        self._log.proof(proof, outcome)
        self._submit(lambda now_ms: self._desk.proved(proof.number, outcome, now_ms))

    def _reconcile(self) -> None:
        """Find out which jobs have ended; the sessions of those end too."""
        if self._verifying is None or self._is_reconciling:
            return
        runs = self._desk.core.job_runs()
        if not runs:
            return
        self._is_reconciling = True

        def tell(done: Future[tuple[JobRun, ...]]) -> None:
            outcome = outcome_of(done)
            self._call(self._reconciled, outcome)

        self._verifying.ended(runs).add_done_callback(tell)

    def _reconciled(self, outcome: tuple[JobRun, ...] | QmioError) -> None:
        self._is_reconciling = False
        if self._is_closed:
            return
        if isinstance(outcome, QmioError):
            self._log.event("slurm not asked", level="warning", code=outcome.code, error=outcome.message)
        elif outcome:
            self._log.event("jobs ended", jobs=[run.job_id for run in outcome])
            self._submit(lambda now_ms: self._desk.ended(outcome, now_ms))

    def _submit(self, decide: Callable[[int], Turn]) -> None:
        """Have the desk decide something that no message asks for, and let out what comes of it."""
        try:
            self._commits.submit(decide(self._clock.now_ms()))
        except Exception as error:  # noqa: BLE001 - the core is reloaded without it
            self._on_defect(error)
        self._arm()
        self._let_out()

    # ------------------------------------------------------------ out

    def _let_out(self) -> None:
        """Release what is on disk and send a piece of it; more of it in the next turn."""
        for output in self._backlog.ready(self._releases.take()):
            try:
                released = self._desk.release(output, self._store)
            except Exception as error:  # noqa: BLE001 - the outputs after it have nothing to do with it
                self._log.defect(error)
                released = [(output.connection, packet(internal(), re=request_of(output)))]
            for connection, sent in released:
                self._put(connection, sent)
        for connection in self._backlog.overfull():
            self._give_up(connection)
        self._outbox.flush(CHUNK)
        # Sending takes the descriptor's edge away: look whether something has arrived meanwhile.
        if len(self._outbox) or (not self._is_congested and self._router.ready()):
            self._wake()
        is_waiting = self._outbox.has_stuck or len(self._backlog)
        if is_waiting and self._unsticking is None and not self._is_closed:
            self._unsticking = self._loop.call_later(UNSTICK_S, self._unstick)

    def _put(self, connection: int, sent: Packet) -> None:
        """Queue a packet; a receipt waits a moment, to go with whatever its agent is sent next."""
        if isinstance(sent.envelope.body, ClaimRecorded):
            self._receipts.setdefault(connection, []).append(sent)
            if self._receipting is None and not self._is_closed:
                self._receipting = self._loop.call_later(RECEIPT_S, self._send_receipts)
            return
        for receipt in self._receipts.pop(connection, ()):
            self._outbox.put(connection, receipt)
        self._outbox.put(connection, sent)

    def _send_receipts(self) -> None:
        self._receipting = None
        self._queue_receipts()
        self._let_out()

    def _queue_receipts(self) -> None:
        receipts, self._receipts = self._receipts, {}
        for connection, packets in receipts.items():
            for one in packets:
                self._outbox.put(connection, one)

    def _unstick(self) -> None:
        self._unsticking = None
        self._outbox.retry(CHUNK)
        self._let_out()

    def _has_room(self, connection: int) -> bool:
        """Return whether another answer may be fetched from the store for a connection."""
        queued = self._outbox.queued_bytes(connection) + self._router.unsent_bytes(connection)
        total = self._outbox.total_bytes + self._router.unsent_bytes()
        return queued <= MOST_QUEUED and total <= MOST_QUEUED_IN_ALL

    def _send(self, connection: int, frames: list[bytes]) -> Sent:
        if self._router.send_encoded(connection, frames):
            return Sent.YES
        return Sent.GONE if self._router.peer(connection) is None else Sent.FULL

    def _give_up(self, connection: int) -> None:
        """Hear no more of a connection that reads nothing: its client finds silence and connects again."""
        self._log.event("connection given up", connection=connection)
        self._backlog.drop(connection)
        self._router.drop(connection)
        self._part(connection, self._clock.now_ms())

    def _part(self, connection: int, now_ms: int) -> None:
        try:
            self._commits.submit(self._desk.disconnected(connection, now_ms))
        except Exception as error:  # noqa: BLE001 - the core is reloaded without it
            self._on_defect(error)

    # ------------------------------------------------------------ ledger

    def _on_ended(self, records: tuple[Record, ...]) -> None:
        self._let_out()
        if records:
            self._note(partial(self._log.committed, records))

    def _on_failure(self, lost: list[Output], error: BaseException) -> None:
        """Discard what the core decided since the ledger last agreed; answer retryably; try to come back."""
        self._discard(lost, error, is_undone=True)

    def _discard(self, lost: list[Output], error: BaseException, *, is_undone: bool) -> None:
        self._log.event("core discarded", level="error", error=str(error), lost=len(lost))
        self._desk.suspend()
        for connection, refusal in self._desk.refuse_lost(lost, is_undone=is_undone):
            self._outbox.put(connection, refusal)
        self._recovery.begin()
        self._let_out()

    def _on_defect(self, error: Exception) -> None:
        """Discard a core in which a decision broke off half way; what was decided before it is asked for again."""
        self._log.defect(error)
        # What the writer has already got will reach the disk all the same.
        self._discard(self._commits.abandon(), error, is_undone=False)

    def _adopt(self, core: Core) -> None:
        try:
            self._commits.submit(self._desk.adopt(core))
            self._arm()
        except Exception as error:  # noqa: BLE001 - reloaded once more, and not before a pause
            self._on_defect(error)
        self._let_out()

    # ------------------------------------------------------------ time

    def _arm(self) -> None:
        """See to it that `_tick` runs when the core next wants it."""
        due_ms = self._desk.next_deadline()
        if due_ms == self._timer_ms and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_ms = due_ms
        if due_ms is not None:
            wait_s = max(1, due_ms - self._clock.now_ms()) / 1000
            self._timer = self._loop.call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        try:
            self._commits.submit(self._desk.tick(self._clock.now_ms()))
        except Exception as error:  # noqa: BLE001 - the core is reloaded, and due again
            self._on_defect(error)
        self._arm()
        self._let_out()

    def _keep_house(self) -> None:
        try:
            self._look_around()
        except Exception as error:  # noqa: BLE001 - the house is kept again in a moment
            self._log.defect(error)
        finally:
            self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._keep_house)

    def _look_around(self) -> None:
        now_ms = self._clock.now_ms()
        for connection in self._router.departed():
            self._outbox.drop(connection)
            self._backlog.drop(connection)
            self._part(connection, now_ms)
        for connection in self._router.stalled(STALLED_S):
            self._outbox.drop(connection)
            self._give_up(connection)
        self._reconcile()
        if self._opening is not None:
            self._wake()
        # While it opens, users may wait at the door without being known to the desk.
        if self._opening is None and self._desk.is_idle():
            if self._idle_s is not None and self._loop.time() - self._busy_at > self._idle_s:
                self._log.event("idle", seconds=self._idle_s)
                self.stop()
        else:
            self._busy_at = self._loop.time()
        self._arm()
        self._let_out()
