"""qmio_jupyter: the best way to use a quantum computer from a notebook at a supercomputing centre."""

from __future__ import annotations

from qmio_jupyter._version import __version__

__all__ = ["__version__"]
