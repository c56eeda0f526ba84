"""From programs and wishes to a task."""

from __future__ import annotations

import struct

import pytest

from qmio_jupyter.client.handle import BaseHandle, TaskRecord
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.errors import TaskCancelledError, TaskError, TaskFailedError, UsageError
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import ErrorInfo, ParameterMatrix, TaskOptions, TaskState, TaskView

ONE = Program(digest="1" * 64, media_type="x", data=b"1")
TWO = Program(digest="2" * 64, media_type="x", data=b"2")
MATRIX = ParameterMatrix(names=("a",), bindings=2, data=struct.pack("<2d", 1, 2))


def test_items_keep_order_shots_and_parameters() -> None:
    spec = build_spec([ONE, TWO, ONE], device="echo", shots=5, parameters=[None, MATRIX, None], label="x")
    assert [item.program for item in spec.items] == [ONE.digest, TWO.digest, ONE.digest]
    assert [item.bindings for item in spec.items] == [1, 2, 1]
    assert spec.total_shots == 20
    assert spec.label == "x"
    both = build_spec([ONE, TWO], device="echo", shots=5, parameters=MATRIX)
    assert [item.parameters for item in both.items] == [MATRIX, MATRIX]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"shots": 0}, "shots"),
        ({"shots": 10**8}, "shots"),
        ({"device": "a b"}, "device"),
        ({"label": "x" * 201}, "label"),
        ({"parameters": [None, None]}, "matrices"),
        ({"options": TaskOptions(seed=-1)}, "seed"),
        ({"options": TaskOptions(optimization_level=7)}, "optimization_level"),
        ({"programs": []}, "items"),
    ],
)
def test_what_the_gateway_would_refuse_is_refused_here(wrong: dict[str, object], named: str) -> None:
    wishes: dict[str, object] = {"programs": [ONE], "device": "echo", "shots": 1}
    with pytest.raises(UsageError) as caught:
        build_spec(**(wishes | wrong))
    assert named in caught.value.message


def handle(state: TaskState, error: ErrorInfo | None = None) -> BaseHandle:
    record = TaskRecord("t-1")
    record.see(
        TaskView(
            task_id="t-1",
            device="echo",
            state=state,
            revision=3,
            label="",
            tenant="a/b",
            submitted_ms=1,
            updated_ms=1,
            shots=10,
            shots_done=0,
            attempt=1,
            error=error,
        )
    )
    return BaseHandle(record, SnapshotsSeen())


def test_the_end_of_a_task_as_an_error() -> None:
    handle(TaskState.COMPLETED).raise_for_state()
    with pytest.raises(TaskCancelledError):
        handle(TaskState.CANCELLED).raise_for_state()
    with pytest.raises(TaskFailedError) as failed:
        handle(
            TaskState.FAILED, ErrorInfo(code="program.syntax", message="line 3", hint="fix")
        ).raise_for_state()
    assert failed.value.code == "program.syntax"
    assert "line 3" in failed.value.message
    with pytest.raises(TaskError) as early:
        handle(TaskState.RUNNING).raise_for_state()
    assert early.value.code == "task.not_finished"


def test_a_record_tells_its_listeners_and_keeps_the_newest() -> None:
    found = handle(TaskState.RUNNING)
    heard: list[int] = []
    stop = found.listen(lambda: heard.append(1))
    record = found._record
    older = TaskView(
        task_id="t-1",
        device="echo",
        state=TaskState.QUEUED,
        revision=2,
        label="",
        tenant="a/b",
        submitted_ms=1,
        updated_ms=1,
        shots=10,
        shots_done=0,
        attempt=1,
    )
    record.see(older)
    assert found.state is TaskState.RUNNING
    assert heard == []
    record.see(found.view)
    stop()
    record.see(found.view)
    assert heard == [1]
    assert "running" in repr(found)
