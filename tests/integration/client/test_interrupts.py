"""An interrupt may come at any moment of a wait: the client goes on, and nothing of it is locked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.errors import DeadlineError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import TaskOptions, TaskState
from qmio_jupyter.testing.home import Home, wait_until

pytestmark = pytest.mark.timeout(180)

PROGRAM = Program(digest=digest(b"echo this"), media_type=OCTETS, data=b"echo this")
#: Where an interrupt may find a thread that asks or waits: our code, and what its locks and queues are made of.
FILES = ("client/sync.py", "client/sync_handle.py", "client/news.py", "threading.py", "_base.py", "queue.py")


class Interrupt:
    """A profile function that interrupts at the `number`-th moment of `FILES` at which the interpreter would.

    It heeds a signal when it enters a function, and when a call into C has returned (and at the end of a loop's turn).
    """

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_return") and frame.f_code.co_filename.endswith(FILES):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def interrupted_everywhere(act: Callable[[], object], then: Callable[[], object]) -> int:
    """Interrupt `act` at its first, second, ... moment, each time followed by `then`; return how many there are."""
    for number in range(1, 1000):
        interrupt = Interrupt(number)
        outer = sys.getprofile()
        sys.setprofile(interrupt)
        try:
            act()
        except KeyboardInterrupt:
            pass
        except DeadlineError:
            return number
        else:
            if interrupt.left > 0:
                return number
        finally:
            sys.setprofile(outer)
        then()
    raise AssertionError("it has no end")


@pytest.fixture
def client(shared: Home) -> Iterator[Client]:
    with connect(environ=shared.environ, start=False) as found:
        yield found


@pytest.fixture
def handle(client: Client) -> Iterator[TaskHandle]:
    """A task that runs for a minute and says so ten times a second."""
    options = TaskOptions(device_options=(("partials", "600"), ("seconds", "60")))
    made = client.submit(build_spec([PROGRAM], device="echo", shots=1000, options=options), [PROGRAM])
    wait_until(lambda: made.state is TaskState.RUNNING, "it runs")
    yield made
    made.cancel(20)


def test_a_wait_may_be_interrupted_anywhere(client: Client, handle: TaskHandle) -> None:
    def news_comes() -> None:
        seen: Any = handle._record.version
        wait_until(lambda: handle._record.version != seen, "the client's I/O goes on", 10)

    assert interrupted_everywhere(lambda: handle.wait(0.25), news_comes) > 10
    assert len(client.changed._listening) == 0


def test_a_question_may_be_interrupted_anywhere(client: Client) -> None:
    assert interrupted_everywhere(lambda: client.ping(10), lambda: client.ping(10)) > 10
    wait_until(lambda: not client._pending, "no answer is waited for any more")
