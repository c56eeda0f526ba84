"""Running a task: every item and binding in order, with cumulative counts in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from qmio_jupyter.drivers.aer import binding
from qmio_jupyter.drivers.aer.planner import Plan, Planner, Sampler
from qmio_jupyter.drivers.aer.refusals import check_kind, naming
from qmio_jupyter.drivers.aer.results import SOFTWARE, check_size, item_result
from qmio_jupyter.drivers.aer.revealing import InBlocks, Revealed
from qmio_jupyter.drivers.aer.tables import Matrix
from qmio_jupyter.drivers.pace import Pacer, device_s
from qmio_jupyter.drivers.workers.pool import RUNNING
from qmio_jupyter.model.device import CostModel
from qmio_jupyter.model.result import BindingCounts, ItemResult, TaskResult
from qmio_jupyter.ports import Run

#: Partial results per second, at most.
PARTIAL_HZ: Final = 10.0
#: A run that surely ends sooner says nothing of having begun: its end says so.
_WORD_S: Final = 0.02


class Runner:
    """One task on its way; `run` once.

    Parameters
    ----------
    run : Run
        The task and its contract.
    planner : Planner
        Of this worker.
    on_partial, on_stage : callable
        Told on the way.
    seconds : float
        What it may take.
    clock : CostModel or None
        The device's, where the run keeps to it; its time begins now.
    """

    def __init__(
        self,
        run: Run,
        planner: Planner,
        on_partial: Callable[[TaskResult], None],
        on_stage: Callable[[str], None],
        *,
        seconds: float,
        clock: CostModel | None = None,
    ) -> None:
        self._run = run
        self._planner = planner
        self._on_partial = on_partial
        self._on_stage = on_stage
        self._seconds = seconds
        self._clock = clock
        self._pacer = Pacer(clock)
        self._done: list[ItemResult] = []
        self._shots_done = 0
        self._bindings_begun = 0
        self._revision = 0
        self._partial_due = time.monotonic() + 1 / PARTIAL_HZ
        self._compiled_s = 0.0
        self._on_device_s = 0.0

    def run(self) -> TaskResult:
        """Return the final result.

        Raises
        ------
        QmioError
            One, naming the item where there are several.
        """
        began = time.monotonic()
        plans: list[Plan] = []
        bound: list[Matrix] = []
        is_short = self._clock is None
        items = self._run.spec.items
        for index, item in enumerate(items):
            with naming(index, len(items)):
                check_kind(item)
                plan = self._planner.plan(self._run, item, self._seconds)
                plans.append(plan)
                matrix = binding.rows(plan.compiled.names, item.parameters)
                bound.append(matrix if plan.compiled.angles is None else plan.compiled.angles)
            # Only what is computed once and for all can be foretold so well.
            is_short = is_short and plan.is_exact and plan.seconds(item) < _WORD_S
        check_size(self._run, plans)
        self._compiled_s = time.monotonic() - began
        if not is_short or self._compiled_s > _WORD_S:
            self._on_stage(RUNNING)
        for index, plan in enumerate(plans):
            with naming(index, len(items)):
                self._run_item(index, plan, bound[index])
        self._pacer.wait(self._bindings_begun, self._shots_done)
        return self._result(self._done, is_final=True)

    def _run_item(self, index: int, plan: Plan, matrix: Matrix) -> None:
        item = self._run.spec.items[index]
        way = plan.way
        keeps_memory = self._run.spec.options.memory
        seed = self._run.contract.seed
        step = self._run.contract.batch_shots if self._pacer.keeps_time else way.step()
        # Of a binding that has all its shots only the counts are kept: what it drew from may be large.
        counts: list[BindingCounts] = []
        for first in range(0, len(matrix), way.rows_at_once()):
            began = time.monotonic()
            some = matrix[first : first + way.rows_at_once()]
            fresh = way.samplers(some, seed, index, first, keeps_memory=keeps_memory)
            self._on_device_s += time.monotonic() - began
            for made in fresh:
                sampler = self._revealed(made, plan, item.shots)
                self._bindings_begun += 1
                while sampler.shots < item.shots:
                    before = sampler.shots
                    began = time.monotonic()
                    sampler.draw(min(step, item.shots - before))
                    now = time.monotonic()
                    self._on_device_s += now - began
                    self._shots_done += sampler.shots - before
                    if self._shots_done < self._run.spec.total_shots:
                        self._tell(now, plan, counts, sampler)
                counts.append(sampler.columns())
        self._done.append(item_result(self._run.spec.options, plan, counts))

    def _revealed(self, sampler: Sampler, plan: Plan, shots: int) -> Sampler:
        """Return what makes a binding's shots as the device has them, where the run keeps its clock."""
        if not (self._pacer.keeps_time and isinstance(sampler, InBlocks)):
            return sampler
        n_bits = plan.compiled.circuit.num_clbits
        return Revealed(sampler, shots, n_bits, keeps_memory=self._run.spec.options.memory)

    def _tell(self, now: float, plan: Plan, counts: Sequence[BindingCounts], sampler: Sampler) -> None:
        """Tell the counts so far, if it is time: at most ten times a second, and when their device has them."""
        if self._pacer.keeps_time:
            now += max(0.0, self._pacer.due_in(self._bindings_begun, self._shots_done))
        if now < self._partial_due:
            return
        self._pacer.wait(self._bindings_begun, self._shots_done)
        began = time.monotonic()
        items = [*self._done, item_result(self._run.spec.options, plan, [*counts, sampler.columns()])]
        self._on_partial(self._result(items, is_final=False))
        # Millions of outcomes take long to pack: never more than a tenth of the time goes into partial counts.
        now = time.monotonic()
        self._partial_due = now + max(1 / PARTIAL_HZ, 9 * (now - began))

    def _result(self, items: Sequence[ItemResult], *, is_final: bool) -> TaskResult:
        self._revision += 1
        on_device = self._on_device_s
        if self._clock is not None:
            on_device = max(on_device, device_s(self._clock, self._bindings_begun, self._shots_done))
        spec = self._run.spec
        return TaskResult(
            task_id=self._run.task_id,
            device=spec.device,
            items=tuple(items),
            shots=spec.total_shots,
            shots_done=self._shots_done,
            revision=self._revision,
            is_final=is_final,
            seed=self._run.contract.seed,
            snapshot_id=self._run.contract.snapshot_id,
            durations=(("compiled", self._compiled_s), ("on_device", on_device), ("measured", 0.0)),
            software=SOFTWARE,
        )
