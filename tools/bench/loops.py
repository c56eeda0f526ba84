"""Loops of dependent circuits, many bindings, and Bell: the product, end to end and durable, against Aer in process."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable

import msgspec
import numpy as np
from chain import bare_chain
from figures import Figure, paired
from product import Product, program
from qiskit import QuantumCircuit, qpy, transpile
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator
from qiskit_aer.backends.aer_compiler import assemble_circuits, generate_aer_config

from qmio_jupyter.client.sync import Client
from qmio_jupyter.model.program import QPY, Program
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.model.task import Item, ParameterMatrix, TaskSpec

SHOTS = 1000
ITERATIONS = 200
PARAMETERS = 16
BLOCKS = 5


def ansatz() -> QuantumCircuit:
    """Return the loop's circuit: 4 qubits, 16 parameters, two layers of rotations between two of entanglement."""
    angles = ParameterVector("t", PARAMETERS)
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    for layer in range(2):
        for qubit in range(4):
            circuit.ry(angles[8 * layer + qubit], qubit)
            circuit.rz(angles[8 * layer + 4 + qubit], qubit)
        for pair in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3)):
            circuit.cx(*pair)
        circuit.sx(range(4))
        for pair in ((3, 2), (2, 1), (1, 0)):
            circuit.cx(*pair)
    circuit.measure_all()
    return circuit


def as_qpy(circuit: QuantumCircuit) -> Program:
    """Return a circuit as a program."""
    file = io.BytesIO()
    qpy.dump(circuit, file)
    return program(file.getvalue(), QPY)


def matrix(names: tuple[str, ...], rows: np.ndarray) -> ParameterMatrix:
    """Return bindings, shape (bindings, parameters), as the wire carries them."""
    return ParameterMatrix(names=names, bindings=len(rows), data=rows.astype("<f8").tobytes())


def step(values: np.ndarray, zeros: int) -> np.ndarray:
    """Return the next values: they depend on the counts, so that no iteration can start before the last has ended."""
    return values + 1e-3 * (zeros / SHOTS - 0.5)


def loop(run: Callable[[np.ndarray], int], iterations: int) -> float:
    """Return the seconds of one iteration, on average over a loop of dependent ones."""
    values = np.linspace(0.1, 1.6, PARAMETERS)
    start = time.perf_counter()
    for _ in range(iterations):
        values = step(values, run(values))
    return (time.perf_counter() - start) / iterations


def plain_aer(circuit: QuantumCircuit) -> Callable[[np.ndarray], int]:
    """Return an iteration as a user writes it: transpiled once, then `assign_parameters` and `AerSimulator().run`."""
    simulator = AerSimulator(max_parallel_threads=1)
    transpiled = transpile(circuit, simulator)

    def run(values: np.ndarray) -> int:
        bound = transpiled.assign_parameters(values)
        return int(simulator.run(bound, shots=SHOTS).result().get_counts().get("0000", 0))

    return run


def tuned_aer(circuit: QuantumCircuit) -> Callable[[np.ndarray], int]:
    """Return the fastest iteration Aer allows: assembled once, by its private interface, values as a table."""
    simulator = AerSimulator(method="statevector", max_parallel_threads=1)
    transpiled = transpile(circuit, simulator)
    names = list(transpiled.parameters)
    assembled, maps = assemble_circuits([transpiled])
    for index, one in enumerate(assembled):
        one.circ_id = index

    def run(values: np.ndarray) -> int:
        binds = [{name: [value] for name, value in zip(names, values.tolist(), strict=True)}]
        table = simulator._convert_binds([transpiled], binds, maps)
        config = generate_aer_config([transpiled], simulator.options, shots=SHOTS, parameterizations=table)
        output = simulator._execute_circuits(assembled, None, config)
        return int(output["results"][0]["data"]["counts"].get("0x0", 0))

    return run


def ours_by_parameters(client: Client, circuit: QuantumCircuit) -> Callable[[np.ndarray], int]:
    """Return an iteration through the gateway: the circuit has travelled, parameters only."""
    what = as_qpy(circuit)
    names = tuple(parameter.name for parameter in circuit.parameters)

    def run(values: np.ndarray) -> int:
        item = Item(program=what.digest, shots=SHOTS, parameters=matrix(names, values[None, :]))
        return _zeros(client, TaskSpec(device="ideal", items=(item,)), what)

    return run


