"""Results as JSON documents: one per circuit and binding, every shot accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qmio_jupyter.cli.shared import plain
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.result import BindingCounts, ItemResult, TaskResult, bitstring, key_width, outcomes
from qmio_jupyter.model.task import TaskView


def result_documents(
    view: TaskView, result: TaskResult, names: Sequence[str] = ()
) -> dict[str, Any] | list[dict[str, Any]]:
    """Return the document of a result, or a list of them where it has several circuits or bindings.

    Parameters
    ----------
    names : sequence of str
        Where each circuit came from, in order; may be empty.
    """
    found = [
        _document(view, result, index, binding, names[index] if index < len(names) else None)
        for index, item in enumerate(result.items)
        for binding in range(len(item.bindings))
    ]
    return found[0] if len(found) == 1 else found


def dry_run_document(run: DryRun, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the document of a dry run: its fields, and in each item where the program came from."""
    document: dict[str, Any] = plain(run)
    for index, item in enumerate(document["items"]):
        for field in ("operations", "notes"):
            item[field] = dict(item[field])
        if index < len(names):
            item["program"] = names[index]
    return document


def _document(
    view: TaskView, result: TaskResult, index: int, binding: int, name: str | None
) -> dict[str, Any]:
    item = result.items[index]
    entry = item.bindings[binding]
    document: dict[str, Any] = {
        "task_id": view.task_id,
        "state": view.state.value,
        "device": result.device,
        "snapshot_id": result.snapshot_id,
        "seed": result.seed,
        "shots": entry.shots,
        "counts": [[bits, count] for bits, count in outcomes(item, binding)],
        "item": index,
        "binding": binding,
        "is_final": result.is_final,
        "label": view.label,
        "n_bits": item.n_bits,
        "registers": plain(item.registers),
        "notes": dict(item.notes),
        "durations": dict(result.durations),
        "software": dict(result.software),
        "attempt": view.attempt,
        "submitted_ms": view.submitted_ms,
        "timeline": plain(view.timeline),
    }
    if name is not None:
        document["program"] = name
    if entry.memory is not None:
        document["memory"] = _memory(item, entry)
    return document


def _memory(item: ItemResult, entry: BindingCounts) -> list[str]:
    """Return one bitstring per shot, in order of execution."""
    assert entry.memory is not None
    width = key_width(item.n_bits)
    rows = (entry.memory[start : start + width] for start in range(0, len(entry.memory), width))
    return [bitstring(int.from_bytes(row, "little"), item.registers) for row in rows]
