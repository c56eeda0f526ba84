"""The fair queue: who is next, what usage, weights, decay and ageing do, and the same order run forward."""

from __future__ import annotations

import pytest

from qmio_jupyter.core import queue
from qmio_jupyter.core.calendar import Calendar
from qmio_jupyter.core.fair import Shares, Usage, nodes
from qmio_jupyter.core.queue import Entry, ReadyQueue, pick, positions, run_forward
from qmio_jupyter.core.records import UsageRow
from qmio_jupyter.model.access import Booking, BookingKind

T0 = 1_000_000


def ready(tasks, *, weights=None, ageing=0.0, usage=None):
    """A queue of (name, tenant, predicted_s), each submitted a second after the one before."""
    made = ReadyQueue(Shares(weights or {}, ageing), usage or Usage(1000.0))
    for index, (name, tenant, predicted_s) in enumerate(tasks):
        made.add(Entry(index, name, tenant, T0 + 1000 * index, predicted_s))
    return made


def order(made, servers=(T0,), outlook=None, pace=1.0):
    return [place.task_id for place in run_forward(made, servers, outlook, pace)]


def drain(made):
    """Dispatch everything as the core does, and return the order."""
    found = []
    while (entry := pick(made, None)) is not None:
        made.remove(entry)
        made.charge(entry)
        found.append(entry.task_id)
    return found


def test_one_user_is_first_come_first_served():
    made = ready([("a", "x/u", 5), ("b", "x/u", 1), ("c", "x/u", 3)])
    assert order(made) == drain(made) == ["a", "b", "c"]


def test_accounts_take_turns_by_what_they_use():
    made = ready([("a1", "a/u", 10), ("a2", "a/u", 10), ("b1", "b/u", 4), ("b2", "b/u", 4), ("b3", "b/u", 4)])
    assert order(made) == drain(made) == ["a1", "b1", "b2", "b3", "a2"]


def test_an_account_with_many_users_gets_no_more_than_one_with_few():
    many = [(f"a{n}", f"a/u{n}", 1) for n in range(4)]
    made = ready([*many, ("b0", "b/u", 1), ("b1", "b/u", 1)])
    assert order(made) == ["a0", "b0", "a1", "b1", "a2", "a3"]


def test_users_of_an_account_take_turns():
    made = ready([("u1", "a/u", 1), ("u2", "a/u", 1), ("v1", "a/v", 1), ("v2", "a/v", 1)])
    assert order(made) == ["u1", "v1", "u2", "v2"]


def test_weights_divide():
    tasks = [(f"a{n}", "a/u", 1) for n in range(6)] + [(f"b{n}", "b/u", 1) for n in range(3)]
    # The heavy account is served twice for each time the light one is.
    assert "".join(name[0] for name in order(ready(tasks, weights={"a": 2.0}))) == "abaabaaba"
    # A weight that makes no sense counts as none.
    assert order(ready(tasks, weights={"a": 0.0})) == order(ready(tasks))


def test_weights_of_users():
    tasks = [(f"u{n}", "a/u", 1) for n in range(4)] + [(f"v{n}", "a/v", 1) for n in range(2)]
    assert "".join(name[0] for name in order(ready(tasks, weights={"a/u": 2.0}))) == "uvuuvu"


def test_waiting_makes_up_for_usage():
    usage = Usage(1e9)
    usage.add("a", "a/u", 10.0)
    tasks = [("a1", "a/u", 1), ("b1", "b/u", 1)]
    assert order(ready(tasks, usage=usage)) == ["b1", "a1"]
    # a1 has waited 1 s longer: at 11 device-seconds per second that is enough.
    assert order(ready(tasks, usage=usage, ageing=11.0)) == ["a1", "b1"]


