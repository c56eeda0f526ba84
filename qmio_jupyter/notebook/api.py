"""The function twins of the magics: the same words, values in and out, nothing shown.

They are reached as ``qmio_jupyter.run(...)``, ``qmio_jupyter.tasks()`` and so on; the magics show what they
return.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qmio_jupyter.errors import NotYetError, UsageError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.dry_run import DryRun
from qmio_jupyter.model.parity import Parity, parse
from qmio_jupyter.model.task import TaskState, TaskView
from qmio_jupyter.notebook import link
from qmio_jupyter.notebook import run as running
from qmio_jupyter.notebook.circuits import as_programs
from qmio_jupyter.notebook.grammar import RunOptions, check_options, convert_value
from qmio_jupyter.notebook.live.screens import MODES, QuietScreen
from qmio_jupyter.notebook.options import RUN_OPTIONS
from qmio_jupyter.notebook.run import Defaults

if TYPE_CHECKING:
    from qmio_jupyter.client.sync_handle import TaskHandle
    from qmio_jupyter.notebook.comparison import Comparison
    from qmio_jupyter.wire.messages import GatewayState

#: What ``qmio_jupyter`` offers at its top.
TWINS = (
    "run",
    "status",
    "tasks",
    "attach",
    "cancel",
    "result",
    "devices",
    "device",
    "snapshot",
    "compare",
    "replay",
    "verify",
    "session",
    "configure",
)


def run(
    program: Any,
    *,
    device: str | None = None,
    shots: int | None = None,
    bind: Mapping[str, Any] | Sequence[Any] | None = None,
    label: str | None = None,
    expect: str | Parity | Sequence[str | Parity] = (),
    seed: int | None = None,
    ideal: bool = False,
    opt_level: int | None = None,
    layout: Sequence[int] | None = None,
    lang: str | None = None,
    pace: str | None = None,
    memory: bool = False,
    timeout: float | None = None,
    wait: bool = True,
    dry_run: bool = False,
    snapshot: str | None = None,
    compiled_for: str | None = None,
    stale: str | None = None,
    device_options: Mapping[str, str] | None = None,
) -> TaskHandle | DryRun:
    """Run a circuit, OpenQASM text, or a list of them as one task: the twin of ``%%qpu``.

    Parameters
    ----------
    program : QuantumCircuit or str, or a list of them
        What to run. Text begins with its OPENQASM header, unless `lang` says what it is.
    device, shots, label, seed, ideal, opt_level, layout, lang, pace, memory, snapshot
    compiled_for, stale
        As the options of ``%%qpu``; None is the configured default. `shots` is per circuit and binding.
    bind : mapping or array, optional
        Parameters by name: a number, or a sequence with one number per binding (shape ``(bindings,)``); for
        a parameter vector of length k a sequence of shape ``(k,)`` or ``(bindings, k)``. Or one array for all,
        shape ``(parameters,)`` or ``(bindings, parameters)``, in the order of ``circuit.parameters``. The circuit
        travels once, whatever it is bound to.
    expect : str or sequence of str
        Products of Z whose means the handle shows: ``"ZZ"``, ``"Z0*Z1"``, ``"c[0]*c[1]"``; see ``.expectation()``.
    timeout : float, optional
        Wait at most so many seconds.
    wait : bool
        False gives the handle at once (``--no-wait``).
    dry_run : bool
        Queue nothing: return what the task would be and take. `timeout` is then the time allowed for that.
    device_options : mapping, optional
        Options only this device knows.

    Returns
    -------
    TaskHandle
        ``.counts(item, binding)`` gives ``[(bitstring, count), ...]``, bit 0 rightmost as in Qiskit.
    DryRun
        With `dry_run`: see :mod:`qmio_jupyter.model.dry_run`.

    Raises
    ------
    UsageError, ProgramError
        If the program or an option is not accepted.
    TaskFailedError, TaskCancelledError
        If that is how the task ended.
    DeadlineError
        After `timeout`; the task goes on.
    KeyboardInterrupt
        If interrupted; the task is cancelled.
    """
    asked = check_options(
        RunOptions(
            device=device,
            shots=shots,
            label=label,
            expect=_parities(expect),
            seed=seed,
            ideal=ideal,
            opt_level=opt_level,
            layout=None if layout is None else tuple(layout),
            lang=lang,
            pace=pace,
            memory=memory,
            timeout=timeout,
            dry_run=dry_run,
            snapshot=snapshot,
            compiled_for=compiled_for,
            stale=stale,
            device_option=tuple((key, str(value)) for key, value in (device_options or {}).items()),
        )
    )
    programs = as_programs(program, lang=lang, what="the program")
    if dry_run:
        return running.estimate(link.client(), programs, asked, link.defaults(), {} if bind is None else bind)
    handle = running.submit(link.client(), programs, asked, link.defaults(), {} if bind is None else bind)
    if wait:
        running.follow(link.client(), handle, QuietScreen(), timeout_s=timeout)
    return handle


def status(task: str | None = None) -> TaskView | GatewayState:
    """Return a task's view, or the gateway's state without one; the twin of ``%qpu status``."""
    return gateway() if task is None else task_view(task)


def gateway() -> GatewayState:
    """Return the gateway's health and figures."""
    return link.client().gateway()


def task_view(task: str) -> TaskView:
    """Return a task's present view, by its id, a unique beginning of it, or ``last``."""
    client = link.client()
    return client.show(client.resolve(task))


