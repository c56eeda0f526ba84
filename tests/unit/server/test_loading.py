"""Every Jupyter server loads the extension: it brings nothing along that slows the start."""

from __future__ import annotations

import subprocess
import sys

#: What a server that is never asked anything must not load for us.
HEAVY = ("qiskit", "numpy", "msgspec", "IPython", "ipywidgets", "anywidget", "qmio_jupyter.client")

PROGRAM = f"""
import sys, jupyter_server.serverapp, jupyter_server.extension.application
before = set(sys.modules)
import qmio_jupyter
(point,) = qmio_jupyter._jupyter_server_extension_points()
point["app"]()
brought = set(sys.modules) - before
print(sorted(m for m in brought if m in {HEAVY!r}), point["app"].name, len(brought))
"""


def test_loading_it_brings_neither_the_client_nor_qiskit() -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert shown[:2] == ["[]", "qmio_jupyter"]
    assert int(shown[2]) < 30
