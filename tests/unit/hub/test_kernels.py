"""Which kernels are given the magics."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec

from qmio_jupyter.hub.kernels import EXTENSION, MagicKernelManager


@pytest.mark.parametrize(
    ("argv", "gets"),
    [
        (["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"], True),
        (
            ["/home/me/env/bin/python", "-Xfrozen_modules=off", "-m", "ipykernel", "-f", "{connection_file}"],
            True,
        ),
        (["R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"], False),
        (["/opt/julia", "-m", "IJulia"], False),
    ],
)
def test_ipython_and_no_other(argv: list[str], gets: bool, tmp_path: Path) -> None:
    manager = MagicKernelManager(connection_file=str(tmp_path / "kernel.json"))
    manager._kernel_spec = KernelSpec(argv=argv)
    manager._launch_args = {}
    made = manager.format_kernel_cmd()
    assert made[0] == (sys.executable if argv[0] == "python" else argv[0])
    assert (made[-1] == EXTENSION) == gets
    assert str(tmp_path / "kernel.json") in made or "{connection_file}" not in argv
