"""Positions are honest: if nothing else arrives, a task shown at k starts after exactly k others.

And the queue is fair: over a long run, shares of the device follow the weights, whatever the sizes of the tasks.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.task import TaskOptions
from qmio_jupyter.testing.cores import Bench, dispatched

USERS = {"ana": "physics/ana", "bob": "physics/bob", "bea": "chemistry/bea", "cy": "maths/cy"}

COST = CostModel(t0_s=0.5, per_shot_s=0.05)
CLOCK = CostModel(t0_s=2.0, per_shot_s=0.01)

submissions = st.lists(
    st.tuples(st.sampled_from(sorted(USERS)), st.integers(1, 400), st.sampled_from([0, 0, 1, 700, 90_000])),
    min_size=1,
    max_size=30,
)
disturbances = st.lists(
    st.tuples(st.sampled_from(["finish", "lapse", "cancel", "restart"]), st.integers(0, 9)), max_size=6
)
several = st.lists(st.integers(1, 3), min_size=1, max_size=3)
paces = st.lists(st.floats(0.05, 20.0), min_size=1, max_size=7)


def finish_one(bench: Bench, index: int, device_s: float = 1.0) -> list:
    """End one of the live claims; return what is dispatched then."""
    claims = sorted(bench.core.state.claims.values(), key=lambda claim: (claim.claimed_ms, claim.ref.task_id))
    claim = claims[index % len(claims)]
    return dispatched(bench.finish(claim.ref, claim.agent, device_s=device_s))


def world(ageing: float, agents_credit: list[int], lease_s: float = 15.0) -> Bench:
    weights = (("chemistry", 2.0), ("physics/bob", 3.0))
    bench = Bench(CoreConfig(ageing=ageing, half_life_s=60.0, weights=weights, lease_s=lease_s))
    for name, tenant in USERS.items():
        bench.user(name, tenant)
    for index, credit in enumerate(agents_credit):
        bench.agent(f"agent{index}", credit=credit, cost=COST, clock=CLOCK)
    return bench


def disturb(bench: Bench, what: str, index: int, agents_credit: list[int]) -> None:
    state = bench.core.state
    if what == "finish" and state.claims:
        finish_one(bench, index, device_s=0.1 + index)
    elif what == "lapse":
        bench.tick(16_000)
        bench.tick(16_000)
    elif what == "cancel" and state.tasks:
        task = list(state.tasks.values())[index % len(state.tasks)]
        bench.cancel(task.owner.tenant.partition("/")[2], task.task_id)
    elif what == "restart":
        bench.restart(index * 100)
        for number, credit in enumerate(agents_credit):
            held = tuple(
                claim.ref for claim in bench.core.state.claims.values() if claim.agent == f"agent{number}"
            )
            # Configured anew: the device has a clock no longer, or again.
            clock = CLOCK if index % 2 else None
            bench.agent(f"agent{number}", credit=credit, holding=held, cost=COST, clock=clock)


@settings(max_examples=30)
@given(
    given_tasks=submissions,
    disturbing=disturbances,
    ageing=st.sampled_from([0.0, 0.1, 5.0]),
    agents_credit=several,
    real=paces,
)
def test_a_task_shown_at_k_starts_after_exactly_k_others(
    given_tasks, disturbing, ageing, agents_credit, real
):
    bench = world(ageing, agents_credit)
    for user, shots, wait_ms in given_tasks:
        bench.tick(wait_ms)
        bench.submit(user, shots=shots, options=TaskOptions(pace="real" if shots % 3 == 0 else "fast"))
        if disturbing:
            disturb(bench, *disturbing.pop(), agents_credit)
    bench.tick(200)
    shown = bench.core.positions("dev")
    assert {task_id: bench.core.view(task_id, None).position for task_id in shown} == shown
    # Nothing else arrives: runs end, in any order, each after as long as it likes.
    order: list = []
    turn = 0
    while bench.core.state.tasks:
        if not bench.core.state.claims:
            # Everybody gave up or is silent: time passes.
            order += dispatched(bench.tick_to_deadline())
            continue
        bench.now_ms += round(1000 * real[turn % len(real)])
        order += finish_one(bench, turn, device_s=real[turn % len(real)])
        turn += 1
    assert order == sorted(shown, key=shown.__getitem__)
    assert not bench.core.state.devices["dev"].unexplained


@settings(max_examples=30)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(sorted(USERS)), st.integers(1, 400)), min_size=1, max_size=12),
    credit=st.integers(1, 4),
    parallel=st.integers(1, 3),
    learnt=paces,
)
def test_by_the_clock_a_task_ends_when_it_was_told_to(sizes, credit, parallel, learnt):
    """Whatever fast runs taught before; the device runs these one by one, however many it has or could run."""
    bench = Bench(CoreConfig(half_life_s=60.0))
    for name, tenant in USERS.items():
        bench.user(name, tenant)
    bench.agent(credit=credit, parallel=parallel, cost=COST, clock=CLOCK)
    for seconds in learnt:
        bench.finish(bench.ref(bench.submit("ana", shots=100)), device_s=seconds)
    tasks = [bench.submit(user, shots=shots, options=TaskOptions(pace="real")) for user, shots in sizes]
    told = {}
    for task_id in tasks:
        end = bench.core.view(task_id, None).end
        assert end.p50_s == end.p90_s
        told[task_id] = bench.now_ms + 1000 * end.p50_s
    while bench.core.state.claims:
        claim = next(iter(bench.core.state.claims.values()))
        bench.started(claim.ref)
        length_s = bench.core.state.tasks[claim.ref.task_id].predicted_s
        bench.now_ms += round(1000 * length_s)
        assert abs(bench.now_ms - told[claim.ref.task_id]) <= len(tasks)  # each is rounded to a millisecond
        bench.finish(claim.ref, device_s=length_s)
    assert not bench.core.state.tasks


@settings(max_examples=10)
@given(given_tasks=submissions, ageing=st.sampled_from([0.0, 0.1]))
def test_waiting_changes_no_position(given_tasks, ageing):
    bench = world(ageing, [1], lease_s=1e9)
    for user, shots, wait_ms in given_tasks:
        bench.tick(wait_ms)
        bench.submit(user, shots=shots)
    before = bench.core.positions("dev")
    bench.tick(10**9)
    assert bench.core.positions("dev") == before


@settings(max_examples=10)
@given(sizes=st.lists(st.integers(1, 200), min_size=3, max_size=8), weight=st.sampled_from([1.0, 2.0, 5.0]))
def test_shares_follow_weights_in_the_long_run(sizes, weight):
    """Two accounts that always have work share the device by weight, to within one task of each."""
    bench = Bench(CoreConfig(ageing=0.0, half_life_s=1e9, weights=(("chemistry", weight),)))
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent(cost=CostModel(per_shot_s=0.01))
    bench.check = lambda: None
    served: Counter = Counter()
    shots = {"ana": sizes, "bea": sizes[::-1]}
    counts = Counter()
    for _ in range(120):
        for user, wants in shots.items():
            while sum(task.owner.tenant.endswith(user) for task in bench.core.state.tasks.values()) < 2:
                bench.submit(user, shots=wants[counts[user] % len(wants)])
                counts[user] += 1
        (claim,) = bench.core.state.claims.values()
        task = bench.core.state.tasks[claim.ref.task_id]
        served[task.owner.tenant] += task.predicted_s
        bench.finish(claim.ref, device_s=0.0)
    longest = max(sizes) * 0.01
    assert abs(served["physics/ana"] - served["chemistry/bea"] / weight) <= 2 * longest + 1e-6


@settings(max_examples=10)
@given(heavy=st.integers(20, 60), light=st.integers(1, 5), shots=st.integers(1, 100))
def test_a_light_user_does_not_wait_behind_a_heavy_one(heavy, light, shots):
    """Whatever a heavy user has queued, a light one's tasks take turns with it."""
    bench = Bench(CoreConfig(ageing=0.0))
    bench.user("ana")
    bench.user("bea", "chemistry/bea")
    bench.agent(cost=CostModel(per_shot_s=0.01))
    bench.check = lambda: None
    for _ in range(heavy):
        bench.submit("ana", shots=shots)
    mine = [bench.submit("bea", shots=shots) for _ in range(light)]
    positions = bench.core.positions("dev")
    assert [positions[task_id] for task_id in mine] == [2 * index for index in range(light)]
