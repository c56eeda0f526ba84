"""Building runs by hand: what an agent would give a driver."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import digest, mint
from qmio_jupyter.model.program import QASM2, QASM3, Program
from qmio_jupyter.model.task import Contract, Item, ParameterMatrix, TaskOptions, TaskSpec
from qmio_jupyter.ports import Run

_NUMBERS = itertools.count(1)


def qasm3(text: str) -> Program:
    """Return an OpenQASM 3 program; the header and the standard gates are put before `text`."""
    data = f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{text}'.encode()
    return Program(digest=digest(data), media_type=QASM3, data=data)


def qasm2(text: str) -> Program:
    """Return an OpenQASM 2 program; the header and the standard gates are put before `text`."""
    data = f'OPENQASM 2.0;\ninclude "qelib1.inc";\n{text}'.encode()
    return Program(digest=digest(data), media_type=QASM2, data=data)


def program(data: bytes, media_type: str) -> Program:
    """Return a program of any kind."""
    return Program(digest=digest(data), media_type=media_type, data=data)


def matrix(names: Sequence[str], rows: Sequence[Sequence[float]]) -> ParameterMatrix:
    """Return a parameter matrix of shape (bindings, parameters)."""
    values = [value for row in rows for value in row]
    return ParameterMatrix(
        names=tuple(names), bindings=len(rows), data=struct.pack(f"<{len(values)}d", *values)
    )


def run(
    *programs: Program,
    device: str = "device",
    shots: int = 1000,
    seed: int = 7,
    batch_shots: int = 100_000,
    parameters: ParameterMatrix | None = None,
    memory: bool = False,
    pace: str = "fast",
    optimization_level: int | None = None,
    device_options: Mapping[str, str] | None = None,
    snapshot: Snapshot | None = None,
    **more: Any,
) -> Run:
    """Return the run of a fresh task with one item per program; `more` are options of the task."""
    options = TaskOptions(
        memory=memory,
        pace=pace,
        optimization_level=optimization_level,
        device_options=tuple(sorted((device_options or {}).items())),
        **more,
    )
    items = tuple(Item(program=p.digest, shots=shots, parameters=parameters) for p in programs)
    number = next(_NUMBERS)
    return Run(
        task_id=mint("t", number, number.to_bytes(10, "big")),
        spec=TaskSpec(device=device, items=items, options=options),
        contract=Contract(
            programs=tuple(p.digest for p in programs),
            seed=seed,
            snapshot_id=None if snapshot is None else snapshot.snapshot_id,
            batch_shots=batch_shots,
        ),
        programs={p.digest: p for p in programs},
        snapshot=snapshot,
    )
