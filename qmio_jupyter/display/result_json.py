"""A result for programs that read notebooks: the vendor's own media type, documented in ``docs/reference``.

Lists of pairs, never objects keyed by outcomes: JavaScript would order ``"10"`` before ``"00"``. Of bounded size,
whatever the task was: what is left out is counted.
"""

from __future__ import annotations

import json
from typing import Any

from qmio_jupyter.display.about import NOTHING, About, values_of
from qmio_jupyter.display.result_text import calibration_age_s
from qmio_jupyter.display.sections import most_frequent
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.parity import expectation
from qmio_jupyter.model.result import ItemResult, TaskResult, outcomes
from qmio_jupyter.model.task import TaskView

MEDIA_TYPE = "application/vnd.qmio.result+json"
#: Rises when a field changes its meaning; new fields may come at any time.
SCHEMA = 1
#: Characters that the outcomes and values of all bindings may take.
BUDGET = 48_000
#: Outcomes of one binding.
MOST_OUTCOMES = 256
_LONGEST_NOTE = 500
_MOST_NOTES = 32


def result_json(view: TaskView, result: TaskResult | None, about: About = NOTHING) -> dict[str, Any]:
    """Return the document of a task, with its result if there is one."""
    aged = calibration_age_s(view, about)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "task_id": view.task_id,
        "label": view.label,
        "device": view.device,
        "state": view.state.value,
        "shots": view.shots,
        "shots_done": view.shots_done if result is None else result.shots_done,
        "is_final": result is not None and result.is_final,
        # As text: JavaScript's numbers end at 2**53.
        "seed": None if view.seed is None else str(view.seed),
        "snapshot_id": view.snapshot_id,
        "snapshot_ms": about.taken_ms(view.snapshot_id),
        "calibration_age_s": None if aged is None else round(aged, 3),
        "submitted_ms": view.submitted_ms,
        "timeline": [[stamp.stage, stamp.at_ms, stamp.seconds] for stamp in view.timeline],
        "error": None
        if view.error is None
        else {"code": view.error.code, "message": _cut(view.error.message), "hint": _cut(view.error.hint)},
        "durations": [] if result is None else [[name, seconds] for name, seconds in result.durations],
        "software": [] if result is None else [[name, version] for name, version in result.software],
        "items": [],
        "items_left_out": 0,
    }
    if result is not None:
        _add_items(document, result, about)
    return document


def _add_items(document: dict[str, Any], result: TaskResult, about: About) -> None:
    left = BUDGET
    for index, item in enumerate(result.items):
        head = {
            "name": about.names[index] if index < len(about.names) else "",
            "n_bits": item.n_bits,
            "registers": [[register.name, list(register.bits)] for register in item.registers],
            "notes": [[_cut(key), _cut(value)] for key, value in item.notes[:_MOST_NOTES]],
        }
        left -= _size(head)
        if left < 0:
            document["items_left_out"] = len(result.items) - index
            return
        bindings = []
        for binding in range(len(item.bindings)):
            entry = _binding(item, about, index, binding)
            left -= _size(entry)
            if left < 0 and (index or binding):
                break
            bindings.append(entry)
        document["items"].append(
            {**head, "bindings": bindings, "bindings_left_out": len(item.bindings) - len(bindings)}
        )


def _binding(item: ItemResult, about: About, index: int, binding: int) -> dict[str, Any]:
    pairs = outcomes(item, binding)
    most = max(1, min(MOST_OUTCOMES, BUDGET // 2 // (item.n_bits + 20)))
    kept = most_frequent(pairs, most)
    shots = sum(count for _, count in pairs)
    return {
        "shots": shots,
        "parameters": [[name, value] for name, value in values_of(about, index, binding)[:64]],
        "outcomes": [[bits, count] for bits, count in kept],
        "others": [len(pairs) - len(kept), shots - sum(count for _, count in kept)],
        "expect": _expect(item, about, binding),
    }


def _expect(item: ItemResult, about: About, binding: int) -> list[list[Any]]:
    found = []
    for parity in about.expect:
        try:
            value = expectation(parity, item, binding)
        except UsageError:
            continue
        found.append([parity.text, value.value, value.error])
    return found


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_NOTE else f"{text[:_LONGEST_NOTE]}..."
