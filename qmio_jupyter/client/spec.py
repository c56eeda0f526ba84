"""From programs and wishes to the task that is submitted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qmio_jupyter.errors import NotYetError, UsageError
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.model.ids import DeviceName, Digest, check_name
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import MAX_SHOTS, Item, ParameterMatrix, TaskOptions, TaskSpec

#: Names a device's current snapshot, whichever it is.
CURRENT = "current"


def build_spec(
    programs: Sequence[Program],
    *,
    device: DeviceName,
    shots: int,
    parameters: ParameterMatrix | Sequence[ParameterMatrix | None] | None = None,
    options: TaskOptions | None = None,
    label: str = "",
) -> TaskSpec:
    """Return the spec of one task that runs every program, in order, for the same number of shots.

    Parameters
    ----------
    programs : sequence of Program
        One item each; the same program may stand more than once.
    device : str
        Name of the device.
    shots : int
        Shots per item and binding.
    parameters : ParameterMatrix, or a sequence of them (None: no parameters), optional
        One for all programs, or one per program.
    options : TaskOptions, optional
        How it runs.
    label : str
        To find it by; at most 200 characters.

    Raises
    ------
    UsageError
        Naming what is out of range.
    """
    check_name(device, "device")
    if not 1 <= shots <= MAX_SHOTS:
        raise UsageError(
            f"shots must be 1 to {MAX_SHOTS}, not {shots}",
            hint="Split the request." if shots > MAX_SHOTS else "Ask for one or more.",
            code="limit.shots" if shots > MAX_SHOTS else "usage",
        )
    if isinstance(parameters, ParameterMatrix) or parameters is None:
        per_program: Sequence[ParameterMatrix | None] = [parameters] * len(programs)
    else:
        per_program = parameters
    if len(per_program) != len(programs):
        raise UsageError(
            f"{len(per_program)} parameter matrices for {len(programs)} programs",
            hint="Give one for all, or one per program.",
        )
    spec = TaskSpec(
        device=device,
        items=tuple(
            Item(program=program.digest, shots=shots, parameters=matrix)
            for program, matrix in zip(programs, per_program, strict=True)
        ),
        options=options or TaskOptions(),
        label=label,
    )
    try:
        # Structs check their fields only when they are converted: refuse here what the gateway would refuse.
        return msgspec.convert(msgspec.to_builtins(spec, builtin_types=(bytes,)), TaskSpec)
    except msgspec.ValidationError as problem:
        raise UsageError(f"the task is not acceptable: {problem}", hint="Correct the named value.") from None


def snapshot_named(text: str, device: DeviceView, option: str) -> Digest:
    """Return the id of the snapshot that `text` names on a device.

    Parameters
    ----------
    text : str
        ``current``, the beginning of the current snapshot's id, or any other snapshot's whole id: that one is
        returned as it is, for the gateway to judge.
    device : DeviceView
        As it is now.
    option : str
        What asked for it, for the error.

    Raises
    ------
    NotYetError
        If the device has no snapshot.
    """
    current = device.snapshot_id
    if current is None:
        raise NotYetError(
            f"{option}: device {device.description.name} has no snapshots yet", hint="Leave it out."
        )
    return current if text == CURRENT or current.startswith(text) else text
