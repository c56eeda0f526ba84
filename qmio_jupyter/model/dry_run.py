"""Dry runs: what a task would be and take, told without queueing it.

Nothing of it is measured. Three clocks are told apart: `predicted_s` is the time the agent's machine is busy,
`device_s` the time the device (real, or emulated at its real pace) is, `cost_s` what the queue would charge.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from qmio_jupyter.model.ids import DeviceName, Digest
from qmio_jupyter.model.numbers import Seconds, Whole

#: Characters of one item's `circuit`, and of all of a dry run's together; the text is cut at a line's end.
MAX_CIRCUIT_CHARS = 32_768
MAX_CIRCUITS_CHARS = 524_288

_Word = Annotated[str, Meta(max_length=200)]
_Sentence = Annotated[str, Meta(max_length=2_000)]


class DryRunItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item as it would be run: compiled, its method chosen, nothing executed.

    Qubits are counted in the program (`n_qubits`) or numbered on the device (`layout`); `depth`, `two_qubit_gates`
    and `operations` are those of the compiled circuit, each body of control flow counted once.
    """

    #: Qubits and classical bits of the program.
    n_qubits: Whole
    n_bits: Whole
    shots: Whole
    bindings: Whole = 1
    #: How it would be simulated (``density_matrix``, ``stabilizer``, ...); empty on a real device.
    method: _Word = ""
    #: Why this method, in one line.
    why: _Sentence = ""
    #: Seconds of the agent's machine, all bindings together.
    predicted_s: Seconds = 0.0
    #: Bytes it would take at the same time.
    memory_bytes: Whole = 0
    depth: Whole = 0
    two_qubit_gates: Whole = 0
    #: Native operations as (name, count), sorted by name.
    operations: Annotated[tuple[tuple[_Word, Whole], ...], Meta(max_length=1_000)] = ()
    #: Physical qubits of the program's qubits, in order; empty where the device has no places.
    layout: Annotated[tuple[Whole, ...], Meta(max_length=100_000)] = ()
    #: Estimated success probability, the product over gates, delays and measurements: a figure to compare with. None
    #: where nothing is known of errors, and for a run without noise.
    expected_fidelity: Annotated[float, Meta(ge=0, le=1)] | None = None
    #: Seconds of the device's own clock, all bindings together; None for a device without one.
    device_s: Seconds | None = None
    #: The compiled circuit as OpenQASM 3, cut to `MAX_CIRCUIT_CHARS`; empty if it cannot be written so.
    circuit: Annotated[str, Meta(max_length=MAX_CIRCUIT_CHARS)] = ""
    #: True if `circuit` is only its beginning.
    is_cut: bool = False
    #: What else is to be known, as (key, value): capped T2 times, options without effect, ...
    notes: Annotated[tuple[tuple[_Word, _Sentence], ...], Meta(max_length=1_000)] = ()


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a task would be and take on a device, by its agent; `cost_s` is the gateway's own word."""

    device: DeviceName
    #: Snapshot it was compiled against; None for a device that has none.
    snapshot_id: Digest | None = None
    items: Annotated[tuple[DryRunItem, ...], Meta(max_length=1_000)]
    #: Seconds of the agent's machine, all items together.
    predicted_s: Seconds = 0.0
    #: Seconds of the device's own clock; None for a device without one.
    device_s: Seconds | None = None
    #: Device-seconds the queue would charge: the figure it would order this task by. Drivers leave it 0.
    cost_s: Seconds = 0.0


def cut_circuit(text: str, limit: int = MAX_CIRCUIT_CHARS) -> tuple[str, bool]:
    r"""Return `text`, at most `limit` characters of it and whole lines only, and whether some is missing.

    Examples
    --------
    >>> cut_circuit("x q[0];\nx q[1];\n", 12)
    ('x q[0];\n', True)
    """
    if len(text) <= limit:
        return text, False
    return text[: text.rfind("\n", 0, limit) + 1], True


def within_limits(run: DryRun) -> DryRun:
    """Return `run` with circuits left out, from the first that does not fit into `MAX_CIRCUITS_CHARS` on."""
    left = MAX_CIRCUITS_CHARS
    items: list[DryRunItem] = []
    for item in run.items:
        left -= len(item.circuit)
        items.append(item if left >= 0 else msgspec.structs.replace(item, circuit="", is_cut=True))
    return run if left >= 0 else msgspec.structs.replace(run, items=tuple(items))
