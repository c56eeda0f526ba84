"""A task's results as they come in: items, sizes, and what is to be said beside the counts."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from qmio_jupyter._version import __version__
from qmio_jupyter.drivers.aer.planner import Plan
from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.errors import LimitError
from qmio_jupyter.model.result import BindingCounts, ItemResult, key_width
from qmio_jupyter.model.task import StalePolicy, TaskOptions
from qmio_jupyter.ports import Run

SOFTWARE: Final = (
    ("qmio_jupyter", __version__),
    ("qiskit", version("qiskit")),
    ("qiskit-aer", version("qiskit-aer")),
)


def item_result(options: TaskOptions, plan: Plan, counts: Sequence[BindingCounts]) -> ItemResult:
    """Return what an item has recorded so far, by binding."""
    return ItemResult(
        n_bits=plan.compiled.circuit.num_clbits,
        registers=plan.compiled.registers,
        bindings=tuple(counts),
        notes=(*plan.notes, *_warnings(options, is_device=plan.compiled.device is not None)),
    )


def check_size(run: Run, plans: Sequence[Plan]) -> None:
    """Refuse what no message could carry in the end, before it is run for nothing.

    Raises
    ------
    LimitError
        ``limit.size``, naming how many shots per item would fit if it is for their memory.
    """
    fixed = 0
    per_shot = 0
    memory = 0
    for item, plan in zip(run.spec.items, plans, strict=True):
        width = key_width(plan.compiled.circuit.num_clbits)
        # At the least: the layout, and one outcome with its count per binding.
        fixed += plan.layout_bytes + item.bindings * (width + 8)
        if run.spec.options.memory:
            per_shot += item.bindings * width
            memory += item.shots * item.bindings * width
    if fixed + memory <= RESULT_BYTES:
        return
    if memory == 0 or fixed >= RESULT_BYTES:
        raise deaths.out_of_room(fixed)
    fitting = (RESULT_BYTES - fixed) // per_shot
    raise LimitError(
        f"every shot kept takes {fixed + memory} bytes, a message carries {RESULT_BYTES}",
        hint=f"Ask for at most {fitting} shots per item, or leave out memory.",
        code="limit.size",
    )


def _warnings(options: TaskOptions, *, is_device: bool) -> tuple[tuple[str, str], ...]:
    """Return one note that names what was asked for and makes no difference on an ideal device, if anything."""
    if is_device:
        return ()
    idle = {
        "layout": bool(options.layout),
        "pace real": options.pace == "real",
        "stale refuse": options.stale is StalePolicy.REFUSE and options.compiled_for is None,
    }
    named = [name for name, is_given in idle.items() if is_given]
    if not named:
        return ()
    return (
        ("warning", f"{', '.join(named)} {'has' if len(named) == 1 else 'have'} no effect on this device"),
    )
