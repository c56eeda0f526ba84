"""Tasks, devices and the gateway as text."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from qmio_jupyter.display import table, text
from qmio_jupyter.model.task import ErrorInfo, Stamp, TaskState
from tests.unit.display.making import VIEW


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
    for said in ("queued, next", "queued, 3 ahead", "running (compiling)", "failed [agent.memory]"):
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
    assert "line 3. Correct it." in text
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
