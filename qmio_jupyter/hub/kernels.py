"""Kernels of a server that the hub started: the magics are there before the first cell, in every IPython kernel.

The Jupyter server is told to use this class. A kernel of the user's own environment gets the magics too, if that
environment has this package; where it has not, IPython says so in its log and starts all the same. Kernels of other
languages are left as they are.
"""

from __future__ import annotations

import itertools

from jupyter_server.services.kernels.kernelmanager import ServerKernelManager

#: What makes IPython load the extension when it starts.
EXTENSION = "--IPKernelApp.extra_extensions=qmio_jupyter"
#: Modules that run an IPython kernel.
_IPYTHON = ("ipykernel_launcher", "ipykernel")


class MagicKernelManager(ServerKernelManager):
    """Starts IPython kernels with our magics."""

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        """Return the kernel's argument list."""
        argv: list[str] = super().format_kernel_cmd(extra_arguments)
        return [*argv, EXTENSION] if is_ipython(argv) else argv


def is_ipython(argv: list[str]) -> bool:
    """Return whether a kernel's argument list runs IPython's own kernel."""
    return any(first == "-m" and second in _IPYTHON for first, second in itertools.pairwise(argv))
