"""Dry runs as plain text. Pure: values in, text out."""

from __future__ import annotations

from qmio_jupyter.display.text import duration, facts, plain
from qmio_jupyter.model.dry_run import DryRun, DryRunItem

#: Items that are shown.
MOST_ITEMS = 8
#: Lines of one compiled circuit that a cell shows.
MOST_LINES = 40
#: Qubits of a layout, and kinds of operations, that are told.
_MOST_WORDS = 32


def dry_run_text(run: DryRun, most_lines: int | None = MOST_LINES) -> str:
    """Return what a dry run found: a head line, a table and the compiled circuit per item, the cost at the end.

    Parameters
    ----------
    most_lines : int, optional
        Lines of each circuit; None: all there are.
    """
    bound = f", snapshot {run.snapshot_id[:12]}" if run.snapshot_id else ""
    blocks = [plain(f"dry run on {run.device}{bound}: nothing was run, nothing was queued")]
    for index, item in enumerate(run.items[:MOST_ITEMS]):
        title = f"circuit {index + 1} of {len(run.items)}:\n" if len(run.items) > 1 else ""
        blocks.append(title + item_text(item))
        circuit = circuit_text(item, index, most_lines)
        if circuit:
            blocks.append(circuit)
    if len(run.items) > MOST_ITEMS:
        blocks.append(f"... and {len(run.items) - MOST_ITEMS} more: see .items of the dry run.")
    blocks.append(
        facts(
            [
                (
                    "device time",
                    "" if run.device_s is None else f"{duration(run.device_s)} at the device's own pace",
                ),
                ("computing", duration(run.predicted_s) if run.predicted_s else ""),
                ("cost", f"{duration(run.cost_s)} of your share of the device"),
            ]
        )
    )
    return "\n\n".join(blocks)


def item_text(item: DryRunItem) -> str:
    """Return the table of one item."""
    program = [_count(item.n_qubits, "qubit"), _count(item.n_bits, "bit")] if item.n_qubits else []
    shots = f"{item.shots} shots"
    if item.bindings > 1:
        shots += f" for each of {item.bindings} bindings"
    operations = [f"{name} {count}" for name, count in item.operations]
    return facts(
        [
            ("program", ", ".join([*program, shots])),
            (
                "compiled",
                f"depth {item.depth}, {_count(item.two_qubit_gates, 'two-qubit gate')}" if item.depth else "",
            ),
            ("operations", _first(operations)),
            ("on qubits", _first([str(qubit) for qubit in item.layout])),
            ("fidelity", "" if item.expected_fidelity is None else _percent(item.expected_fidelity)),
            ("method", ": ".join(word for word in (item.method, item.why) if word)),
            ("memory", _bytes(item.memory_bytes) if item.memory_bytes else ""),
            *((plain(key), value) for key, value in item.notes),
        ]
    )


def circuit_text(item: DryRunItem, index: int, most_lines: int | None) -> str:
    """Return the compiled circuit, its beginning if it is long; empty if there is none to show."""
    lines = [plain(line.expandtabs(4)) for line in item.circuit.splitlines()]
    shown = lines if most_lines is None else lines[:most_lines]
    if len(shown) < len(lines):
        shown.append(
            f"... and {len(lines) - len(shown)} more lines: see .items[{index}].circuit of the dry run."
        )
    if item.is_cut:
        shown.append("... the rest is too long to be shown")
    return "\n".join(shown)


def _first(words: list[str]) -> str:
    return ", ".join([*words[:_MOST_WORDS], *(["..."] if len(words) > _MOST_WORDS else [])])


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    figure = f"{100 * share:.1f} %" if share >= 1e-3 else f"{share:.1e}"
    return f"{figure} estimated success: the product over gates, delays and measurements"


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.3g} {unit}"
