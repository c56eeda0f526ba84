"""Where a worker's microseconds go: each step of a job on its own, without processes, sockets or a gateway.

Run it as ``python tools/bench/worker_steps.py``, on a machine that has nothing else to do. Figures are medians of
some hundred rounds; docs/explanation/performance.md quotes them. Set OMP_NUM_THREADS=1, as workers do.
"""

from __future__ import annotations

import io
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np
from qiskit import qpy
from qiskit.circuit.library import efficient_su2
from qiskit_aer import AerSimulator

from qmio_jupyter.drivers.aer import binding, selfcheck
from qmio_jupyter.drivers.aer.devices import Devices
from qmio_jupyter.drivers.aer.direct import Engine
from qmio_jupyter.drivers.aer.exact import Exact
from qmio_jupyter.drivers.aer.planner import Planner
from qmio_jupyter.drivers.aer.runner import Runner
from qmio_jupyter.drivers.aer.sampling import Sampler, distribution
from qmio_jupyter.drivers.workers.messages import Done, FromWorker, Job
from qmio_jupyter.model.program import QPY
from qmio_jupyter.ports import Run
from qmio_jupyter.testing import runs

ROUNDS = 300
SHOTS = 1000
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")


def median_us(step: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median microseconds of a step, after a few rounds that do not count."""
    taken = []
    for _ in range(rounds + 5):
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[5:]) * 1e6


def main() -> int:
    """Print every step's median."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    planner = Planner(256, 3 * 2**30, Engine(is_direct=selfcheck.agrees_in_child()), Devices())

    def go(run: Run) -> object:
        return Runner(run, planner, lambda _: None, lambda _: None, seconds=600).run()

    circuit = efficient_su2(4, reps=1, entanglement="linear")
    circuit.measure_all()
    names = [parameter.name for parameter in circuit.parameters]
    file = io.BytesIO()
    qpy.dump(circuit, file)
    program = runs.program(file.getvalue(), QPY)
    random = np.random.default_rng(1)

    def angles(rows: int) -> np.ndarray:
        return random.uniform(-3, 3, (rows, len(names)))

    def fresh(rows: int) -> Run:
        return runs.run(program, shots=SHOTS, parameters=runs.matrix(names, angles(rows).tolist()))

    def whole() -> Run:
        data = io.BytesIO()
        qpy.dump(circuit.assign_parameters(angles(1)[0]), data)
        return runs.run(runs.program(data.getvalue(), QPY), shots=SHOTS)

    aer = AerSimulator(max_parallel_threads=1)
    table = dict(zip(circuit.parameters, angles(100).T.tolist(), strict=True))
    bell = runs.run(BELL, shots=SHOTS)
    one = fresh(1)
    plan = planner.plan(one, one.spec.items[0], 600)
    assert isinstance(plan.way, Exact)
    way = plan.way
    rows = binding.rows(plan.compiled.names, one.spec.items[0].parameters)
    (probabilities,) = way._assembled.probabilities(rows)
    source = distribution(probabilities)
    sampler = Sampler(source, way._outcomes, (1, 0, 0), keeps_memory=False)
    packed = msgspec.msgpack.encode(Job(run=one, cpu_s=1.0))
    decoder, done = msgspec.msgpack.Decoder(Job), Done(result=go(one))  # type: ignore[arg-type]
    answer = msgspec.msgpack.encode(done)
    bound = (aer.run(circuit.assign_parameters(angles(1)[0]), shots=SHOTS) for _ in itertools.count())
    ones, hundreds, wholes = (
        iter([make() for _ in range(count)])
        for make, count in (
            (lambda: fresh(1), ROUNDS + 5),
            (lambda: fresh(100), 35),
            (whole, ROUNDS + 5),
        )
    )
    for name, value in {
        "decode the job": median_us(lambda: decoder.decode(packed)),
        "look the plan up": median_us(lambda: planner.plan(one, one.spec.items[0], 600)),
        "bindings to a matrix": median_us(
            lambda: binding.rows(plan.compiled.names, one.spec.items[0].parameters)
        ),
        "probabilities: Aer's core, and its table": median_us(lambda: way._assembled.probabilities(rows)),
        "probabilities added up": median_us(lambda: distribution(probabilities)),
        "a stream of its own": median_us(
            lambda: Sampler(source, way._outcomes, (1, 0, 0), keeps_memory=False)
        ),
        "1000 shots": median_us(lambda: sampler.draw(SHOTS)),
        "columns": median_us(sampler.columns),
        "encode the answer": median_us(lambda: msgspec.msgpack.encode(done)),
        "(agent) decode the answer": median_us(lambda: msgspec.msgpack.decode(answer, type=FromWorker)),
        "ALL: Bell, warm": median_us(lambda: go(bell)),
        "ALL: other parameters each time": median_us(lambda: go(next(ones))),
        "ALL: another circuit each time": median_us(lambda: go(next(wholes))),
        "ALL: one of 100 bindings": median_us(lambda: go(next(hundreds)), 30) / 100,
        "Aer: other parameters, run() and get_counts()": median_us(lambda: next(bound).result().get_counts()),
        "Aer: one of 100 parameter_binds": median_us(
            lambda: aer.run(circuit, parameter_binds=[table], shots=SHOTS).result().get_counts(), 15
        )
        / 100,
    }.items():
        sys.stdout.write(f"{name:48} {value:9.1f} us\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
