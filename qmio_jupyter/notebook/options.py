"""The table of the ``%%qpu`` and ``%qpu`` grammar: parsing, help, completion, reference all read it. Pure.

Released names never change their meaning; new ones may be added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from qmio_jupyter.drawing.chip_values import QUANTITIES
from qmio_jupyter.model.task import StalePolicy, TaskState
from qmio_jupyter.notebook.values import (
    one_of,
    to_bind,
    to_cancelled,
    to_device,
    to_expect,
    to_key_value,
    to_label,
    to_layout,
    to_opt_level,
    to_page,
    to_seconds,
    to_seed,
    to_shots,
    to_snapshot,
    to_task,
    to_variable,
)

LANGUAGES = ("qasm2", "qasm3", "python")
PACES = ("real", "fast")


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option: its flags, the value it takes, what it does."""

    #: Name of the field that receives the value.
    field: str
    flags: tuple[str, ...]
    help: str
    #: Placeholder of the value in help; empty for a switch.
    metavar: str = ""
    #: Turns the text into the value; raises `ValueError` with one line saying what is accepted.
    convert: Callable[[str], Any] = str
    #: The values to offer when there are only so many; or the kind of thing: see `values_of`.
    choices: tuple[str, ...] = ()
    #: ``devices`` or ``tasks``: what completion asks the gateway for.
    dynamic: str = ""
    repeated: bool = False


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """A positional argument of a subcommand."""

    field: str
    metavar: str
    help: str
    #: argparse's count: ``"1"``, ``"?"``, ``"*"`` or ``"2+"`` (two or more).
    count: str = "1"
    convert: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    dynamic: str = ""


class Subcommand(msgspec.Struct, frozen=True, kw_only=True):
    """One word after ``%qpu``."""

    word: str
    help: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()


# ---------------------------------------------------------------- the options

HELP = Option(field="help", flags=("--help",), help="Show this and do nothing.")
OUT = Option(
    field="out",
    flags=("-o", "--out"),
    metavar="VAR",
    convert=to_variable,
    help="Put the task's handle into this variable.",
)
SNAPSHOT = Option(
    field="snapshot",
    flags=("--snapshot",),
    metavar="ID",
    convert=to_snapshot,
    help="Bind this snapshot instead of the device's current one.",
)

IDEAL = Option(
    field="ideal",
    flags=("--ideal",),
    help="With the ideal distribution, computed by Qiskit here: of a program of this notebook, of few qubits.",
)
QUANTITY = Option(
    field="quantity",
    flags=("--quantity",),
    metavar="QUANTITY",
    convert=one_of(*QUANTITIES),
    choices=tuple(QUANTITIES),
    help=f"What the map's qubits are coloured by: {', '.join(QUANTITIES)}. Couplings are by two-qubit error.",
)
EXPECT = Option(
    field="expect",
    flags=("--expect",),
    metavar="PARITY",
    convert=to_expect,
    repeated=True,
    help="Show the mean of a product of Z over the shots: ZZ, Z0*Z1 or c[0]*c[1].",
)

#: Options of ``%%qpu`` and of ``%qpu run``.
RUN_OPTIONS: tuple[Option, ...] = (
    Option(
        field="device",
        flags=("-d", "--device"),
        metavar="NAME",
        convert=to_device,
        dynamic="devices",
        help="Device to run on; else the configured one.",
    ),
    Option(
        field="shots",
        flags=("-n", "--shots"),
        metavar="N",
        convert=to_shots,
        help="Shots per circuit and binding; else the configured number.",
    ),
    OUT,
    Option(
        field="bind",
        flags=("--bind",),
        metavar="NAME=EXPR",
        convert=to_bind,
        repeated=True,
        help="Value of a parameter: a Python expression, a number or a sequence of numbers (one run each).",
    ),
    Option(
        field="label",
        flags=("--label",),
        metavar="TEXT",
        convert=to_label,
        help="A word of yours to find the task by.",
    ),
    Option(
        field="seed",
        flags=("--seed",),
        metavar="N",
        convert=to_seed,
        help="Seed of simulated devices; else derived from the task's id.",
    ),
    Option(field="ideal", flags=("--ideal",), help="Without noise, on a simulated device that has some."),
    Option(
        field="opt_level",
        flags=("--opt-level",),
        metavar="0-3",
        convert=to_opt_level,
        choices=("0", "1", "2", "3"),
        help="Effort of the transpiler.",
    ),
    Option(
        field="layout",
        flags=("--layout",),
        metavar="auto|I,J,..",
        convert=to_layout,
        choices=("auto",),
        help="Physical qubits of the program's qubits, in order.",
    ),
    Option(
        field="lang",
        flags=("--lang",),
        metavar="qasm2|qasm3|python",
        convert=one_of(*LANGUAGES),
        choices=LANGUAGES,
        help="Language of the body; else told by its OPENQASM header.",
    ),
    Option(
        field="pace",
        flags=("--pace",),
        metavar="real|fast",
        convert=one_of(*PACES),
        choices=PACES,
        help="Whether an emulated device takes a real one's time.",
    ),
    EXPECT,
    Option(field="memory", flags=("--memory",), help="Keep the outcome of every single shot: TASK.memory()."),
    Option(
        field="timeout",
        flags=("-t", "--timeout"),
        metavar="S",
        convert=to_seconds,
        help="Wait at most so many seconds; the task goes on.",
    ),
    Option(field="no_wait", flags=("-a", "--no-wait"), help="Do not wait: give the task's handle at once."),
    Option(
        field="dry_run",
        flags=("--dry-run",),
        help="Queue nothing: show the compiled circuit, its fidelity, time and cost (-o VAR keeps them).",
    ),
    SNAPSHOT,
    Option(
        field="compiled_for",
        flags=("--compiled-for",),
        metavar="ID|current",
        convert=to_snapshot,
        help="The program is in the device's own gates, on its own qubits, compiled for this snapshot.",
    ),
    Option(
        field="stale",
        flags=("--stale",),
        metavar="warn|recompile|refuse",
        convert=one_of(*StalePolicy),
        choices=tuple(StalePolicy),
        help="If a compiled program's snapshot is no longer the current one.",
    ),
    Option(
        field="device_option",
        flags=("--device-option",),
        metavar="K=V",
        convert=to_key_value,
        repeated=True,
        help="An option only this device knows.",
    ),
    Option(field="quiet", flags=("-q", "--quiet"), help="Show nothing but errors."),
    HELP,
)