def ours_whole(client: Client, circuit: QuantumCircuit) -> Callable[[np.ndarray], int]:
    """Return an iteration through the gateway: another circuit each time, written, sent and read."""

    def run(values: np.ndarray) -> int:
        what = as_qpy(circuit.assign_parameters(values))
        return _zeros(client, TaskSpec(device="ideal", items=(Item(program=what.digest, shots=SHOTS),)), what)

    return run


def _zeros(client: Client, spec: TaskSpec, what: Program) -> int:
    return dict(outcomes(client.submit(spec, [what]).result().items[0])).get("0000", 0)


def dependent(product: Product, scale: float, suffix: str = "") -> list[Figure]:
    """Measure loops of 200 dependent circuits against the same loop in this process."""
    circuit = ansatz()
    iterations = max(10, int(ITERATIONS * scale))
    with product.client() as client, bare_chain(product.home) as chain:
        loops = {
            "chain": chain,
            "plain": plain_aer(circuit),
            "tuned": tuned_aer(circuit),
            "parameters": ours_by_parameters(client, circuit),
            "whole": ours_whole(client, circuit),
        }
        for run in loops.values():
            loop(run, 10)
        taken: dict[str, list[float]] = {name: [] for name in loops}
        for block in range(BLOCKS):
            names = list(loops) if block % 2 == 0 else list(reversed(loops))
            for name in names:
                taken[name].append(loop(loops[name], iterations))
    micro = {f"{name}_us": statistics.median(values) * 1e6 for name, values in taken.items()}

    def ratio(name: str, ours: str, theirs: str, target: float | None = None) -> Figure:
        value = statistics.median(a / b for a, b in zip(taken[ours], taken[theirs], strict=True))
        return Figure(name=name + suffix, value=value, unit="ratio", target=target, detail=micro)

    return [
        ratio("loop, parameters only / Aer in process", "parameters", "plain", 1.1),
        ratio("loop, whole circuit each time / Aer in process", "whole", "plain", 1.35),
        ratio("loop, parameters only / best-tuned Aer in process", "parameters", "tuned", 2.2),
        ratio("loop, bare chain that decides nothing / Aer in process", "chain", "plain"),
        ratio("loop, parameters only / bare chain that decides nothing", "parameters", "chain"),
    ]


def bindings(product: Product, scale: float, suffix: str = "") -> list[Figure]:
    """Measure 100 bindings in one task against `parameter_binds` of Aer, one run of 100."""
    circuit = ansatz()
    what = as_qpy(circuit)
    names = tuple(parameter.name for parameter in circuit.parameters)
    simulator = AerSimulator(max_parallel_threads=1)
    transpiled = transpile(circuit, simulator)
    generator = np.random.default_rng(7)
    with product.client() as client:

        def ours() -> object:
            rows = generator.uniform(0, 3, (100, PARAMETERS))
            item = Item(program=what.digest, shots=SHOTS, parameters=matrix(names, rows))
            result = client.submit(TaskSpec(device="ideal", items=(item,)), [what]).result().items[0]
            return [outcomes(result, row) for row in range(100)]

        def theirs() -> object:
            rows = generator.uniform(0, 3, (100, PARAMETERS))
            columns = dict(zip(transpiled.parameters, rows.T.tolist(), strict=True))
            return simulator.run(transpiled, shots=SHOTS, parameter_binds=[columns]).result().get_counts()

        ours(), theirs()
        figure = paired(
            "100 bindings in one task / Aer's parameter_binds", ours, theirs, max(1, int(3 * scale)), 1.1
        )
    return [msgspec.structs.replace(figure, name=figure.name + suffix)]


def bell_sampler(product: Product, scale: float, suffix: str = "") -> list[Figure]:
    """Measure Bell, submit to counts, against the local mode of `qiskit_ibm_runtime.SamplerV2`."""
    from qiskit_ibm_runtime import SamplerV2

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    what = as_qpy(circuit)
    spec = TaskSpec(device="ideal", items=(Item(program=what.digest, shots=SHOTS),))
    sampler = SamplerV2(mode=AerSimulator(max_parallel_threads=1))
    with product.client() as client:

        def ours() -> object:
            return client.submit(spec, [what]).counts()

        def theirs() -> object:
            return sampler.run([circuit], shots=SHOTS).result()[0].data.meas.get_counts()

        ours(), theirs()
        name = "Bell on ideal, end to end / SamplerV2 in process" + suffix
        return [paired(name, ours, theirs, max(5, int(40 * scale)), 0.5)]
