"""The dry runs an agent was asked for, sans-I/O: beside its claims, for they cost no credit and are never sent again.

A question belongs to the link it came by. When that is gone nobody waits for the answer, and the work is stopped.
"""

from __future__ import annotations

from typing import Final

from qmio_jupyter.agent.events import Event, StartEstimate, StopEstimate
from qmio_jupyter.errors import LimitError, ProgramError, QmioError
from qmio_jupyter.model.device import DeviceDescription, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.ids import Digest, TaskId
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import Contract, ErrorInfo
from qmio_jupyter.ports import Run
from qmio_jupyter.wire.codec import programs_of
from qmio_jupyter.wire.messages import EstimateAnswer, EstimateAsk, Packet

#: Questions open at once; a gateway that keeps to its own bound never asks for more.
MOST_OPEN: Final = 64


class Estimates:
    """The open questions of one agent."""

    def __init__(self) -> None:
        self._open: dict[int, TaskId] = {}
        self._orphaned: list[TaskId] = []

    def __len__(self) -> int:
        return len(self._open)

    def ask(
        self,
        ask: EstimateAsk,
        packet: Packet,
        description: DeviceDescription,
        snapshot: Snapshot | None,
    ) -> tuple[list[Event], EstimateAnswer | None]:
        """Return what the shell is to do about a question, or the answer there is already."""
        if ask.number in self._open:
            return [], None
        programs = {program.digest: program for program in programs_of(packet)}
        error = self._obstacle(ask, programs)
        if error is not None:
            return [], refused(ask.number, error)
        task_id = self._open[ask.number] = f"estimate-{ask.number}"
        run = Run(
            task_id=task_id,
            spec=ask.spec,
            contract=Contract(
                programs=tuple(programs),
                seed=ask.spec.options.seed or 0,
                snapshot_id=None if snapshot is None else snapshot.snapshot_id,
                batch_shots=description.batch_shots,
            ),
            programs=programs,
            snapshot=snapshot,
        )
        return [StartEstimate(run, ask.number, ask.within_s)], None

    def drop(self, number: int) -> list[Event]:
        """Return what the shell is to do now that nobody waits for an answer."""
        task_id = self._open.pop(number, None)
        return [] if task_id is None else [StopEstimate(task_id)]

    def answered(self, number: int, outcome: DryRun | QmioError) -> EstimateAnswer | None:
        """Return the answer to send; None if nobody waits for it."""
        if self._open.pop(number, None) is None:
            return None
        if isinstance(outcome, QmioError):
            return refused(number, outcome)
        return EstimateAnswer(number=number, dry_run=outcome)

    def orphan(self) -> None:
        """Note that the link is gone."""
        self._orphaned += self._open.values()
        self._open.clear()

    def leftover(self) -> list[Event]:
        """Return, once, what the shell is to stop for want of anybody who waits."""
        orphaned, self._orphaned = self._orphaned, []
        return [StopEstimate(task_id) for task_id in orphaned]

    def _obstacle(self, ask: EstimateAsk, programs: dict[Digest, Program]) -> QmioError | None:
        if len(self._open) >= MOST_OPEN:
            return LimitError(
                "the agent has too many dry runs to make", code="limit.rate", hint="Ask again in a moment."
            )
        absent = [item.program for item in ask.spec.items if item.program not in programs]
        if absent:
            return ProgramError(
                f"program {absent[0][:12]} did not come with the question",
                code="program.missing",
                hint="Send it with its bytes.",
            )
        return None


def refused(number: int, error: QmioError) -> EstimateAnswer:
    """Return the answer that there is no dry run, and why."""
    return EstimateAnswer(
        number=number,
        error=ErrorInfo(code=error.code, message=error.message, hint=error.hint, retryable=error.retryable),
    )
