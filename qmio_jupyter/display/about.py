"""What may be known of a task beside its view and its result: by whoever submitted it, or asked for it."""

from __future__ import annotations

import struct

import msgspec

from qmio_jupyter.model.parity import Parity
from qmio_jupyter.model.task import ParameterMatrix, TaskSpec


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is known here; empty where it is not."""

    #: A snapshot, and when it was taken (ms): the one that is bound, or before that the device's current one.
    snapshot_id: str | None = None
    snapshot_ms: int | None = None
    #: Parameters of each item; None for an item without.
    parameters: tuple[ParameterMatrix | None, ...] = ()
    #: What each item's program is called.
    names: tuple[str, ...] = ()
    #: Number of bindings of each item, known before there is any result.
    bindings: tuple[int, ...] = ()
    #: Expectation values that are asked for.
    expect: tuple[Parity, ...] = ()

    def taken_ms(self, snapshot_id: str | None) -> int | None:
        """Return when a snapshot was taken (ms), None where that is not known."""
        return self.snapshot_ms if snapshot_id is not None and snapshot_id == self.snapshot_id else None


#: Nothing is known.
NOTHING = About()


def of_spec(spec: TaskSpec) -> About:
    """Return what a task's own specification tells."""
    return About(
        parameters=tuple(item.parameters for item in spec.items),
        bindings=tuple(item.bindings for item in spec.items),
    )


def values_of(about: About, item: int, binding: int) -> tuple[tuple[str, float], ...]:
    """Return ``((parameter, value), ...)`` of one binding; empty where they are not known or there are none."""
    matrix = about.parameters[item] if item < len(about.parameters) else None
    if matrix is None or binding >= matrix.bindings:
        return ()
    width = len(matrix.names)
    row = struct.unpack_from(f"<{width}d", matrix.data, 8 * width * binding)
    return tuple(zip(matrix.names, row, strict=True))


def varying(about: About, item: int) -> tuple[str, ...]:
    """Return the parameters of an item that differ between its bindings, in order."""
    matrix = about.parameters[item] if item < len(about.parameters) else None
    if matrix is None or matrix.bindings < 2:
        return ()
    width = len(matrix.names)
    values = struct.unpack(f"<{width * matrix.bindings}d", matrix.data)
    return tuple(name for at, name in enumerate(matrix.names) if len(set(values[at::width])) > 1)
