"""Results, tasks and devices as text."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from qmio_jupyter.display import table, text
from qmio_jupyter.model.result import (
    BindingCounts,
    ItemResult,
    Register,
    TaskResult,
    outcomes,
    pack_counts,
)
from qmio_jupyter.model.task import ErrorInfo, Stamp, TaskState, TaskView

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


def item(
    pairs: list[tuple[int, int]], *registers: tuple[str, int], bindings: int = 1, **changes: Any
) -> ItemResult:
    """Return an item with these counts over registers of these sizes."""
    made, first = [], 0
    for name, size in registers:
        made.append(Register(name=name, bits=tuple(range(first, first + size))))
        first += size
    keys, counts = pack_counts(pairs, first)
    entry = BindingCounts(shots=sum(c for _, c in pairs), keys=keys, counts=counts)
    return ItemResult(n_bits=first, registers=tuple(made), bindings=(entry,) * bindings, **changes)


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


def test_counts_are_ordered_by_outcome_and_all_shots_are_told() -> None:
    lines = table.counts_text(item([(3, 25), (0, 75)], ("c", 2))).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["outcome", "count"],
        ["00", "75", "75.0"],
        ["11", "25", "25.0"],
    ]
    assert lines[1].count("█") == 30
    assert lines[2].count("█") == 10


def test_registers_stand_apart_in_qiskits_order() -> None:
    text = table.counts_text(item([(0b101, 4)], ("a", 2), ("b", 1)))
    assert text.splitlines()[1].startswith("1 01")


def test_many_outcomes_are_cut_to_the_most_frequent_and_the_rest_is_summed() -> None:
    pairs = [(key, 1 + key) for key in range(40)]
    found = item(pairs, ("c", 6))
    lines = table.counts_text(found).splitlines()
    assert lines[-1] == "... and 24 more outcomes with 300 shots"
    shown = [line.split()[0] for line in lines[1:-1]]
    assert shown == [bits for bits, _ in outcomes(found)][-16:]


def test_more_than_64_bits() -> None:
    text = table.counts_text(item([(1 << 99, 5), (0, 5)], ("c", 100)))
    assert "1" + "0" * 99 in text


def test_no_bits_and_no_shots() -> None:
    assert "measures nothing" in table.counts_text(item([(0, 9)]))
    assert table.counts_text(item([], ("c", 1))) == "no shots yet"


def test_result_has_a_head_and_a_block_for_each_item_and_binding() -> None:
    one = item([(0, 1)], ("c", 1))
    three = item([(0, 1)], ("c", 1), bindings=3, notes=(("warning", "look\nout"), ("method", "mps")))
    text = table.result_text(VIEW, result(one, three, durations=(("on_device", 0.25),)))
    blocks = text.split("\n\n")
    assert blocks[0] == "t-1, mine, on ideal, completed, 100 shots, seed 7, 0.2 s"
    assert [b.splitlines()[0] for b in blocks[1:]] == [
        "circuit 1 of 2:",
        "circuit 2 of 2, binding 1 of 3:",
        "circuit 2 of 2, binding 2 of 3:",
        "circuit 2 of 2, binding 3 of 3:",
    ]
    assert blocks[2].splitlines()[1] == "warning: look\N{REPLACEMENT CHARACTER}out"
    assert "mps" not in text


def test_many_blocks_are_cut() -> None:
    text = table.result_text(VIEW, result(item([(0, 1)], ("c", 1), bindings=100)))
    assert "binding 8 of 100" in text
    assert "binding 9 of 100" not in text
    assert "... and 92 more" in text


def test_partial_results_say_so() -> None:
    running = msgspec.structs.replace(VIEW, state=TaskState.RUNNING)
    text = table.result_text(running, result(item([(0, 40)], ("c", 1)), is_final=False, shots_done=40))
    assert "running, partial, 40 of 100 shots" in text


def test_compare_gives_shares_and_distances() -> None:
    first = result(item([(0, 50), (3, 50)], ("c", 2)))
    second = result(item([(0, 25), (1, 75)], ("c", 2)))
    text = table.compare_text([VIEW, VIEW], [first, second])
    legend, shares = text.split("\n\n")
    assert legend.splitlines()[1].endswith("0.0000")
    assert legend.splitlines()[2].endswith("0.7500")
    assert [line.split() for line in shares.splitlines()[1:]] == [
        ["00", "50.0", "%", "25.0", "%"],
        ["01", "-", "75.0", "%"],
        ["11", "50.0", "%", "-"],
    ]


def test_compare_of_several_items_names_them() -> None:
    one = item([(0, 50)], ("c", 1))
    text = table.compare_text([VIEW, VIEW], [result(one, one), result(one, one)])
    assert "0/0" in text
    assert "1/0" in text


def test_tasks_show_position_stage_and_error() -> None:
    views = [
        msgspec.structs.replace(VIEW, state=TaskState.QUEUED, position=0),
        msgspec.structs.replace(VIEW, state=TaskState.QUEUED, position=3),
        msgspec.structs.replace(VIEW, state=TaskState.RUNNING, stage="compiling"),
        msgspec.structs.replace(
            VIEW, state=TaskState.FAILED, error=ErrorInfo(code="agent.memory", message="m")
        ),
        msgspec.structs.replace(VIEW, label="a\x1b[31mb"),
    ]
    text = table.tasks_text(views)
    for said in ("queued (next)", "queued (3 before it)", "running (compiling)", "failed [agent.memory]"):
        assert said in text
    assert "\x1b" not in text
    assert table.tasks_text([]) == "no tasks"


def test_task_tells_its_timeline_and_error() -> None:
    view = msgspec.structs.replace(
        VIEW,
        state=TaskState.FAILED,
        error=ErrorInfo(code="program.syntax", message="line 3", hint="Correct it."),
        timeline=(Stamp(stage="accepted", at_ms=0), Stamp(stage="on_device", at_ms=5, seconds=0.02)),
    )
    text = table.task_text(view)
    assert "line 3 Correct it." in text
    assert "20 ms" in text


def test_align_pads_and_strips() -> None:
    assert text.align(("a", "n"), [("xx", "1"), ("y", "22")], right=(1,)) == "a    n\nxx   1\ny   22"
    assert text.align(("a", "b"), [("x", "")]) == "a  b\nx"


def test_the_tables_need_no_ipython() -> None:
    script = (
        "import sys\nimport qmio_jupyter.display.table\n"
        "assert not {'IPython', 'zmq', 'qiskit', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("ms", [0, 1_800_000_000_000])
def test_moment_is_local_time(ms: int) -> None:
    assert len(text.moment(ms)) == 19
