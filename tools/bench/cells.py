"""Cells in a real kernel, from execute_request to idle: what a user waits for, and what watching costs."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from figures import Figure, paired
from jupyter_client.manager import KernelManager
from product import BELL, Product

WAIT_S = 60.0
TEXT = f"%%qpu -d ideal -n 1000\n{BELL.decode()}"
CIRCUIT = "%%qpu -d ideal -n 1000\nbell"
#: The plain way: a cell magic that runs the circuit on Aer and shows its counts, its simulator made once.
PLAIN = """
from IPython.core.magic import register_cell_magic
from qiskit import QuantumCircuit, qasm3
from qiskit_aer import AerSimulator

simulator = AerSimulator(max_parallel_threads=1)
bell = qasm3.loads('''%s''')

@register_cell_magic
def aer(line, cell):
    circuit = qasm3.loads(cell) if cell.startswith("OPENQASM") else eval(cell, globals())
    display(simulator.run(circuit, shots=1000).result().get_counts())
""".replace("%s", BELL.decode())
#: What the notebook of JupyterLab says of itself in every request, which makes the view a widget.
LAB = {"deletedCells": [], "recordTiming": False, "cellId": "a", "trusted": True}
#: 256 outcomes, in a device's own time: about nine seconds.
WIDE = """%%qpu -d fake-qmio -n 30000 --pace real
OPENQASM 3.0;
include "stdgates.inc";
qubit[8] q;
bit[8] c;
h q;
c = measure q;
"""


class Kernel:
    """A kernel with a client that waits for the end of each cell."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env=environ)
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=WAIT_S)

    def run(self, code: str, metadata: dict[str, Any] | None = None) -> int:
        """Run a cell; return how many updates it sent."""
        session, content = self._client.session, {"code": code, "silent": False, "store_history": True}
        content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        request = session.msg("execute_request", content, metadata=metadata or {})
        self._client.shell_channel.send(request)
        updates = 0
        while True:
            message = self._client.get_iopub_msg(timeout=WAIT_S)
            if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                continue
            kind = message["msg_type"]
            if kind == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            updates += kind in ("comm_msg", "update_display_data")
            if kind == "status" and message["content"]["execution_state"] == "idle":
                self._client.get_shell_msg(timeout=WAIT_S)
                return updates

    def cpu_s(self) -> float:
        """Return the processor time of the kernel so far."""
        times = psutil.Process(self._manager.provisioner.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Shut it down."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


@contextmanager
def kernel(home: Path, **extra: str) -> Iterator[Kernel]:
    """Yield a kernel whose gateway is the one of `home`, with the extension loaded."""
    with tempfile.TemporaryDirectory() as profile:
        environ = os.environ | {"QMIO_HOME": str(home), "IPYTHONDIR": profile, **extra}
        made = Kernel(environ)
        try:
            made.run("%load_ext qmio_jupyter")
            yield made
        finally:
            made.close()


def bell_cells(product: Product, scale: float) -> list[Figure]:
    """Measure a Bell cell against the same circuit run by Aer in a plain cell magic, in one kernel."""
    times = max(3, int(20 * scale))
    with kernel(product.home, QMIO_CONFIG=str(product.home / "config.toml")) as running:
        running.run(PLAIN)
        cells = {"OpenQASM 3": (TEXT, f"%%aer\n{BELL.decode()}"), "a circuit": (CIRCUIT, "%%aer\nbell")}
        for pair in cells.values():
            for cell in pair:
                running.run(cell)
        return [
            paired(
                f"Bell cell in a kernel, {name} / Aer in a plain cell magic",
                lambda ours=ours: running.run(ours),
                lambda theirs=theirs: running.run(theirs),
                times,
                1.2,
            )
            for name, (ours, theirs) in cells.items()
        ]


def first_cell(product: Product, scale: float) -> list[Figure]:
    """Measure a notebook's first cell, which starts the gateway with its agents, from nothing."""
    taken = []
    for _ in range(max(2, int(5 * scale))):
        home = Path(tempfile.mkdtemp(dir=product.home.parent))
        (home / "config.toml").write_text("")
        with kernel(home, QMIO_CONFIG=str(home / "config.toml")) as running:
            start = time.perf_counter()
            running.run(TEXT)
            taken.append(time.perf_counter() - start)
            running.run("import qmio_jupyter.notebook.link as link; link.client().stop_gateway()")
    return [
        Figure(
            name="first cell, gateway and agents started",
            value=statistics.median(taken),
            unit="s",
            target=3.0,
            detail={"slowest_s": max(taken)},
        )
    ]


def live_view(product: Product, scale: float) -> list[Figure]:
    """Measure what ten updates a second of a histogram of 200 and more outcomes take of a core in the kernel."""
    config = str(product.home / "config.toml")
    figures = []
    with kernel(product.home, QMIO_CONFIG=config, QMIO_WIDGETS="1") as running:
        for name, metadata in (("widget", LAB), ("page", {})):
            running.run(WIDE.replace("-n 30000", "-n 1000"), metadata)
            shares, rates = [], []
            for _ in range(max(1, int(3 * scale))):
                began, used = time.perf_counter(), running.cpu_s()
                updates = running.run(WIDE, metadata)
                wall = time.perf_counter() - began
                shares.append((running.cpu_s() - used) / wall)
                rates.append(updates / wall)
            figures.append(
                Figure(
                    name=f"live histogram of 256 outcomes, {name}: share of a core",
                    value=statistics.median(shares),
                    unit="",
                    target=0.05,
                    detail={"updates_per_s": statistics.median(rates)},
                )
            )
    return figures
