"""A user's process for the kill campaign: submits small tasks, waits for them, and writes down what it was told.

``python -m qmio_jupyter.testing.kill_client JOURNAL ALLOWED TASKS DEVICE...``: started again on the same journal
after a kill, it goes on where the journal ends, as a script with a notebook of its ids would. It begins no more
tasks than the number in the file ALLOWED says, so that the campaign's kills always find work under way.

The journal has one line per fact, each one `write` to an append-only file, so that a kill loses nothing that was
written:

``planned ID NUMBER``   before the first submit of task NUMBER (its spec follows from NUMBER);
``accepted ID``         the gateway has acknowledged it;
``ended ID STATE CODE`` the gateway has said how it ended (CODE is ``-`` unless it failed);
``result ID SHOTS``     the sum of the counts of its result, of a completed one.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, TaskHandle, mint_task_id
from qmio_jupyter.errors import DeadlineError, GatewayError, QmioError, StoreError
from qmio_jupyter.model.ids import TaskId, digest
from qmio_jupyter.model.program import OCTETS, QASM3, Program
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskOptions, TaskSpec, TaskState

Value = TypeVar("Value")

#: Tasks of one client that are in flight together.
WINDOW = 12
#: Deadline of one request, and of one task from its submission, s.
REQUEST_S = 30.0
TASK_S = 300.0
#: How often it looks whether it may begin another task, s.
LOOK_S = 0.02

_BELL = b"""OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""
#: Measured in the middle, so that every shot is simulated by itself: keeps a worker busy for some 50 ms.
_STEPS = b"""OPENQASM 3.0;
include "stdgates.inc";
qubit[8] q;
bit[8] m;
bit[8] c;
h q;
cx q[0], q[1];
cx q[2], q[3];
m = measure q;
reset q;
h q;
cx q[4], q[5];
c = measure q;
"""


class Fact(msgspec.Struct):
    """What a journal says of one task."""

    number: int
    accepted: bool = False
    state: str = ""
    code: str = ""
    shots: int | None = None


def read_journal(path: Path) -> dict[TaskId, Fact]:
    """Return the facts of a journal by task; a last line cut short by a kill does not count."""
    facts: dict[TaskId, Fact] = {}
    text = path.read_text() if path.exists() else ""
    for line in text.split("\n")[:-1]:
        match line.split(" "):
            case ["planned", task_id, number]:
                facts[task_id] = Fact(number=int(number))
            case ["accepted", task_id]:
                facts[task_id].accepted = True
            case ["ended", task_id, state, code]:
                facts[task_id].state, facts[task_id].code = state, code
            case ["result", task_id, shots]:
                facts[task_id].shots = int(shots)
            case words:
                raise ValueError(f"{path} has a line of unknown kind: {words}")
    return facts


def task_of(number: int, devices: Sequence[str]) -> tuple[TaskSpec, Program]:
    """Return the spec and program of task `number`: a Bell state, or an echo of some milliseconds.

    A task may be run again many times, so that only a defect, not the number of kills, can fail it.
    """
    device = devices[number % len(devices)]
    if device == "ideal":
        text = (_BELL, _STEPS)[number // len(devices) % 2]
        program = Program(digest=digest(text), media_type=QASM3, data=text)
        options = TaskOptions(max_attempts=100)
    else:
        data = b"echo %d" % (number % 20)
        program = Program(digest=digest(data), media_type=OCTETS, data=data)
        options = TaskOptions(max_attempts=100, device_options=(("partials", "2"), ("seconds", "0.03")))
    return build_spec([program], device=device, shots=shots_of(number), options=options), program


def shots_of(number: int) -> int:
    """Return the shots of task `number`."""
    return 1000 + number % 7


def count(result: TaskResult) -> int:
    """Return the sum of all counts of a result."""
    return sum(
        int.from_bytes(binding.counts[at : at + 8], "little")
        for item in result.items
        for binding in item.bindings
        for at in range(0, len(binding.counts), 8)
    )


class _User:
    """One run of the process."""

    def __init__(self, journal: Path, allowed: Path, tasks: int, devices: Sequence[str]) -> None:
        self._allowed = allowed
        self._devices = devices
        self._tasks = tasks
        self._facts = read_journal(journal)
        _cut_torn_line(journal)
        self._file = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._client = Client()
        self._flying: deque[tuple[TaskId, TaskHandle]] = deque()

    def run(self) -> None:
        """Bring every task to its end."""
        try:
            for task_id, fact in list(self._facts.items()):
                if not fact.state:
                    self._submit(task_id, fact)
                elif fact.state == TaskState.COMPLETED and fact.shots is None:
                    self._count(task_id)
            for number in range(len(self._facts), self._tasks):
                while number >= int(self._allowed.read_text()):
                    if self._flying:
                        self._finish()
                    else:
                        time.sleep(LOOK_S)
                task_id = mint_task_id()
                self._note("planned", task_id, str(number))
                self._submit(task_id, Fact(number=number))
            while self._flying:
                self._finish()
        finally:
            self._client.close()

    def _submit(self, task_id: TaskId, fact: Fact) -> None:
        if fact.accepted:
            handle = self._patiently(lambda: self._client.attach(task_id, REQUEST_S))
        else:
            # It may have been accepted before the kill: the same id and spec make the second submit harmless.
            spec, program = task_of(fact.number, self._devices)
            handle = self._patiently(
                lambda: self._client.submit(spec, [program], task_id=task_id, timeout_s=REQUEST_S)
            )
            self._note("accepted", task_id)
        self._flying.append((task_id, handle))
        if len(self._flying) >= WINDOW:
            self._finish()

    def _finish(self) -> None:
        task_id, handle = self._flying.popleft()
        view = handle.wait(TASK_S)
        self._note("ended", task_id, view.state.value, view.error.code if view.error else "-")
        if view.state is TaskState.COMPLETED:
            self._count(task_id)

    def _count(self, task_id: TaskId) -> None:
        result = self._patiently(lambda: self._client.result(task_id, timeout_s=REQUEST_S))
        self._note("result", task_id, str(count(result)))

    def _patiently(self, ask: Callable[[], Value]) -> Value:
        """Ask again where an error says that it may help, a few times."""
        for left in reversed(range(5)):
            try:
                return ask()
            except (GatewayError, StoreError, DeadlineError) as error:
                if not left or not error.retryable:
                    raise
                print(f"asked again after {error.one_line()}", file=sys.stderr, flush=True)
        raise AssertionError("unreachable")

    def _note(self, *words: str) -> None:
        os.write(self._file, (" ".join(words) + "\n").encode())


def _cut_torn_line(journal: Path) -> None:
    """Drop an unfinished last line, so that the next one starts at its beginning."""
    if journal.exists():
        whole = journal.read_bytes()
        os.truncate(journal, whole.rfind(b"\n") + 1)


def main(argv: list[str]) -> int:
    """Run a user; the exit status is 0 once every task has ended."""
    try:
        _User(Path(argv[1]), Path(argv[2]), int(argv[3]), argv[4:]).run()
    except QmioError as error:
        print(error.one_line(), file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