# ---------------------------------------------------------------- the subcommands

_TASK = Argument(
    field="task",
    metavar="ID",
    convert=to_task,
    dynamic="tasks",
    help="A task's id, its beginning, or its variable.",
)
_ATTACHED = Argument(
    field="task",
    metavar="ID|last",
    convert=to_task,
    choices=("last",),
    dynamic="tasks",
    help="A task's id, its beginning, its variable, or last.",
)
_DEVICE = Argument(
    field="device", metavar="NAME", count="?", convert=to_device, dynamic="devices", help="A device."
)


SUBCOMMANDS: tuple[Subcommand, ...] = (
    Subcommand(
        word="run",
        help="Run the circuit, circuits or OpenQASM text that a variable holds.",
        arguments=(
            Argument(
                field="variable",
                metavar="VAR",
                convert=to_variable,
                dynamic="variables",
                help="A variable of this notebook.",
            ),
        ),
        options=RUN_OPTIONS,
    ),
    Subcommand(
        word="status",
        help="Show one task in full; without an id, the gateway and what is under way.",
        arguments=(msgspec.structs.replace(_TASK, count="?"),),
        options=(HELP,),
    ),
    Subcommand(
        word="tasks",
        help="List your tasks, newest first.",
        options=(
            Option(
                field="limit",
                flags=("-n",),
                metavar="N",
                convert=to_page,
                help="How many at most (20).",
            ),
            Option(
                field="state",
                flags=("--state",),
                metavar="S",
                convert=one_of(*TaskState),
                choices=tuple(TaskState),
                help="Only those in this state.",
            ),
            HELP,
        ),
    ),
    Subcommand(
        word="attach",
        help="Wait for a task and show its result, from any notebook. Interrupting leaves it running.",
        arguments=(_ATTACHED,),
        options=(OUT, EXPECT, HELP),
    ),
    Subcommand(
        word="cancel",
        help="Cancel a task, or all that are not finished.",
        arguments=(
            Argument(
                field="task",
                metavar="ID|all",
                convert=to_cancelled,
                choices=("all",),
                dynamic="tasks",
                help="A task's id, its beginning, its variable, or all.",
            ),
        ),
        options=(HELP,),
    ),
    Subcommand(
        word="result",
        help="Show the result of a finished task.",
        arguments=(_TASK,),
        options=(OUT, EXPECT, HELP),
    ),
    Subcommand(word="devices", help="List the devices you may use.", options=(HELP,)),
    Subcommand(
        word="device", help="Show one device in full.", arguments=(_DEVICE,), options=(QUANTITY, HELP)
    ),
    Subcommand(
        word="calibration",
        help="Show a device's current calibration as a map of its chip.",
        arguments=(_DEVICE,),
        options=(QUANTITY, HELP),
    ),
    Subcommand(
        word="compare",
        help="Lay the counts of several tasks over each other, and say how far apart they are.",
        arguments=(
            Argument(
                field="tasks",
                metavar="ID",
                count="2+",
                convert=to_task,
                dynamic="tasks",
                help="Ids of two or more tasks, or their variables.",
            ),
        ),
        options=(IDEAL, HELP),
    ),
    Subcommand(
        word="replay",
        help="Run a finished task again under the same contract.",
        arguments=(_TASK,),
        options=(SNAPSHOT, HELP),
    ),
    Subcommand(
        word="verify",
        help="Check that a result belongs to its contract.",
        arguments=(_TASK,),
        options=(HELP,),
    ),
    Subcommand(word="session", help="Show who you are to the gateway.", options=(HELP,)),
    Subcommand(
        word="config",
        help="Show the defaults of this notebook, or set some.",
        arguments=(
            Argument(
                field="settings",
                metavar="K=V",
                count="*",
                convert=to_key_value,
                dynamic="settings",
                help="A default and its value.",
            ),
        ),
        options=(HELP,),
    ),
    Subcommand(word="help", help="Show this.", options=(HELP,)),
)

#: What users of other tools write, and what it is called here.
SYNONYMS: dict[str, str] = {
    "--backend": "--device",
    "-b": "--device",
    "--name": "--label",
    "--output": "--out",
    "--async": "--no-wait",
    "--wait": "--timeout",
    "--opt": "--opt-level",
    "--optimization-level": "--opt-level",
    "--repetitions": "--shots",
    "--param": "--bind",
    "--observable": "--expect",
    "--expectation": "--expect",
    "--parameters": "--bind",
    "-h": "--help",
    "jobs": "tasks",
    "job": "status",
    "backends": "devices",
    "backend": "device",
    "kill": "cancel",
    "stop": "cancel",
    "ls": "tasks",
    "results": "result",
    "submit": "run",
}
