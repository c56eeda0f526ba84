"""Results: columnar counts in which every bit keeps its place, and packed per-shot memory on request.

Bit order: classical bit 0 is the least significant bit of a key's first byte (little-endian), as in Qiskit.
A bitstring is written with the highest register first, registers separated by one space (Qiskit's order).
Counts are joint over all classical bits of the program, so correlations between registers survive.
"""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.ids import Digest, TaskId
from qmio_jupyter.model.numbers import Seed, Whole
from qmio_jupyter.model.task import TaskState


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """A classical register, or one lone bit (``name == ""``), in order of declaration."""

    name: str
    #: Indices of its bits among the program's classical bits, least significant first.
    bits: tuple[int, ...]


class BindingCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one binding: `keys` has ``ceil(n/8)`` bytes per distinct outcome, `counts` 8 (``<u8``)."""

    shots: Whole
    keys: bytes
    counts: bytes
    #: ``ceil(n/8)`` bytes per shot, in order of execution; only with ``memory``.
    memory: bytes | None = None


class ItemResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one item: a layout of `n_bits` classical bits and one entry per binding."""

    n_bits: Whole
    registers: tuple[Register, ...]
    bindings: tuple[BindingCounts, ...]
    #: What the driver says of this item as (key, value): method, depth, layout, warnings, ...
    notes: tuple[tuple[str, str], ...] = ()


class TaskResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one task recorded, or has recorded so far (`is_final` False, cumulative partial counts)."""

    task_id: TaskId
    device: str
    items: tuple[ItemResult, ...]
    shots: Whole
    shots_done: Whole
    #: Counts partial results of one attempt, from 1; the last equals the final result.
    revision: Whole
    is_final: bool
    seed: Seed
    snapshot_id: Digest | None = None
    #: Seconds by the agent's monotonic clock: compiled, on_device, measured.
    durations: tuple[tuple[str, float], ...] = ()
    #: Versions of what ran it as (name, version).
    software: tuple[tuple[str, str], ...] = ()


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a claim ended: ``completed`` with a result, ``failed`` with a code, or ``cancelled``."""

    state: TaskState
    result: TaskResult | None = None
    error_code: str = ""
    error_message: str = ""
    error_hint: str = ""
    #: Seconds of device time really used; corrects later predictions.
    device_s: float = 0.0


def key_width(n_bits: int) -> int:
    """Return the bytes per key: ``ceil(n_bits / 8)``, at least 1."""
    return max(1, (n_bits + 7) // 8)


def bitstring(key: int, registers: tuple[Register, ...]) -> str:
    """Return an outcome as Qiskit writes it: last register first, one space between registers.

    Examples
    --------
    >>> bitstring(0b101, (Register(name="a", bits=(0, 1)), Register(name="b", bits=(2,))))
    '1 01'
    """
    return " ".join(
        "".join("1" if key >> bit & 1 else "0" for bit in reversed(register.bits))
        for register in reversed(registers)
    )


def outcomes(item: ItemResult, binding: int = 0) -> list[tuple[str, int]]:
    """Return ``[(bitstring, count), ...]`` of one binding, ordered by bitstring value.

    A program without classical bits gives one outcome, the empty string.
    """
    entry = item.bindings[binding]
    width = key_width(item.n_bits)
    pairs = sorted(
        (
            int.from_bytes(entry.keys[i * width : (i + 1) * width], "little"),
            int.from_bytes(entry.counts[i * 8 : (i + 1) * 8], "little"),
        )
        for i in range(len(entry.counts) // 8)
    )
    return [(bitstring(key, item.registers), count) for key, count in pairs]


def marginal(item: ItemResult, register: Register, binding: int = 0) -> list[tuple[str, int]]:
    """Return ``[(bitstring, count), ...]`` of one register's bits, whatever the other bits were, ordered by value.

    Examples
    --------
    >>> a, b = Register(name="a", bits=(0,)), Register(name="b", bits=(1, 2))
    >>> keys, counts = pack_counts([(0b000, 5), (0b101, 2), (0b100, 3)], 3)
    >>> item = ItemResult(
    ...     n_bits=3, registers=(a, b), bindings=(BindingCounts(shots=10, keys=keys, counts=counts),)
    ... )
    >>> marginal(item, b)
    [('00', 5), ('10', 5)]
    """
    entry = item.bindings[binding]
    width = key_width(item.n_bits)
    found: dict[int, int] = {}
    for i in range(len(entry.counts) // 8):
        key = int.from_bytes(entry.keys[i * width : (i + 1) * width], "little")
        count = int.from_bytes(entry.counts[i * 8 : (i + 1) * 8], "little")
        value = sum((key >> bit & 1) << place for place, bit in enumerate(register.bits))
        found[value] = found.get(value, 0) + count
    digits = len(register.bits)
    return [(f"{value:0{digits}b}" if digits else "", count) for value, count in sorted(found.items())]


def shot_memory(
    item: ItemResult, binding: int = 0, registers: tuple[Register, ...] | None = None
) -> list[str] | None:
    """Return the bitstring of each shot of one binding, in order of execution; None if it was not kept.

    Bit order and spaces as in :func:`outcomes`; only the bits of `registers` where they are given.

    Examples
    --------
    >>> kept = BindingCounts(shots=3, keys=b"", counts=b"", memory=bytes([0b10, 0b01, 0b10]))
    >>> item = ItemResult(n_bits=2, registers=(Register(name="c", bits=(0, 1)),), bindings=(kept,))
    >>> shot_memory(item)
    ['10', '01', '10']
    """
    packed = item.bindings[binding].memory
    if packed is None:
        return None
    width = key_width(item.n_bits)
    shots = [packed[at : at + width] for at in range(0, len(packed), width)]
    shown = item.registers if registers is None else registers
    written = {shot: bitstring(int.from_bytes(shot, "little"), shown) for shot in set(shots)}
    return [written[shot] for shot in shots]


def pack_counts(pairs: list[tuple[int, int]], n_bits: int) -> tuple[bytes, bytes]:
    """Return the columns ``(keys, counts)`` of ``[(outcome, count), ...]``, ordered by outcome."""
    width = key_width(n_bits)
    ordered = sorted(pairs)
    return (
        b"".join(key.to_bytes(width, "little") for key, _ in ordered),
        b"".join(count.to_bytes(8, "little") for _, count in ordered),
    )
