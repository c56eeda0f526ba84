"""Several results side by side, and how far they are from each other. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.display.result_text import MOST_OUTCOMES
from qmio_jupyter.display.text import align
from qmio_jupyter.model.result import TaskResult, outcomes
from qmio_jupyter.model.task import TaskView


def compare_text(views: Sequence[TaskView], results: Sequence[TaskResult]) -> str:
    """Return the shares of the outcomes of several tasks side by side, and the distances from the first."""
    columns = [_shares(result) for result in results]
    keys = sorted({key for column in columns for key in column})
    most = sorted(keys, key=lambda key: -max(column.get(key, 0.0) for column in columns))[:MOST_OUTCOMES]
    rows = [
        [
            *_place(key, results),
            *(f"{100 * column[key]:.1f} %" if key in column else "-" for column in columns),
        ]
        for key in keys
        if key in most
    ]
    header = ("item", "outcome", *(chr(ord("A") + i % 26) for i in range(len(views))))
    legend = align(
        ("", "task", "device", "shots", "distance from A"),
        [
            (
                chr(ord("A") + i % 26),
                view.task_id,
                view.device,
                str(result.shots_done),
                f"{_distance(columns[0], columns[i]):.4f}",
            )
            for i, (view, result) in enumerate(zip(views, results, strict=True))
        ],
        right=(3, 4),
    )
    text = align(header, rows, right=tuple(range(2, len(header))))
    if len(keys) > len(rows):
        text += f"\n... and {len(keys) - len(rows)} more outcomes"
    return f"{legend}\n\n{text}"


#: Item, binding, bitstring.
_Key = tuple[int, int, str]


def _shares(result: TaskResult) -> dict[_Key, float]:
    found: dict[_Key, float] = {}
    for i, item in enumerate(result.items):
        for b in range(len(item.bindings)):
            pairs = outcomes(item, b)
            shots = sum(count for _, count in pairs) or 1
            found.update({(i, b, bits): count / shots for bits, count in pairs})
    return found


def _place(key: _Key, results: Sequence[TaskResult]) -> tuple[str, str]:
    item, binding, bits = key
    many = any(len(one.items) > 1 or any(len(i.bindings) > 1 for i in one.items) for one in results)
    return (f"{item}/{binding}" if many else "", bits)


def _distance(first: dict[_Key, float], second: dict[_Key, float]) -> float:
    """Return the total variation distance, averaged over items and bindings."""
    blocks = len({key[:2] for key in (*first, *second)}) or 1
    return sum(abs(first.get(key, 0.0) - second.get(key, 0.0)) for key in {*first, *second}) / 2 / blocks
