"""A state machine over the core: users, agents, operators, time and restarts in any order the search likes.

The bench commits every step to a ledger, watches its history and checks all invariants after it. At the end the
world is left in peace: agents come back, everything runs, and every accepted task must have ended.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.effects import Accepted, Dispatch, Refused
from qmio_jupyter.core.inputs import (
    CancelBooking,
    CloseSession,
    CreateBooking,
    Disconnected,
    EnrolKey,
    Forget,
    GiveBack,
    Renew,
    RevokeKey,
)
from qmio_jupyter.core.records import TaskInserted
from qmio_jupyter.model.access import Booking, BookingKind, Enrolment, Role
from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.task import StalePolicy, TaskOptions, TaskState
from qmio_jupyter.testing.cores import Bench, snapshot

USERS = {"ana": "physics/ana", "bob": "physics/bob", "bea": "chemistry/bea", "cy": "cy"}
AGENTS = {"one": "dev", "two": "dev", "three": "dev2"}

users = st.sampled_from(sorted(USERS))
agents = st.sampled_from(sorted(AGENTS))
some = st.integers(0, 30)


class Life(RuleBasedStateMachine):
    """Anything may happen to a core."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench(CoreConfig(lease_s=4.0, half_life_s=30.0, program_grace_s=20.0, retained_tasks=12))
        self.accepted: dict[str, str] = {}
        self.requests: list = []
        self.refs: list = []
        self.incarnations = dict.fromkeys(AGENTS, 1)
        self.snapshots = 0
        self.bookings = 0
        for name, tenant in USERS.items():
            self.bench.user(name, tenant)

    def _take(self, step) -> None:
        for effect in step.effects:
            if isinstance(effect, Dispatch):
                self.refs.append(effect.ref)

    def _ref(self, index):
        return self.refs[-1 - index % len(self.refs)]

    # ------------------------------------------------------------ users

    @rule(user=users, device=st.sampled_from(["dev", "dev2", "none"]), shots=st.integers(1, 500), pin=some)
    def submit(self, user, device, shots, pin) -> None:
        options = TaskOptions()
        known = self.bench.core.state.devices.get(device)
        if known is not None and known.row.snapshot_id is not None and pin < 4:
            options = TaskOptions(snapshot=known.row.snapshot_id)
        elif pin == 4:
            options = TaskOptions(compiled_for="0" * 64, stale=StalePolicy.REFUSE)
        elif pin == 5:
            options = TaskOptions(max_attempts=1)
        request = self.bench.submission(
            user, device=device, shots=shots, options=options, text=f"p{shots % 4}"
        )
        step = self.bench.do(request)
        if isinstance(step.effects[0], Accepted):
            self.accepted[request.task_id] = user
            self.requests.append(request)
        else:
            assert isinstance(step.effects[0], Refused)
        self._take(step)

    @rule(user=users, index=some)
    @precondition(lambda self: self.accepted)
    def cancel(self, user, index) -> None:
        task_id = list(self.accepted)[index % len(self.accepted)]
        self._take(self.bench.cancel(user, task_id))

    @rule(user=users, index=some)
    @precondition(lambda self: self.accepted)
    def forget(self, user, index) -> None:
        task_id = list(self.accepted)[index % len(self.accepted)]
        self.bench.do(Forget(origin=self.bench.origin(user), task_id=task_id))

    @rule(index=some)
    @precondition(lambda self: self.requests)
    def submit_again(self, index) -> None:
        """A copy of a submission comes late: it starts nothing anew."""
        request = self.requests[index % len(self.requests)]
        is_forgotten = request.task_id in self.bench.core.state.forgotten
        if request.task_id in self.bench.forgotten and not is_forgotten:
            return  # its retention is over
        step = self.bench.do(request)
        if is_forgotten:
            assert isinstance(step.effects[0], Refused)
        assert not any(isinstance(record, TaskInserted) for record in step.records)

    @rule(user=users, lease_s=st.sampled_from([None, 3.0]))
    def open(self, user, lease_s) -> None:
        self.bench.user(user, USERS[user], lease_s=lease_s)

    @rule(user=users)
    def close(self, user) -> None:
        self.bench.do(CloseSession(origin=self.bench.origin(user)))

    @rule(index=some)
    @precondition(lambda self: self.accepted)
    def look(self, index) -> None:
        self.bench.core.view(list(self.accepted)[index % len(self.accepted)], None)

    # ------------------------------------------------------------ agents

    @rule(
        agent=agents,
        credit=st.integers(0, 3),
        is_new=st.booleans(),
        holds=st.integers(0, 3),
        state=st.sampled_from([DeviceState.IDLE, DeviceState.IDLE, DeviceState.CALIBRATING]),
        is_recalibrated=st.booleans(),
    )
    def announce(self, agent, credit, is_new, holds, state, is_recalibrated) -> None:
        self.incarnations[agent] += is_new
        self.snapshots += is_recalibrated
        device = AGENTS[agent]
        self._take(
            self.bench.agent(
                agent,
                device=device,
                credit=credit,
                incarnation=self.incarnations[agent],
                holding=tuple(self.refs[-holds:] if holds else ()),
                state=state,
                snapshot=snapshot(device, self.snapshots) if self.snapshots else None,
                repeatable=device == "dev",
            )
        )

    @rule(agent=agents)
    def part(self, agent) -> None:
        connection = self.bench.connections.pop(agent, None)
        if connection is not None:
            self.bench.connections[f"gone-{len(self.bench.connections)}"] = connection
            self._take(self.bench.do(Disconnected(connection=connection)))

    @rule(agent=agents, index=some, what=st.sampled_from(["held", "started", "progress", "finish"]))
    @precondition(lambda self: self.refs)
    def report(self, agent, index, what) -> None:
        self._take(getattr(self.bench, what)(self._ref(index), agent))

    @rule(agent=agents, index=some, state=st.sampled_from([TaskState.FAILED, TaskState.CANCELLED]))
    @precondition(lambda self: self.refs)
    def fail(self, agent, index, state) -> None:
        self._take(self.bench.finish(self._ref(index), agent, state=state))

    @rule(agent=agents, index=some)
    @precondition(lambda self: self.refs)
    def give_back(self, agent, index) -> None:
        self._take(self.bench.do(GiveBack(origin=self.bench.origin(agent), ref=self._ref(index))))

    @rule(agent=agents, count=st.integers(0, 5))
    def renew(self, agent, count) -> None:
        refs = tuple(self.refs[-count:] if count else ())
        self._take(self.bench.do(Renew(origin=self.bench.origin(agent), refs=refs, stages=("busy",))))

    # ------------------------------------------------------------ operators, time, the gateway itself

    @rule(
        kind=st.sampled_from(sorted(BookingKind)),
        wait_s=st.integers(0, 10),
        length_s=st.integers(1, 10),
        yields=st.sampled_from([None, 1.0]),
    )
    def book(self, kind, wait_s, length_s, yields) -> None:
        self.bookings += 1
        from_ms = self.bench.now_ms + 1000 * wait_s
        is_held = kind in (BookingKind.CLASS, BookingKind.EXCLUSIVE)
        booking = Booking(
            booking_id=f"b{self.bookings}",
            device="dev",
            kind=kind,
            holder="physics" if is_held else None,
            from_ms=from_ms,
            until_ms=from_ms + 1000 * length_s,
            idle_yield_s=yields,
        )
        self._take(self.bench.do(CreateBooking(origin=self.bench.origin("operator"), booking=booking)))

    @rule(index=some)
    @precondition(lambda self: self.bookings)
    def unbook(self, index) -> None:
        booking_id = f"b{1 + index % self.bookings}"
        request = CancelBooking(origin=self.bench.origin("operator"), booking_id=booking_id)
        self._take(self.bench.do(request))

    @rule(agent=agents)
    def revoke(self, agent) -> None:
        self._take(self.bench.do(RevokeKey(origin=self.bench.origin("operator"), key=agent)))

    @rule(agent=agents)
    def enrol(self, agent) -> None:
        enrolment = Enrolment(key=agent, role=Role.AGENT, device=AGENTS[agent])
        self._take(self.bench.do(EnrolKey(origin=self.bench.origin("operator"), enrolment=enrolment)))

    @rule(ms=st.sampled_from([0, 1, 200, 1_000, 2_500, 5_000, 60_000]))
    def wait(self, ms) -> None:
        self._take(self.bench.tick(ms))

    @rule()
    def wait_for_deadline(self) -> None:
        if self.bench.core.next_deadline() is not None:
            self._take(self.bench.tick_to_deadline())

    @rule(ms=st.sampled_from([0, 3_000, 90_000]))
    def die(self, ms) -> None:
        self.bench.restart(ms)

    # ------------------------------------------------------------ what holds

    @invariant()
    def nothing_accepted_is_lost(self) -> None:
        state = self.bench.core.state
        for task_id in self.accepted:
            in_ledger = self.bench.ledger.task(task_id, None) is not None
            in_core = task_id in state.tasks or task_id in state.ended
            assert in_ledger == in_core
            assert in_core != (task_id in self.bench.forgotten)

    def teardown(self) -> None:
        """Leave the world in peace: everything accepted ends."""
        if not hasattr(self, "bench"):
            return
        bench = self.bench
        for agent, device in AGENTS.items():
            self.incarnations[agent] += 1
            bench.agent(agent, device=device, credit=2, incarnation=self.incarnations[agent])
        for _ in range(400):
            live = list(bench.core.state.claims.values())
            if not bench.core.live_tasks:
                break
            for claim in live:
                bench.finish(claim.ref, claim.agent)
            if not live:
                bench.tick_to_deadline()
        assert not bench.core.live_tasks
        for task_id in self.accepted:
            task = bench.ledger.task(task_id, None)
            assert task is None or task.state.is_final
            if task is not None and task.state is TaskState.COMPLETED:
                assert bench.ledger.result(task_id, partial=False) is not None


TestLife = Life.TestCase
TestLife.settings = settings(
    deadline=None, derandomize=True, max_examples=30, stateful_step_count=30, print_blob=True
)
