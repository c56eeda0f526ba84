"""Loading into and unloading from IPython. Fast: nothing here connects, or imports Qiskit."""

from __future__ import annotations

from typing import Any

from qmio_jupyter.notebook import walltime
from qmio_jupyter.notebook.completion import matcher_for
from qmio_jupyter.notebook.magics import QpuMagics

_NAME = "qpu"
#: Who warns of the end of this process's Slurm job, by shell.
_watches: dict[int, walltime.Watch] = {}


def keep_empty_cells(lines: list[str]) -> list[str]:
    """Give a lone ``%%qpu`` line a body of one empty line.

    IPython refuses a cell magic without a body by an error that nbmake does not see, and ``%%qpu --help``
    needs no body.
    """
    written = [line for line in lines if line.strip()]
    if len(written) == 1 and written[0].split(maxsplit=1)[0] == "%%qpu":
        return [written[0] if written[0].endswith("\n") else f"{written[0]}\n", "\n"]
    return lines


def load(shell: Any) -> None:
    """Register magics, completion and the input transformer with `shell`. Idempotent."""
    unload(shell)
    shell.register_magics(QpuMagics(shell))
    shell.Completer.custom_matchers.append(matcher_for(shell))
    transformers = shell.input_transformers_cleanup
    at = next((i for i, one in enumerate(transformers) if _named(one) == "cell_magic"), len(transformers))
    transformers.insert(at, keep_empty_cells)
    watch = walltime.watch(shell)
    if watch is not None:
        _watches[id(shell)] = watch


def unload(shell: Any) -> None:
    """Take away what `load` registered, and close the client."""
    from qmio_jupyter.notebook import link

    watch = _watches.pop(id(shell), None)
    if watch is not None:
        watch.stop()
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop(_NAME, None)
    shell.magics_manager.registry.pop(QpuMagics.__name__, None)
    shell.configurables[:] = [one for one in shell.configurables if not isinstance(one, QpuMagics)]
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if getattr(one, "matcher_identifier", "") != _NAME]
    transformers = shell.input_transformers_cleanup
    transformers[:] = [one for one in transformers if one is not keep_empty_cells]
    link.close()


def _named(transformer: Any) -> str:
    return getattr(transformer, "__name__", "")
