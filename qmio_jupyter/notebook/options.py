"""The table of the ``%%qpu`` and ``%qpu`` grammar: parsing, help, completion, reference all read it. Pure.

Released names never change their meaning; new ones may be added.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from qmio_jupyter.client.spec import CURRENT
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import check_name
from qmio_jupyter.model.task import MAX_SHOTS, StalePolicy, TaskState

LANGUAGES = ("qasm2", "qasm3", "python")
PACES = ("real", "fast")
_LARGEST_SEED = 2**63 - 1
#: Characters of a label.
LONGEST_LABEL = 200
_MOST_TASKS = 1000


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


# ---------------------------------------------------------------- what values are accepted


def _whole(text: str, low: int, high: int | None) -> int:
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"a whole number is expected, not {text!r}") from None
    if number < low or (high is not None and number > high):
        limits = f"{low} or more" if high is None else f"{low} to {high}"
        raise ValueError(f"{limits} is expected, not {number}")
    return number


def _shots(text: str) -> int:
    return _whole(text, 1, MAX_SHOTS)


def _seed(text: str) -> int:
    return _whole(text, 0, _LARGEST_SEED)


def _opt_level(text: str) -> int:
    return _whole(text, 0, 3)


def _page(text: str) -> int:
    return _whole(text, 1, _MOST_TASKS)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"a number of seconds is expected, not {text!r}") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"seconds above 0 are expected, not {text}")
    return seconds


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError(f"{text!r} is no name of a Python variable")
    return text


def _device(text: str) -> str:
    try:
        return check_name(text, "device")
    except QmioError as error:
        raise ValueError(error.message) from None


def _label(text: str) -> str:
    if len(text) > LONGEST_LABEL:
        raise ValueError(f"at most {LONGEST_LABEL} characters are accepted, not {len(text)}")
    return text


def _pair(text: str, what: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise ValueError(f"{what} is expected, not {text!r}")
    return name.strip(), value.strip()


def _bind(text: str) -> tuple[str, str]:
    name, expression = _pair(text, "NAME=EXPR")
    try:
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"{expression!r} is no Python expression ({reason})") from None
    return name, expression


def _key_value(text: str) -> tuple[str, str]:
    return _pair(text, "K=V")


def _layout(text: str) -> tuple[int, ...]:
    """Return the physical qubits, the empty tuple for ``auto``."""
    if text == "auto":
        return ()
    try:
        qubits = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"auto, or qubits like 0,1,4 are expected, not {text!r}") from None
    if min(qubits) < 0 or len(set(qubits)) < len(qubits):
        raise ValueError(f"distinct qubits from 0 up are expected, not {text!r}")
    return qubits


def _snapshot(text: str) -> str:
    if text != CURRENT and re.fullmatch(r"[0-9a-f]{6,64}", text) is None:
        raise ValueError(f"6 to 64 hexadecimal digits, or {CURRENT}, are expected, not {text!r}")
    return text


def _one_of(*allowed: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)} is expected, not {text!r}")
        return text

    return convert


def _task(text: str) -> str:
    if re.fullmatch(r"(?:t-)?[0-9a-hjkmnp-tv-z]{1,26}|last", text) is None:
        raise ValueError(f"a task id, its beginning, or last is expected, not {text!r}")
    return text


# ---------------------------------------------------------------- the options

HELP = Option(field="help", flags=("--help",), help="Show this and do nothing.")
OUT = Option(
    field="out",
    flags=("-o", "--out"),
    metavar="VAR",
    convert=_variable,
    help="Put the task's handle into this variable.",
)
SNAPSHOT = Option(
    field="snapshot",
    flags=("--snapshot",),
    metavar="ID",
    convert=_snapshot,
    help="Bind this snapshot instead of the device's current one.",
)

#: Options of ``%%qpu`` and of ``%qpu run``.
RUN_OPTIONS: tuple[Option, ...] = (
    Option(
        field="device",
        flags=("-d", "--device"),
        metavar="NAME",
        convert=_device,
        dynamic="devices",
        help="Device to run on; else the configured one.",
    ),
    Option(
        field="shots",
        flags=("-n", "--shots"),
        metavar="N",
        convert=_shots,
        help="Shots per circuit and binding; else the configured number.",
    ),
    OUT,
    Option(
        field="bind",
        flags=("--bind",),
        metavar="NAME=EXPR",
        convert=_bind,
        repeated=True,
        help="Value of a parameter: a Python expression, a number or a sequence of numbers (one run each).",
    ),
    Option(
        field="label",
        flags=("--label",),
        metavar="TEXT",
        convert=_label,
        help="A word of yours to find the task by.",
    ),
    Option(
        field="seed",
        flags=("--seed",),
        metavar="N",
        convert=_seed,
        help="Seed of simulated devices; else derived from the task's id.",
    ),
    Option(field="ideal", flags=("--ideal",), help="Without noise, on a simulated device that has some."),
    Option(
        field="opt_level",
        flags=("--opt-level",),
        metavar="0-3",
        convert=_opt_level,
        choices=("0", "1", "2", "3"),
        help="Effort of the transpiler.",
    ),
    Option(
        field="layout",
        flags=("--layout",),
        metavar="auto|I,J,..",
        convert=_layout,
        choices=("auto",),
        help="Physical qubits of the program's qubits, in order.",
    ),
    Option(
        field="lang",
        flags=("--lang",),
        metavar="qasm2|qasm3|python",
        convert=_one_of(*LANGUAGES),
        choices=LANGUAGES,
        help="Language of the body; else told by its OPENQASM header.",
    ),
    Option(
        field="pace",
        flags=("--pace",),
        metavar="real|fast",
        convert=_one_of(*PACES),
        choices=PACES,
        help="Whether an emulated device takes a real one's time.",
    ),
    Option(field="memory", flags=("--memory",), help="Keep the outcome of every single shot: TASK.memory()."),
    Option(
        field="timeout",
        flags=("-t", "--timeout"),
        metavar="S",
        convert=_seconds,
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
        convert=_snapshot,
        help="The program is in the device's own gates, on its own qubits, compiled for this snapshot.",
    ),
    Option(
        field="stale",
        flags=("--stale",),
        metavar="warn|recompile|refuse",
        convert=_one_of(*StalePolicy),
        choices=tuple(StalePolicy),
        help="If a compiled program's snapshot is no longer the current one.",
    ),
    Option(
        field="device_option",
        flags=("--device-option",),
        metavar="K=V",
        convert=_key_value,
        repeated=True,
        help="An option only this device knows.",
    ),
    Option(field="quiet", flags=("-q", "--quiet"), help="Show nothing but errors."),
    HELP,
)

# ---------------------------------------------------------------- the subcommands

_TASK = Argument(
    field="task", metavar="ID", convert=_task, dynamic="tasks", help="A task's id, or its beginning."
)
_ATTACHED = Argument(
    field="task",
    metavar="ID|last",
    convert=_task,
    choices=("last",),
    dynamic="tasks",
    help="A task's id, its beginning, or last.",
)
_DEVICE = Argument(
    field="device", metavar="NAME", count="?", convert=_device, dynamic="devices", help="A device."
)


def _cancelled(text: str) -> str:
    return text if text == "all" else _task(text)


SUBCOMMANDS: tuple[Subcommand, ...] = (
    Subcommand(
        word="run",
        help="Run the circuit, circuits or OpenQASM text that a variable holds.",
        arguments=(
            Argument(
                field="variable",
                metavar="VAR",
                convert=_variable,
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
                convert=_page,
                help="How many at most (20).",
            ),
            Option(
                field="state",
                flags=("--state",),
                metavar="S",
                convert=_one_of(*TaskState),
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
        options=(OUT, HELP),
    ),
    Subcommand(
        word="cancel",
        help="Cancel a task, or all that are not finished.",
        arguments=(
            Argument(
                field="task",
                metavar="ID|all",
                convert=_cancelled,
                choices=("all",),
                dynamic="tasks",
                help="A task's id, its beginning, or all.",
            ),
        ),
        options=(HELP,),
    ),
    Subcommand(
        word="result", help="Show the result of a finished task.", arguments=(_TASK,), options=(OUT, HELP)
    ),
    Subcommand(word="devices", help="List the devices you may use.", options=(HELP,)),
    Subcommand(word="device", help="Show one device in full.", arguments=(_DEVICE,), options=(HELP,)),
    Subcommand(
        word="calibration",
        help="Show a device's current calibration.",
        arguments=(_DEVICE,),
        options=(HELP,),
    ),
    Subcommand(
        word="compare",
        help="Put the counts of several tasks side by side.",
        arguments=(
            Argument(
                field="tasks",
                metavar="ID",
                count="2+",
                convert=_task,
                dynamic="tasks",
                help="Two or more tasks' ids.",
            ),
        ),
        options=(HELP,),
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
                convert=_key_value,
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
