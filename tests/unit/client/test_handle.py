"""What a handle's record takes in, and what is read from a result."""

from __future__ import annotations

import pytest

from qmio_jupyter.client.events import TaskChanged, TaskLost
from qmio_jupyter.client.handle import TaskRecord, tell
from qmio_jupyter.client.readings import counts_of, memory_of
from qmio_jupyter.errors import TaskError, UnknownTaskError, UsageError
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import TaskState, TaskView

TASK = "t-0123456789abcdefghjkmnpqrs"
VIEW = TaskView(
    task_id=TASK,
    device="echo",
    state=TaskState.RUNNING,
    revision=2,
    label="",
    tenant="local/me",
    submitted_ms=1,
    updated_ms=1,
    shots=3,
    shots_done=0,
    attempt=1,
)


class LetGo(dict[str, TaskRecord]):
    """Records as a weak dictionary holds them when the last handle goes between two looks."""

    def __contains__(self, key: object) -> bool:
        return True


def test_a_record_that_goes_between_two_looks_is_no_error() -> None:
    assert tell(LetGo(), TaskChanged(view=VIEW)) is False
    assert tell(LetGo(), TaskLost(task_id=TASK, error=UnknownTaskError("gone"))) is False


def test_a_record_is_told() -> None:
    record = TaskRecord(TASK)
    assert tell({TASK: record}, TaskChanged(view=VIEW))
    assert record.view == VIEW
    error = UnknownTaskError("gone")
    assert tell({TASK: record}, TaskLost(task_id=TASK, error=error))
    assert record.error is error


def result(memory: bytes | None) -> TaskResult:
    """Three shots of nine bits in two registers: a (8 bits) and b (1 bit)."""
    keys, counts = pack_counts([(0x102, 2), (0x001, 1)], 9)
    item = ItemResult(
        n_bits=9,
        registers=(Register(name="a", bits=tuple(range(8))), Register(name="b", bits=(8,))),
        bindings=(BindingCounts(shots=3, keys=keys, counts=counts, memory=memory),),
    )
    return TaskResult(
        task_id=TASK, device="echo", items=(item,), shots=3, shots_done=3, revision=1, is_final=True, seed=1
    )


def test_memory_is_in_order_and_agrees_with_the_counts() -> None:
    found = result(b"\x02\x01\x01\x00\x02\x01")
    shots = memory_of(found)
    assert shots == ["1 00000010", "0 00000001", "1 00000010"]
    assert sorted(set(shots)) == [outcome for outcome, _ in counts_of(found)]
    assert [shots.count(outcome) for outcome, _ in counts_of(found)] == [n for _, n in counts_of(found)]


def test_memory_that_was_not_kept_says_how_to_keep_it() -> None:
    with pytest.raises(UsageError) as caught:
        memory_of(result(None))
    assert "--memory" in caught.value.hint


@pytest.mark.parametrize(("item", "binding"), [(1, 0), (0, 1)])
def test_what_is_not_there(item: int, binding: int) -> None:
    for read in (counts_of, memory_of):
        with pytest.raises(TaskError, match="no item"):
            read(result(None), item, binding)
