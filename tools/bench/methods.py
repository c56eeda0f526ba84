"""Predicted over measured seconds of every simulation method, on random circuits of the sample device.

Usage: ``python tools/bench/methods.py [--seed N] [--most SECONDS] [--only METHOD]``. One line per circuit and method,
then the quantiles per method. Measured is processor time of the run alone, so other processes hardly matter;
predicted leaves out the preparation. What is predicted to take longer than ``--most`` is not run.
The constants of ``qmio_jupyter/emulation/cost.py`` come from this.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import defaultdict

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.emulation import baking, cost, unravelling
from qmio_jupyter.emulation.cost import Estimate
from qmio_jupyter.emulation.frames import Frames
from qmio_jupyter.emulation.noise import NoiseBook
from qmio_jupyter.emulation.survey import Facts, survey

RECORD = sample("qmio")
BOOK = NoiseBook(RECORD)


def random_circuit(
    n: int, depth: int, random: np.random.Generator, *, is_clifford: bool, is_branching: bool
) -> QuantumCircuit:
    """Return layers of single-qubit rotations and two-qubit gates on a connected part of the device."""
    near = defaultdict(set)
    for first, second in RECORD.couplings:
        near[first].add(second)
        near[second].add(first)
    part = [int(random.integers(RECORD.n_qubits))]
    while len(part) < n:
        edge = sorted({far for qubit in part for far in near[qubit]} - set(part))
        part.append(int(random.choice(edge)))
    pairs = [pair for pair in RECORD.couplings if set(pair) <= set(part)]
    circuit = QuantumCircuit(RECORD.n_qubits, n + 1)
    for layer in range(depth):
        for qubit in sorted(part):
            for _ in range(2):
                turn = random.integers(4) if is_clifford else 4 * random.random()
                circuit.rz(float(turn) * math.pi / 2, qubit)
                circuit.sx(qubit)
        taken: set[int] = set()
        for place in random.permutation(len(pairs)):
            if taken.isdisjoint(pairs[place]):
                taken.update(pairs[place])
                circuit.ecr(*pairs[place])
        if is_branching and layer == depth // 2:
            circuit.measure(part[0], n)
    for clbit, qubit in enumerate(sorted(part)):
        circuit.measure(qubit, clbit)
    return circuit


def measured(circuit: QuantumCircuit, facts: Facts, estimate: Estimate, shots: int) -> float:
    """Return the processor seconds of one run in the way of an estimate."""
    order = [facts.active[index] for index in estimate.order] or None
    book = BOOK if estimate.form != "ideal" else None
    if estimate.framed:
        frames = Frames(circuit, book)
        began = time.process_time()
        for start in range(0, shots, 4000):
            frames.sample(min(4000, shots - start), np.random.default_rng(start))
        return time.process_time() - began
    if estimate.form in ("baked", "ideal"):
        baked = baking.bake(circuit, book, order)
        made, noise = baked.circuit, baked.readout_model()
    else:
        make = unravelling.clifford if estimate.form == "twirled" else unravelling.unravel
        unravelled = make(circuit, BOOK, order)
        made, noise = unravelled.circuit, unravelled.noise_model
    simulator = AerSimulator(method=estimate.method, noise_model=noise, max_parallel_threads=1)
    began = time.process_time()
    result = simulator.run(made, shots=shots, seed_simulator=1).result()
    assert result.success, result.status
    return time.process_time() - began


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--circuits", type=int, default=60)
    parser.add_argument("--most", type=float, default=3.0)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    speed = cost.host_speed()
    print(f"this machine: {speed:.2f} times the one of the constants")
    ratios = defaultdict(list)
    for _ in range(options.circuits):
        n, depth = int(random.integers(2, 33)), int(2 ** random.uniform(0, 6))
        is_clifford, is_branching = bool(random.random() < 0.3), bool(random.random() < 0.25)
        shots = int(10 ** random.uniform(1, 4))
        circuit = random_circuit(n, depth, random, is_clifford=is_clifford, is_branching=is_branching)
        facts = survey(circuit)
        for noisy in (True, False):
            for estimate in cost.scaled(cost.estimates(facts, noisy=noisy), speed):
                predicted = estimate.seconds(shots) - estimate.once_s
                name = f"{estimate.method} {estimate.form}{' framed' if estimate.framed else ''}"
                name += " branching" if facts.is_branching else ""
                if predicted > options.most or options.only not in name or estimate.memory_bytes > 2**30:
                    continue
                took = measured(circuit, facts, estimate, shots)
                ratios[name].append(predicted / took)
                print(
                    f"{name:45s} n {n:2d} depth {depth:2d} shots {shots:5d} predicted {predicted:8.4f}"
                    f" took {took:8.4f} ratio {predicted / took:6.2f} {estimate.detail}",
                    flush=True,
                )
    print(f"\n{'predicted / measured':45s} runs    min    10 %  median   90 %    max")
    for name, values in sorted(ratios.items()):
        shown = "".join(f"{value:8.2f}" for value in np.quantile(values, (0, 0.1, 0.5, 0.9, 1)))
        print(f"{name:45s} {len(values):4d}{shown}")


if __name__ == "__main__":
    main()
