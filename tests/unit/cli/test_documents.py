"""Results as documents: every shot accounted for, every bit in its place."""

from __future__ import annotations

import msgspec

from qmio_jupyter.cli.documents import result_documents
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import TaskState, TaskView

VIEW = TaskView(
    task_id="t-1", device="ideal", state=TaskState.COMPLETED, revision=5, label="mine", tenant="a/b", submitted_ms=1,
    updated_ms=2, shots=10, shots_done=10, attempt=1,
)  # fmt: skip


def entry(pairs: list[tuple[int, int]], n_bits: int, memory: list[int] | None = None) -> BindingCounts:
    keys, counts = pack_counts(pairs, n_bits)
    packed = None if memory is None else b"".join(m.to_bytes((n_bits + 7) // 8, "little") for m in memory)
    return BindingCounts(shots=sum(c for _, c in pairs), keys=keys, counts=counts, memory=packed)


def result(*items: ItemResult) -> TaskResult:
    return TaskResult(
        task_id="t-1", device="ideal", items=items, shots=10, shots_done=10, revision=1, is_final=True, seed=42,
        snapshot_id="s" * 64, durations=(("compiled", 0.5),), software=(("aer", "1"),),
    )  # fmt: skip


TWO = (Register(name="a", bits=(0, 1)), Register(name="b", bits=(2,)))


def test_one_circuit_is_one_document() -> None:
    item = ItemResult(n_bits=3, registers=TWO, bindings=(entry([(0b101, 4), (0b010, 6)], 3),))
    document = result_documents(VIEW, result(item), ["bell.qasm"])
    assert isinstance(document, dict)
    assert document["counts"] == [["0 10", 6], ["1 01", 4]]
    assert {key: document[key] for key in ("task_id", "state", "device", "snapshot_id", "seed", "shots")} == {
        "task_id": "t-1", "state": "completed", "device": "ideal", "snapshot_id": "s" * 64, "seed": 42, "shots": 10,
    }  # fmt: skip
    assert document["program"] == "bell.qasm"
    assert msgspec.json.decode(msgspec.json.encode(document["registers"])) == [
        {"name": "a", "bits": [0, 1]},
        {"name": "b", "bits": [2]},
    ]
    assert "memory" not in document


def test_several_circuits_and_bindings_are_a_list() -> None:
    one = ItemResult(n_bits=1, registers=TWO[:0], bindings=(entry([(0, 5)], 1), entry([(1, 5)], 1)))
    two = ItemResult(n_bits=3, registers=TWO, bindings=(entry([(7, 5)], 3),))
    documents = result_documents(VIEW, result(one, two), ["x", "y"])
    assert isinstance(documents, list)
    assert [(d["item"], d["binding"], d["program"]) for d in documents] == [
        (0, 0, "x"),
        (0, 1, "x"),
        (1, 0, "y"),
    ]


def test_memory_is_in_order_of_execution() -> None:
    item = ItemResult(n_bits=3, registers=TWO, bindings=(entry([(5, 2), (2, 1)], 3, memory=[5, 2, 5]),))
    document = result_documents(VIEW, result(item))
    assert isinstance(document, dict)
    assert document["memory"] == ["1 01", "0 10", "1 01"]


def test_a_program_without_bits_still_accounts_for_every_shot() -> None:
    item = ItemResult(n_bits=0, registers=(), bindings=(entry([(0, 10)], 0),))
    document = result_documents(VIEW, result(item))
    assert isinstance(document, dict)
    assert document["counts"] == [["", 10]]


def test_more_than_64_bits() -> None:
    register = (Register(name="c", bits=tuple(range(70))),)
    item = ItemResult(
        n_bits=70, registers=register, bindings=(entry([(1 << 69, 3)], 70, memory=[1 << 69] * 3),)
    )
    document = result_documents(VIEW, result(item))
    assert isinstance(document, dict)
    assert document["counts"] == [["1" + "0" * 69, 3]]
    assert document["memory"] == ["1" + "0" * 69] * 3
