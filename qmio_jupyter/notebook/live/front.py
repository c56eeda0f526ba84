"""Whether the front end that runs a cell shows widgets: two signs, and without both of them none is made.

Kernels cannot ask: a comm that nobody listens to looks like one that is heard (nbclient even answers). So
JupyterLab and Notebook 7 are known by what only they write into every request to run a cell, and their server by the
word of its extension (`config.front_end`). VS Code, Colab, nbclient, papermill and consoles lack the one or the other.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from qmio_jupyter.config.front_end import widgets_are_offered

#: What JupyterLab's notebook adds to the metadata of a request: ids of cells that were deleted, mostly none.
_OF_LAB = "deletedCells"


def takes_widgets(shell: Any) -> bool:
    """Return whether the cell that runs now came from JupyterLab or Notebook 7 with our server extension."""
    return widgets_are_offered(os.environ) and _OF_LAB in _metadata(shell)


def has_anywidget() -> bool:
    """Return whether a widget could be made here."""
    return find_spec("anywidget") is not None


def _metadata(shell: Any) -> dict[str, Any]:
    """Return the metadata of the request that is served, empty where it cannot be had."""
    try:
        metadata = shell.kernel.get_parent("shell").get("metadata")
    except Exception:  # noqa: BLE001 - another kernel than ipykernel may do as it likes; then there is no widget
        return {}
    return metadata if isinstance(metadata, dict) else {}
