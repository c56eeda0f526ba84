"""Why a worker died, as the one clear error its task gets."""

from __future__ import annotations

import os
import signal

from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.errors import AgentError, LimitError

_OUT_OF_MEMORY = (
    "memory allocation of",
    "bad_alloc",
    "MemoryError",
    "Cannot allocate memory",
    "out of memory",
)


def cause(status: int | None, output: str, *, cpu_s: float, memory_bytes: int) -> AgentError:
    """Return the error for a worker that ended with wait status `status`, having written `output`.

    Retryable where the program is probably not to blame: somebody killed the worker, or nobody can tell.
    """
    last_line = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    if any(words in output for words in _OUT_OF_MEMORY):
        return out_of_memory(memory_bytes, detail=output)
    if status is None:
        return AgentError(
            "the worker process vanished", code="agent.worker", hint="Submit again.", retryable=True
        )
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return out_of_time(f"used more than {cpu_s:g} s of processor time")
        name = signal.Signals(number).name
        return AgentError(
            f"the worker process was ended by {name}" + (f": {last_line[:200]}" if last_line else ""),
            code="agent.worker",
            hint="Make the program smaller, or submit again.",
            retryable=number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP),
            detail=output,
        )
    return AgentError(
        f"the worker process ended with exit code {os.waitstatus_to_exitcode(status)}"
        + (f": {last_line[:200]}" if last_line else ""),
        code="agent.worker",
        hint="Make the program smaller, or submit again.",
        detail=output,
    )


def out_of_memory(memory_bytes: int, *, detail: str = "") -> AgentError:
    """Return the error for a job that needs more memory than a worker may have."""
    return AgentError(
        f"the program needs more memory than a worker may use ({memory_bytes / 2**30:.1f} GiB)",
        code="agent.memory",
        hint="Use fewer qubits or gates, or less entanglement.",
        detail=detail,
    )


def out_of_time(what: str) -> AgentError:
    """Return the error for a job that ran into a time limit."""
    return AgentError(
        f"the program {what}", code="agent.timeout", hint="Make it smaller, or ask for fewer shots."
    )


def out_of_room(size: int) -> LimitError:
    """Return the error for a job whose result takes `size` bytes, more than a message carries."""
    return LimitError(
        f"the result takes {size} bytes, a message carries {RESULT_BYTES}",
        code="limit.size",
        hint="Ask for fewer shots, items or bindings, or leave out memory.",
    )


def defect(problem: Exception) -> AgentError:
    """Return the error for a worker that answered what nobody can use, or that nobody could ask."""
    return AgentError(
        f"the worker could not be used ({type(problem).__name__})",
        code="agent.worker",
        hint="Make the program smaller, or submit again.",
        detail=str(problem)[:1000],
    )