def test_the_queue_may_be_changed_between_picks():
    made = ready([("a1", "a/u", 1), ("b1", "b/u", 1), ("b2", "b/v", 1)])
    assert pick(made, None).task_id == "a1"
    made.remove(pick(made, None))
    assert pick(made, None).task_id == "b1"
    made.add(Entry(-1, "a0", "a/u", T0, 1.0))
    assert pick(made, None).task_id == "a0"
    made.charge(Entry(7, "b0", "b/w", T0, 5.0))
    made.usage.charge("x", "a", "a/u", 9.0)
    made.forget_rankings()
    assert [entry.task_id for entry in made] == ["b1", "b2", "a0"]
    assert pick(made, None).task_id == "b1"
    made.refund("x")
    assert pick(made, None).task_id == "a0"
    assert len(made) == 3


def test_many_changes_do_not_pile_up():
    made = ready([("a", "a/u", 1), ("b", "b/u", 1)])
    for turn in range(500):
        entry = pick(made, None)
        made.remove(entry)
        made.usage.add(*nodes(entry.tenant), 1.0)
        made.add(entry)
        assert entry.task_id == "ab"[turn % 2]
    assert made._ranking is None or len(made._ranking._heap) < 100


def test_changes_out_of_sight_do_not_pile_up():
    made = ready([("a", "a/u", 1), ("b", "b/u", 1), ("v", "a/v", 1)])
    assert pick(made, None).task_id == "a"
    last = max(made)
    for _ in range(500):
        made.remove(last)
        made.add(last)
        made.touch("b", "b/u")
    assert made._ranking is None or len(made._ranking._heap) < 100
    ranking = made.accounts["a"].ranking
    assert ranking is None or len(ranking._heap) < 100
    assert pick(made, None).task_id == "a"


def test_an_empty_queue():
    made = ready([])
    assert pick(made, None) is None
    assert run_forward(made, [], None, 1.0) == []
    assert positions([]) == {}
    assert list(made) == []


def test_what_is_not_admitted_is_passed_over():
    made = ready([("a1", "a/u", 5), ("a2", "a/u", 1), ("b1", "b/u", 1)])
    assert pick(made, lambda entry: entry.predicted_s < 5).task_id == "a2"
    assert pick(made, lambda entry: entry.tenant == "b/u").task_id == "b1"
    assert pick(made, lambda _: False) is None


def test_running_forward_changes_nothing():
    made = ready([("a1", "a/u", 1), ("a2", "a/u", 1), ("b1", "b/u", 1)])
    before = (sorted(made), dict(made.usage.inflated))
    run_forward(made, [T0], None, 1.0)
    assert (sorted(made), made.usage.inflated) == before


def test_starts_follow_the_servers():
    made = ready([("a", "x/u", 2), ("b", "x/u", 2), ("c", "x/u", 2)])
    places = run_forward(made, [T0, T0 + 500], None, 1.5)
    assert [(place.task_id, place.start_ms) for place in places] == [
        ("a", T0),
        ("b", T0 + 500),
        ("c", T0 + 3000),
    ]
    assert positions(places) == {"a": 0, "b": 1, "c": 2}
    assert [place.start_ms for place in run_forward(made, [], None, 1.0)] == [None] * 3


def test_bookings_in_the_forward_run():
    made = ready([("a1", "a/u", 5), ("a2", "a/u", 1), ("b1", "b/u", 1)])
    booking = Booking(
        booking_id="k",
        device="d",
        kind=BookingKind.CLASS,
        holder="b",
        from_ms=T0 + 3_000,
        until_ms=T0 + 9_000,
    )
    places = run_forward(made, [T0], Calendar([booking], 1.0, {}), 1.0)
    # a1 would run into the booking: the shorter a2 goes first, then the holder, then, after the window, a1.
    assert [(place.task_id, place.start_ms) for place in places] == [
        ("a2", T0),
        ("b1", T0 + 1_000),
        ("a1", T0 + 9_000),
    ]
    forever = Calendar([], 1.0, {})
    forever.gate = lambda _at, _ready: lambda _entry: False
    assert [place.start_ms for place in run_forward(made, [T0], forever, 1.0)] == [None] * 3


# ---------------------------------------------------------------- usage