def tasks(limit: int = 20, *, state: str | None = None) -> tuple[TaskView, ...]:
    """Return your tasks, newest first; the twin of ``%qpu tasks``."""
    if state is not None and state not in tuple(TaskState):
        raise UsageError(f"{state!r} is no task state", hint=f"States: {', '.join(TaskState)}.")
    return link.client().tasks(limit, states=() if state is None else (TaskState(state),))


def attach(task: str = "last", *, expect: str | Parity | Sequence[str | Parity] = ()) -> TaskHandle:
    """Return the handle of a task, from any notebook; the twin of ``%qpu attach``.

    Parameters
    ----------
    task : str
        Its id, a unique beginning of it, or ``last``.
    expect : str or sequence of str
        As for `run`.
    """
    client = link.client()
    wanted = _parities(expect)
    handle = client.attach(client.resolve(task))
    handle.describe(expect=wanted)
    return handle


def _parities(expect: str | Parity | Sequence[str | Parity]) -> tuple[Parity, ...]:
    written = (expect,) if isinstance(expect, str | Parity) else expect
    return tuple(parse(one) if isinstance(one, str) else one for one in written)


def cancel(task: str) -> tuple[TaskView, ...]:
    """Cancel a task, or ``"all"`` that are not finished, and return them; the twin of ``%qpu cancel``."""
    client = link.client()
    if task != "all":
        return (client.cancel(client.resolve(task)),)
    live = [state for state in TaskState if not state.is_final]
    return tuple(client.cancel(view.task_id) for view in client.tasks(1000, states=tuple(live)))


def result(task: str, *, expect: str | Parity | Sequence[str | Parity] = ()) -> TaskHandle:
    """Return the handle of a finished task; the twin of ``%qpu result``.

    Raises
    ------
    TaskError
        If it is not finished (``task.not_finished``), failed or was cancelled.
    """
    handle = attach(task, expect=expect)
    handle.raise_for_state()
    return handle


def devices() -> tuple[DeviceView, ...]:
    """Return the devices you may use; the twin of ``%qpu devices``."""
    return link.client().devices()


def device(name: str | None = None) -> DeviceView:
    """Return one device, the default one without a name; the twin of ``%qpu device``."""
    return link.client().device(name or link.defaults().device)


def snapshot(name: str | None = None) -> Snapshot:
    """Return a device's current snapshot; the twin of ``%qpu calibration`` (`calibration` is a room).

    Raises
    ------
    NotYetError
        If the device has none.
    """
    view = device(name)
    if view.snapshot_id is None:
        raise NotYetError(f"device {view.description.name} has no calibration yet", hint="See %qpu devices.")
    return link.client().snapshot(view.snapshot_id)


def compare(*tasks: str, ideal: bool = False) -> Comparison:
    """Lay two or more finished tasks over each other; the twin of ``%qpu compare``.

    Parameters
    ----------
    *tasks : str
        Their ids.
    ideal : bool
        With the ideal distribution, computed by Qiskit here: of a program that this kernel submitted, of at most 16
        active qubits, measured at its end.

    Returns
    -------
    Comparison
        A tuple of their handles, with ``.tvd`` and ``.hellinger_fidelity``; shows itself at the end of a cell.

    Raises
    ------
    UsageError
        For fewer than two, or tasks that have nothing in common.
    ProgramError
        If the ideal distribution cannot be computed here.
    """
    if len(tasks) < 2:
        raise UsageError("two tasks or more are needed to compare", hint="Give their ids.")
    from qmio_jupyter.notebook.comparison import compare as compared

    return compared([result(task) for task in tasks], ideal=ideal)


def replay(task: str, *, snapshot: str | None = None) -> TaskHandle:  # noqa: ARG001
    """Run a finished task again under its contract; the twin of ``%qpu replay``. Not there yet."""
    raise NotYetError(f"replaying {task} is not there yet", hint="Submit the program again.")


def verify(task: str) -> None:
    """Check a result against its contract; the twin of ``%qpu verify``. Not there yet."""
    raise NotYetError(f"verifying {task} is not there yet", hint=f"See %qpu status {task}.")


def configure(**settings: Any) -> Defaults:
    """Set defaults of this notebook and return all of them; the twin of ``%qpu config``.

    Parameters
    ----------
    **settings
        ``device``, ``shots``, ``timeout`` (seconds), ``quiet`` (bool), ``live`` (how a task is shown while it is
        under way: ``auto``, ``widget``, ``page`` or ``line``); None gives one back to the settings file.

    Raises
    ------
    UsageError
        If a name or a value is not accepted.
    """
    checked = {name: _setting(name, value) for name, value in settings.items()}
    for name, value in checked.items():
        link.configure(name, value)
    return link.defaults()


def _setting(name: str, value: Any) -> Any:
    known = Defaults.__struct_fields__
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Defaults: {', '.join(known)}."
        raise UsageError(f"there is no default called {name!r}", code="usage.option", hint=hint)
    text = str(value).lower()
    if text == "none":
        return None
    if name == "quiet":
        if text not in ("true", "false"):
            raise UsageError(
                f"quiet: true or false is expected, not {value!r}",
                code="usage.option",
                hint="See %qpu config.",
            )
        return text == "true"
    if name == "live":
        if text not in MODES:
            raise UsageError(
                f"live: one of {', '.join(MODES)} is expected, not {value!r}",
                code="usage.option",
                hint="See %qpu config.",
            )
        return text
    option = next(option for option in RUN_OPTIONS if option.field == name)
    return convert_value(option, str(value))


def session() -> Session:
    """Return who you are to the gateway; the twin of ``%qpu session``."""
    return link.client().session()
