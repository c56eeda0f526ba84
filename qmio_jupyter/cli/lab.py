"""``jupyter qmio lab``: JupyterLab with a gateway, and nothing left of either when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from qmio_jupyter.cli.shared import client_for, note
from qmio_jupyter.cli.stopping import running, stop
from qmio_jupyter.config.places import places
from qmio_jupyter.errors import GatewayError, QmioError

#: The notebook that is opened, if it is there.
QUICKSTART = Path("notebooks/quickstart.ipynb")
#: How long JupyterLab may take to end its kernels and itself.
_SERVER_S = 20.0
#: How long the gateway may.
_GATEWAY_S = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """A signal asked us to end."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def command(args: tuple[str, ...]) -> int:
    """Open JupyterLab on the quick-start notebook, with a gateway.

    ARGS go to jupyter lab, as in: jupyter qmio lab --no-browser --port 8899. Ctrl-C stops the server, its
    kernels, and the gateway with its agents, unless the gateway ran before.
    """
    found = places()
    ran_before = running(found) is not None
    server: subprocess.Popen[bytes] | None = None
    code = 0
    with _signals_raise():
        try:
            with client_for(start=True) as client:
                client.gateway()
            if ran_before:
                note("Using the gateway that runs already; it goes on after JupyterLab has ended.")
            server = subprocess.Popen(_argv(args), stdin=subprocess.DEVNULL, start_new_session=True)
            code = server.wait()
        except _Stopped:
            code = 0
        finally:
            _ignore_signals()
            if server is not None:
                _end_server(server)
            if not ran_before:
                _end_gateway()
    return code if code >= 0 else 128 - code


def _argv(args: tuple[str, ...]) -> list[str]:
    argv = [sys.executable, "-m", "jupyterlab", *args]
    if QUICKSTART.exists() and not any(word.endswith(".ipynb") for word in args):
        argv.insert(3, str(QUICKSTART))
    if os.geteuid() == 0 and "--allow-root" not in args:
        note("You are root: JupyterLab is told to allow that.")
        argv.append("--allow-root")
    return argv


def _end_server(server: subprocess.Popen[bytes]) -> None:
    """End JupyterLab, which ends its kernels; kill it and its group if it does not."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(_SERVER_S)
        except subprocess.TimeoutExpired:
            note("JupyterLab did not end by itself and is killed.")
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(_SERVER_S)


def _end_gateway() -> None:
    try:
        stop(places(), _GATEWAY_S, force=True)
    except (QmioError, GatewayError) as error:
        note(error.one_line())


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn the signals that end us into an exception, once; the previous handlers are put back."""

    def stopped(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise _Stopped

    before = {number: signal.signal(number, stopped) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    """Let nothing interrupt the cleaning up; it has deadlines of its own."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