def test_usage_halves_with_arrivals_only():
    usage = Usage(10.0)
    usage.arrive(T0)
    usage.add("a", "a/u", 8.0)
    assert usage.of("a") == usage.of("a/u") == 8.0
    usage.arrive(T0 - 5)
    usage.arrive(T0)
    assert usage.of("a") == 8.0
    usage.arrive(T0 + 10_000)
    assert usage.of("a") == pytest.approx(4.0)
    usage.add("a", "a/u", 1.0)
    usage.arrive(T0 + 20_000)
    assert usage.of("a") == pytest.approx(2.5)
    assert usage.of("nobody") == 0.0


@pytest.mark.parametrize("half_lives", [10, 65, 700, 5_000])
def test_long_pauses_keep_figures_finite(half_lives):
    usage = Usage(1.0)
    usage.arrive(T0)
    usage.charge("t", "a", "a/u", 8.0)
    usage.add("b", "b/u", 8.0)
    usage.arrive(T0 + half_lives * 1000)
    usage.charge("t2", "a", "a/u", 1.0)
    assert usage.of("a") == pytest.approx(1.0 + 8.0 * 2.0 ** -min(half_lives, 1074))
    usage.refund("t")
    usage.refund("t2")
    assert usage.of("a") == pytest.approx(0.0, abs=1e-12)
    assert usage.of("a") >= 0


def test_a_charge_is_taken_back_as_it_has_decayed():
    usage = Usage(10.0)
    usage.arrive(T0)
    usage.charge("t", "a", "a/u", 8.0)
    usage.charge("s", "a", "a/v", 4.0)
    usage.arrive(T0 + 10_000)
    usage.refund("t")
    assert usage.of("a") == pytest.approx(2.0)
    assert usage.of("a/u") == pytest.approx(0.0)
    usage.settle("s")
    assert (usage.charges, usage.settled["a/v"]) == ({}, usage.inflated["a/v"])


def test_usage_survives_a_restart():
    usage = Usage(10.0)
    usage.arrive(T0)
    usage.add("a", "a/u", 8.0)
    usage.arrive(T0 + 10_000)
    usage.charge("t", "b", "b/u", 2.0)
    rows = (*usage.rows("d", "a/u"), *usage.rows("d", "b/u"))
    assert rows[0] == UsageRow(device="d", node="a", seconds=4.0, as_of_ms=T0 + 10_000)
    again = Usage(10.0)
    again.load(rows, T0 + 20_000)
    assert (again.of("a"), again.of("b/u")) == pytest.approx((2.0, 1.0))
    again.adopt("t", "b", "b/u", 2.0, T0 + 10_000)
    again.refund("t")
    assert (again.of("a"), again.of("b")) == pytest.approx((2.0, 0.0))


def test_a_charge_adopted_is_never_more_than_the_usage():
    usage = Usage(10.0)
    usage.load([UsageRow(device="d", node="a", seconds=1.0, as_of_ms=T0)], T0)
    usage.adopt("t", "a", "a/u", 5.0, T0)
    usage.refund("t")
    assert usage.of("a") == 1.0


@pytest.mark.parametrize(
    ("tenant", "expected"),
    [("a/u", ("a", "a/u")), ("a", ("a", "a/")), ("a/u/v", ("a", "a/u/v")), ("", ("", "/"))],
)
def test_nodes_of_a_tenant(tenant, expected):
    assert nodes(tenant) == expected


def test_the_names_that_mutants_replace_are_looked_up_when_used(busy, monkeypatch):
    first, second, third = (busy.submit("ana") for _ in range(3))
    monkeypatch.setattr(queue, "positions", lambda places: {place.task_id: 7 for place in places})
    assert set(busy.core.positions("dev").values()) == {7}
    monkeypatch.undo()
    monkeypatch.setattr(queue, "pick", lambda made, _: max(made))
    assert busy.core.positions("dev")
    busy.finish(busy.ref(first))
    assert third in busy.core.state.claims
    assert second not in busy.core.state.claims
