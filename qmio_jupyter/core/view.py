"""What a user is shown of her task, made from the task as it is in the core or in a store."""

from __future__ import annotations

from qmio_jupyter.core.records import EndedTask
from qmio_jupyter.model.task import Ahead, Estimate, Task, TaskSpec, TaskView


def of(
    task: Task,
    *,
    position: int | None = None,
    ahead: Ahead | None = None,
    start: Estimate | None = None,
    end: Estimate | None = None,
    cause: str = "",
) -> TaskView:
    """Return the view of a task; position and estimates are the core's to add, for live tasks."""
    contract = task.contract
    return TaskView(
        task_id=task.task_id,
        device=task.spec.device,
        state=task.state,
        revision=task.revision,
        label=task.spec.label,
        tenant=task.owner.tenant,
        submitted_ms=task.submitted_ms,
        updated_ms=task.updated_ms,
        shots=task.spec.total_shots,
        shots_done=task.shots_done,
        attempt=task.attempt,
        position=position,
        ahead=ahead,
        start=start,
        end=end,
        snapshot_id=None if contract is None else contract.snapshot_id,
        seed=None if contract is None else contract.seed,
        stage=task.stage,
        cause=cause,
        error=task.error,
        timeline=task.timeline,
    )


def of_ended(ended: EndedTask, spec: TaskSpec | None) -> TaskView:
    """Return what the index of ended tasks can tell: the shell completes it from the store."""
    return TaskView(
        task_id=ended.task_id,
        device="" if spec is None else spec.device,
        state=ended.state,
        revision=ended.revision,
        label="" if spec is None else spec.label,
        tenant=ended.tenant,
        submitted_ms=0,
        updated_ms=ended.updated_ms,
        shots=0 if spec is None else spec.total_shots,
        shots_done=0,
        attempt=ended.attempt,
    )
