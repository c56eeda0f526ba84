"""Errors that several files of this room raise: a simulator that fails, a layout that is none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from qmio_jupyter.errors import AgentError, ProgramError, QmioError, from_code
from qmio_jupyter.model.task import Item, TaskOptions


def simulation_failed(status: str) -> ProgramError | AgentError:
    """Return the error for a simulation that ended with `status`."""
    text = " ".join(status.split())
    if "memory" in text.lower() or "bad_alloc" in text:
        return AgentError(
            f"the simulation needs more memory than a worker may use ({text[:200]})",
            code="agent.memory",
            hint="Use fewer qubits, or less entanglement.",
        )
    return ProgramError(
        f"the simulator refused the program: {text[:300]}",
        hint="Remove or rewrite what it names.",
        code="program.unsupported",
    )


def check_layout(options: TaskOptions, n_qubits: int) -> None:
    """Refuse a layout that is none of the program, though any that is makes no difference on an ideal device.

    Raises
    ------
    ProgramError
        ``program``.
    """
    layout = options.layout
    if layout and (len(layout) != n_qubits or len(set(layout)) != len(layout)):
        raise ProgramError(
            f"the layout {','.join(map(str, layout[:20]))} does not place {n_qubits} qubits",
            hint="Give one qubit of the device for each of the program, each once.",
            code="program",
        )


@contextlib.contextmanager
def naming(index: int, number: int) -> Iterator[None]:
    """Say which of several programs (the `index`-th of `number`, from 0) an error is about."""
    try:
        yield
    except QmioError as error:
        if number == 1 or error.code.startswith("agent"):
            raise
        message = f"program {index + 1} of {number}: {error.message}"
        raise from_code(error.code, message, hint=error.hint, detail=error.detail) from error


def check_kind(item: Item) -> None:
    """Refuse what is no matter of counts.

    Raises
    ------
    ProgramError
        ``program.unsupported``.
    """
    if item.observables:
        raise ProgramError(
            "the device gives counts, not expectation values",
            hint="Leave out observables.",
            code="program.unsupported",
        )
