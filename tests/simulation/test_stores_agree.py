"""Every transaction of a simulated life goes into the real stores as well, and they end up knowing the same."""

import pytest

from qmio_jupyter.core.records import EnrolmentSaved
from qmio_jupyter.ports import TaskQuery
from qmio_jupyter.store.memory import MemoryStore
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing.world import World


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger" / "qmio.db")
    yield store
    store.close()


def known(live):
    """What a store would build a core from, whatever the order it lists things in."""
    return {
        "epoch": live.epoch,
        "tasks": {task.task_id: task for task in live.tasks},
        "ended": {ended.task_id: ended for ended in live.ended},
        "programs": {(one.tenant, one.digest): one for one in live.programs},
        "sessions": {one.session_id: one for one in live.sessions if one.is_open},
        "bookings": {one.booking_id: one for one in live.bookings if one.cancelled_ms is None},
        "enrolments": {one.key: one for one in live.enrolments},
        "devices": {one.description.name: one for one in live.devices},
        "usage": {(one.device, one.node): one for one in live.usage},
    }


@pytest.mark.parametrize("seed", [3, 5, 8])
def test_a_real_store_takes_every_transaction_and_knows_the_same(store, seed):
    world = World(seed)
    judged = world.judge.committed

    def committed(records):
        judged(records)
        store.commit(list(records)).result(timeout=20)

    world.judge.committed = committed
    first = [EnrolmentSaved(enrolment=enrolment) for enrolment in world.disk.enrolments.values()]
    store.commit(first).result(timeout=20)
    world.run()

    disk = world.disk
    assert known(store.load_live()) == known(disk.load_live())
    everything = TaskQuery(tenant=None, limit=1_000)
    assert {task.task_id: task for task in store.tasks(everything)} == disk.tasks_by_id
    for task_id in disk.tasks_by_id:
        assert store.result(task_id, partial=False) == disk.result(task_id, partial=False)
        assert store.transitions(task_id) == disk.transitions(task_id)
    assert disk.tasks_by_id
