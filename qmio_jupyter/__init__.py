"""qmio_jupyter: the best way to use a quantum computer from a notebook at a supercomputing centre.

In a notebook ``%load_ext qmio_jupyter`` brings the ``%%qpu`` and ``%qpu`` magics; each has a function twin
here (``qmio_jupyter.run``, ``.tasks``, ``.attach``, ...). Importing the package loads none of them: they are
found by name when they are first used, so that a daemon, which imports this package too, never carries them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from qmio_jupyter._version import __version__

#: The function twins; they live in ``notebook.api`` and are loaded at first use.
_TWINS = (
    "attach",
    "cancel",
    "compare",
    "configure",
    "device",
    "devices",
    "replay",
    "result",
    "run",
    "session",
    "snapshot",
    "status",
    "tasks",
    "verify",
)

__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def __getattr__(name: str) -> Any:
    if name in _TWINS:
        return getattr(import_module("qmio_jupyter.notebook.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_TWINS})


def load_ipython_extension(ipython: Any) -> None:
    """Bring the magics: what ``%load_ext qmio_jupyter`` calls."""
    import_module("qmio_jupyter.notebook.extension").load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take them away: what ``%unload_ext qmio_jupyter`` calls."""
    import_module("qmio_jupyter.notebook.extension").unload(ipython)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Name the extension's application: what a Jupyter server asks of the packages enabled in it."""
    module = "qmio_jupyter.server.extension"
    return [{"module": module, "app": import_module(module).QmioServer}]
