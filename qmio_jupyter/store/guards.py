"""What every store says when a guard does not hold: the same words, whatever is underneath."""

from __future__ import annotations

from qmio_jupyter.core.records import EpochSaved, ResultStored, TaskForgotten, TaskInserted, TaskUpdated
from qmio_jupyter.errors import StoreError


def epoch_not_newer(record: EpochSaved) -> StoreError:
    """Refuse an epoch that does not rise: another gateway has been here."""
    return StoreError(f"epoch {record.epoch} is not newer than the ledger's")


def task_exists(record: TaskInserted) -> StoreError:
    """Refuse a second task of one id."""
    return StoreError(f"task {record.task.task_id} exists already")


def task_changed(record: TaskUpdated) -> StoreError:
    """Refuse an update of a task that is not what the writer thought."""
    return StoreError(
        f"task {record.task.task_id} is not in state {record.expect_state.value}, revision"
        f" {record.expect_revision}, epoch {record.expect_epoch}, attempt {record.expect_attempt}"
    )


def task_not_final(record: TaskForgotten) -> StoreError:
    """Refuse to forget a live task, or one that is not there."""
    return StoreError(f"task {record.task_id} is absent or not final, and cannot be forgotten")


def result_refused(record: ResultStored) -> StoreError:
    """Refuse a result after the final one, or of a claim that is not the task's."""
    kind = "final" if record.result.is_final else "partial"
    return StoreError(
        f"a {kind} result of task {record.task_id}, epoch {record.epoch}, attempt {record.attempt}"
        " comes after the final one, or is of no current claim"
    )


def closed() -> StoreError:
    """Refuse a commit after `close`."""
    return StoreError("the ledger is closed", hint="Start the gateway again.")


def not_resumed(cause: StoreError | None) -> StoreError:
    """Refuse a commit that stands behind a failed one."""
    refusal = StoreError(
        "an earlier commit failed, and the ledger has not resumed",
        detail="" if cause is None else cause.one_line(),
    )
    refusal.__cause__ = cause
    return refusal
