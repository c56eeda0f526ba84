"""Keeps other packages' Qiskit plugins out of a worker.

To make one pass manager Qiskit loads every transpiler plugin that any installed package offers: with
``qiskit-ibm-runtime`` that alone takes a second, and whatever else is installed could change what is compiled. We name
no plugin but Qiskit's own, so no other package's is loaded.
"""

from __future__ import annotations

import logging
import sys
from importlib.metadata import entry_points
from typing import Final

#: Whose plugins are loaded.
_OURS: Final = frozenset({"qiskit", "qiskit_aer"})
#: What Qiskit's groups of plugins begin with.
_GROUPS: Final = ("qiskit.transpiler.", "qiskit.synthesis", "qiskit.unitary_synthesis")


def keep_out_plugins() -> frozenset[str]:
    """Refuse the import of packages that offer plugins to Qiskit, in this process; return their names.

    What is already imported stays. Stevedore, which loads plugins, passes over those that cannot be imported, and
    says so for each: here that is no news.
    """
    found = entry_points()
    offering = {
        point.module.partition(".")[0]
        for group in found.groups
        if group.startswith(_GROUPS)
        for point in found.select(group=group)
    }
    refused = frozenset(offering - _OURS - sys.modules.keys())
    for name in refused:
        # The import system's own way to refuse one.
        sys.modules[name] = None  # type: ignore[assignment]
    if refused:
        logging.getLogger("stevedore.extension").setLevel(logging.CRITICAL)
    return refused
