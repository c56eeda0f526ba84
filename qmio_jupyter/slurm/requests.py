"""What a job asks for, as arguments of ``sbatch``: typed and checked; each is one word that starts with its option."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from qmio_jupyter.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
#: Licences and generic resources: names with types and counts, between commas.
_LIST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@=,/+-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class JobRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A batch job. Empty or None: not asked for, so the site's default.

    Raises
    ------
    UsageError
        From `arguments`, naming the field whose value is not of its kind.
    """

    name: str
    partition: str = ""
    account: str = ""
    qos: str = ""
    reservation: str = ""
    nodes: int | None = None
    tasks: int | None = None
    cpus_per_task: int | None = None
    #: MiB per node.
    memory_mb: int | None = None
    #: As ``gpu:a100:1``.
    gres: str = ""
    #: As ``qpu_fake-qmio:1``.
    licences: str = ""
    #: Minutes.
    limit_min: int | None = None
    #: File for its output; ``/dev/null`` throws it away.
    output: str = ""
    #: Its working directory.
    directory: str = ""
    #: Names of variables it is given of the environment that sbatch runs in; None: Slurm's own choice, which is all.
    export: tuple[str, ...] | None = None
    #: Whether Slurm may put it back into the queue; None: as the site has it.
    requeue: bool | None = None
    comment: str = ""

    def arguments(self) -> list[str]:
        """Return the arguments for sbatch."""
        return [argument for argument in self._arguments() if argument]

    def _arguments(self) -> Iterator[str]:
        yield f"--job-name={_matching(_NAME, self.name, 'name')}"
        for option in ("partition", "account", "qos", "reservation"):
            value = getattr(self, option)
            if value:
                yield f"--{option}={_matching(_NAME, value, option)}"
        for option, field in (("nodes", "nodes"), ("ntasks", "tasks"), ("cpus-per-task", "cpus_per_task")):
            yield _counted(option, getattr(self, field), field)
        yield _counted("mem", self.memory_mb, "memory_mb", "M")
        yield _counted("time", self.limit_min, "limit_min")
        for option, field in (("gres", "gres"), ("licenses", "licences")):
            value = getattr(self, field)
            if value:
                yield f"--{option}={_matching(_LIST, value, field)}"
        for option, field in (("output", "output"), ("chdir", "directory"), ("comment", "comment")):
            value = getattr(self, field)
            if value:
                yield f"--{option}={_one_line(value, field)}"
        if self.export is not None:
            names = [_matching(_VARIABLE, name, "export") for name in self.export]
            yield f"--export={','.join(names) or 'NIL'}"
        if self.requeue is not None:
            yield "--requeue" if self.requeue else "--no-requeue"


def job_name(text: str) -> str:
    """Return `text` if it is a name by which jobs can be found and cancelled.

    Raises
    ------
    UsageError
        If it is empty, or could be taken for an option or several names.
    """
    return _matching(_NAME, text, "name")


def _matching(pattern: re.Pattern[str], text: str, field: str) -> str:
    if pattern.fullmatch(text) is None or len(text) > 1024:
        raise UsageError(
            f"{text[:60]!r} is no {field} for a Slurm job", hint="Use letters, digits, '.', '_', '-'."
        )
    return text


def _one_line(text: str, field: str) -> str:
    if any(sign in text for sign in "\0\n\r"):
        raise UsageError(f"the {field} of a Slurm job has more than one line", hint="Use one line.")
    return text


def _counted(option: str, value: int | None, field: str, unit: str = "") -> str:
    if value is None:
        return ""
    if value < 1:
        raise UsageError(
            f"{field} of a Slurm job must be at least 1, not {value}", hint="Ask for one or more."
        )
    return f"--{option}={value}{unit}"
