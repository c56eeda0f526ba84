"""The figures: each function measures one thing against its floor, in alternating blocks of one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable

import floors
import msgspec
from product import BELL, BELL_QASM3, ECHO, Product, spec

from qmio_jupyter.client.sync import Client

BLOCKS = 9


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `target` is met when the value is not above it (`best` "low") or not below it ("high")."""

    name: str
    value: float
    unit: str
    target: float | None = None
    best: str = "low"
    detail: dict[str, float] = {}

    @property
    def met(self) -> bool | None:
        """True, False, or None where there is no target."""
        if self.target is None:
            return None
        return self.value <= self.target if self.best == "low" else self.value >= self.target

    def target_text(self) -> str:
        """Return the target as text."""
        return "" if self.target is None else f"{'<=' if self.best == 'low' else '>='} {self.target:g}"


def paired(
    name: str, product: Callable[[], object], floor: Callable[[], object], times: int, target: float | None
) -> Figure:
    """Return the median ratio product / floor over alternating blocks."""
    ratios, ours, theirs = [], [], []
    for block in range(BLOCKS):
        order = (product, floor) if block % 2 == 0 else (floor, product)
        taken = {work: floors.seconds(work, times) for work in order}
        ours.append(taken[product])
        theirs.append(taken[floor])
        ratios.append(taken[product] / taken[floor])
    detail = {"product_us": statistics.median(ours) * 1e6, "floor_us": statistics.median(theirs) * 1e6}
    return Figure(name=name, value=statistics.median(ratios), unit="ratio", target=target, detail=detail)


def ping(product: Product, scale: float) -> list[Figure]:
    """Measure a ping through the client and the gateway against a bare CURVE echo."""
    with product.client() as client, floors.echo(curve=True) as bare:
        times = max(20, int(300 * scale))
        return [paired("ping / bare ZeroMQ echo", client.ping, lambda: bare(b"ping"), times, 4.0)]


def submit(product: Product, scale: float) -> list[Figure]:
    """Measure submit to durable acceptance against fsync + a bare CURVE round trip."""
    task = spec("echo", ECHO)
    data = bytes(512)
    with (
        product.client() as client,
        floors.echo(curve=True) as bare,
        floors.durable_append(product.home) as append,
    ):

        def floor() -> None:
            append(data)
            bare(data)

        figure = paired(
            "submit to durable acceptance / (fsync + bare round trip)",
            lambda: client.submit(task, [ECHO]),
            floor,
            max(10, int(100 * scale)),
            4.0,
        )
    return [figure]


def _keep_busy(client: Client, tasks: int, window: int) -> None:
    """Run `tasks` echo tasks with `window` of them in flight."""
    task = spec("echo", ECHO)
    flying = []
    for _ in range(tasks):
        flying.append(client.submit(task, [ECHO]))
        if len(flying) >= window:
            flying.pop(0).wait(60)
    for handle in flying:
        handle.wait(60)


def throughput(product: Product, scale: float) -> list[Figure]:
    """Measure sustained durable echo tasks per second: 8 clients, 16 in flight each."""
    each = max(20, int(250 * scale))
    clients = [product.client() for _ in range(8)]
    threads = [threading.Thread(target=_keep_busy, args=(client, each, 16)) for client in clients]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    for client in clients:
        client.close()
    rate = 8 * each / seconds
    with floors.durable_append(product.home) as append:
        fsync = floors.seconds(lambda: append(bytes(512)), 100)
    return [
        Figure(
            name="durable echo tasks, 8 clients x 16 in flight",
            value=rate,
            unit="tasks/s",
            target=300,
            best="high",
            detail={"tasks": 8 * each, "seconds": seconds, "fsync_us": fsync * 1e6},
        )
    ]


def bell(product: Product, scale: float) -> list[Figure]:
    """Measure a Bell task on `ideal`, submit to counts, against Aer in this process (one thread)."""
    from qiskit import qasm3
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(max_parallel_threads=1)
    circuit = qasm3.loads(BELL.decode())
    task = spec("ideal", BELL_QASM3)
    with product.client() as client:

        def ours() -> object:
            return client.submit(task, [BELL_QASM3]).counts()

        def theirs() -> object:
            return simulator.run(circuit, shots=1000).result().get_counts()

        ours(), theirs()
        return [
            paired("Bell on ideal, end to end / Aer in process", ours, theirs, max(5, int(40 * scale)), 6.0)
        ]


def load_ext(product: Product, scale: float) -> list[Figure]:
    """Measure `%load_ext qmio_jupyter` beyond IPython's own start, in fresh processes."""
    start_only = "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance()"
    loading = start_only + "; s.run_line_magic('load_ext', 'qmio_jupyter')"
    env = os.environ | {"QMIO_HOME": str(product.home)}

    def once(code: str) -> float:
        with tempfile.TemporaryDirectory() as profile:
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code],
                env=env | {"IPYTHONDIR": profile},
                check=True,
                capture_output=True,
            )
            return time.perf_counter() - start

    once(loading)
    times = max(3, int(11 * scale))
    pairs = [(once(loading), once(start_only)) for _ in range(times)]
    extra = statistics.median(ours - theirs for ours, theirs in pairs)
    detail = {"ipython_s": statistics.median(theirs for _, theirs in pairs)}
    return [Figure(name="%load_ext beyond IPython", value=extra, unit="s", target=0.25, detail=detail)]


FIGURES: dict[str, Callable[[Product, float], list[Figure]]] = {
    "ping": ping,
    "submit": submit,
    "throughput": throughput,
    "bell": bell,
    "load_ext": load_ext,
}
