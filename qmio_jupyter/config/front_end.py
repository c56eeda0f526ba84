"""A word from a Jupyter server to the kernels it starts: what its pages can show.

The server extension says it through the environment, which kernels inherit. It is the only honest source: the kernel's
own environment may be another one than the server's, so what is installed there says nothing about the pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

#: Set to ``1`` by a server whose pages have anywidget, and our route to cancel a task.
WIDGETS = "QMIO_WIDGETS"
#: The extensions of JupyterLab that a widget needs.
NEEDED = ("@jupyter-widgets/jupyterlab-manager", "anywidget")


def has_widgets(directories: Iterable[str]) -> bool:
    """Return whether JupyterLab finds what a widget needs in these ``labextensions`` directories."""
    found = [Path(directory) for directory in directories]
    return all(any((path / name / "package.json").is_file() for path in found) for name in NEEDED)


def offer_widgets(environ: MutableMapping[str, str]) -> None:
    """Say that the pages of this server show our widgets; what the user has set stays."""
    environ.setdefault(WIDGETS, "1")


def widgets_are_offered(environ: Mapping[str, str]) -> bool:
    """Return whether the server that started this process said so."""
    return environ.get(WIDGETS) == "1"
