"""Nothing leaves before its turn, and all before it, are on disk."""

from qmio_jupyter.core.records import EpochSaved
from qmio_jupyter.gateway.release import Releases
from qmio_jupyter.gateway.turn import Send, Ship, Turn, join, packet
from qmio_jupyter.model.task import ClaimRef, Contract, Item, TaskSpec
from qmio_jupyter.wire import messages as m


def out(number):
    return Send(number, packet(m.Done(), re=number))


def turn(*outputs, records=1):
    return Turn(tuple(EpochSaved(epoch=n) for n in range(records)), outputs)


def test_outputs_wait_for_their_commit():
    releases = Releases()
    ticket = releases.hold(turn(out(1)))
    assert releases.take() == []
    releases.committed(ticket)
    assert releases.take() == [out(1)]
    assert releases.take() == []


def test_a_turn_without_records_waits_for_those_before_it():
    releases = Releases()
    ticket = releases.hold(turn(out(1)))
    releases.hold(turn(out(2), records=0))
    assert releases.take() == []
    releases.committed(ticket)
    assert releases.take() == [out(1), out(2)]


def test_a_turn_without_records_leaves_at_once_when_nothing_is_before_it():
    releases = Releases()
    releases.hold(turn(out(1), records=0))
    assert releases.take() == [out(1)]
    assert len(releases) == 0


def test_order_is_that_of_the_decisions_over_several_turns_under_way():
    releases = Releases()
    tickets = [releases.hold(turn(out(n))) for n in (1, 2, 3)]
    releases.committed(tickets[1])
    assert releases.take() == [out(1), out(2)]
    releases.committed(tickets[2])
    assert releases.take() == [out(3)]


def test_drop_forgets_all_that_waits_and_returns_it():
    releases = Releases()
    first = releases.hold(turn(out(1)))
    releases.hold(turn(out(2)))
    releases.hold(turn(out(3), records=0))
    assert releases.drop() == [out(1), out(2), out(3)]
    releases.committed(first)
    assert releases.take() == []


class Impatient(Releases):
    """The mutant: replies leave before their commit."""

    def must_wait(self, output):
        return False


def test_the_mutants_hook_lets_outputs_out_early():
    releases = Impatient()
    releases.hold(turn(out(1)))
    assert releases.take() == [out(1)]


def test_join_keeps_order():
    joined = join([turn(out(1)), turn(out(2), out(3), records=2)])
    assert joined.outputs == (out(1), out(2), out(3))
    assert [record.epoch for record in joined.records] == [0, 0, 1]


def dispatch(connection, *, is_repeatable=True):
    message = m.ClaimDispatch(
        ref=ClaimRef(task_id="t", epoch=1, attempt=1),
        spec=TaskSpec(device="d", items=(Item(program="p", shots=1),)),
        contract=Contract(programs=("p",), seed=1, snapshot_id=None, batch_shots=1),
        lease_s=1.0,
    )
    return Ship(
        connection=connection, message=message, tenant="t", digests=("p",), is_repeatable=is_repeatable
    )


def test_where_it_is_allowed_a_dispatch_to_a_repeatable_device_outruns_its_commit():
    releases = Releases(outruns=True)
    ticket = releases.hold(turn(out(1), dispatch(9), dispatch(8, is_repeatable=False)))
    assert releases.take() == [dispatch(9)]
    releases.committed(ticket)
    assert releases.take() == [out(1), dispatch(8, is_repeatable=False)]


def test_unless_it_is_allowed_it_waits():
    releases = Releases()
    releases.hold(turn(dispatch(9)))
    assert releases.take() == []


def test_a_dispatch_never_overtakes_what_its_agent_is_to_hear_first():
    releases = Releases(outruns=True)
    first = releases.hold(turn(out(9)))
    second = releases.hold(turn(dispatch(9)))
    assert releases.take() == []
    releases.committed(first)
    assert releases.take() == [out(9)]
    releases.committed(second)
    assert releases.take() == [dispatch(9)]


def test_what_was_to_outrun_is_dropped_with_the_rest():
    releases = Releases(outruns=True)
    releases.hold(turn(dispatch(9), out(1)))
    assert releases.drop() == [dispatch(9), out(1)]
    assert releases.take() == []
