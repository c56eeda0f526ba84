"""What the commands share: options, the client, and how things are printed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import msgspec

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.model.task import TaskView

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A finite number above 0: ``nan`` passes every comparison, and ``inf`` fits no clock."""

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds, or say what is expected."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no finite number of seconds.", param, ctx)
        return seconds


SECONDS = Seconds()
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
timeout_option = click.option(
    "--timeout",
    type=SECONDS,
    default=None,
    metavar="SECONDS",
    help="Give up after so long (default: client.timeout_s of the settings).",
)


@contextmanager
def client_for(*, start: bool | None = None, timeout_s: float | None = None) -> Iterator[Client]:
    """Give a connected client; what the user has to be told goes to standard error."""
    client = connect(on_note=note, start=start, timeout_s=timeout_s)
    try:
        yield client
    finally:
        client.close()


def note(text: str) -> None:
    """Tell the user something that is no result: one line on standard error."""
    click.echo(" ".join(text.split()), err=True)


def emit(document: object) -> None:
    """Print one JSON document."""
    data = msgspec.json.encode(document)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    click.echo(data)


def plain(value: object) -> Any:
    """Return structs as dicts, bytes as base64: what :func:`emit` prints of them."""
    return msgspec.to_builtins(value)


def task_document(view: TaskView) -> dict[str, Any]:
    """Return a task as every command prints it: the wire's view, whole."""
    return dict(plain(view))
