"""Views and results for the tests of pages."""

from __future__ import annotations

import struct
from typing import Any

from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import ParameterMatrix, TaskState, TaskView

VIEW = TaskView(
    task_id="t-1",
    device="ideal",
    state=TaskState.COMPLETED,
    revision=3,
    label="mine",
    tenant="local/me",
    submitted_ms=0,
    updated_ms=0,
    shots=100,
    shots_done=100,
    attempt=1,
)


def registers(*sizes: tuple[str, int]) -> tuple[Register, ...]:
    """Return registers of these names and sizes, one after the other."""
    made, first = [], 0
    for name, size in sizes:
        made.append(Register(name=name, bits=tuple(range(first, first + size))))
        first += size
    return tuple(made)


def counts(pairs: list[tuple[int, int]], n_bits: int) -> BindingCounts:
    """Return the columns of these ``(outcome, count)``."""
    keys, columns = pack_counts(pairs, n_bits)
    return BindingCounts(shots=sum(c for _, c in pairs), keys=keys, counts=columns)


def item(
    pairs: list[tuple[int, int]], *sizes: tuple[str, int], bindings: int = 1, **changes: Any
) -> ItemResult:
    """Return an item with these counts over registers of these sizes."""
    made = registers(*sizes)
    n_bits = sum(size for _, size in sizes)
    return ItemResult(n_bits=n_bits, registers=made, bindings=(counts(pairs, n_bits),) * bindings, **changes)


def swept(columns: list[list[tuple[int, int]]], *sizes: tuple[str, int]) -> ItemResult:
    """Return an item with these counts, a list per binding."""
    n_bits = sum(size for _, size in sizes)
    return ItemResult(
        n_bits=n_bits,
        registers=registers(*sizes),
        bindings=tuple(counts(pairs, n_bits) for pairs in columns),
    )


def result(*items: ItemResult, **changes: Any) -> TaskResult:
    """Return a result of these items."""
    base: dict[str, Any] = {
        "task_id": "t-1",
        "device": "ideal",
        "items": items,
        "shots": 100,
        "shots_done": 100,
        "revision": 1,
        "is_final": True,
        "seed": 7,
    }
    return TaskResult(**base | changes)


def matrix(names: tuple[str, ...], rows: list[tuple[float, ...]]) -> ParameterMatrix:
    """Return a matrix of these rows."""
    values = [value for row in rows for value in row]
    return ParameterMatrix(names=names, bindings=len(rows), data=struct.pack(f"<{len(values)}d", *values))
