"""Noisy circuits on the emulated devices: end to end against Aer's own noise model, and wide ones by the clock."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from figures import Figure
from loops import as_qpy
from product import Product
from qiskit import QuantumCircuit, transpile
from qiskit.providers import BackendV2, Options
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.client.sync import Client
from qmio_jupyter.emulation import target
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import Item, TaskSpec

SHOTS = 1000
WIDTHS = (16, 20, 24, 28, 30)


class TargetBackend(BackendV2):
    """What `NoiseModel.from_backend` wants of a device: its target."""

    def __init__(self, device: target.Target) -> None:
        super().__init__()
        self._target = device

    @property
    def target(self) -> target.Target:
        """The device's target."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """No limit."""
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, *_: object, **__: object) -> None:
        """Not used: `NoiseModel` only looks."""
        raise NotImplementedError


def ghz(qubits: int, *, turn: float = 0.0) -> QuantumCircuit:
    """Return GHZ on `qubits`; `turn` makes it another circuit with the same counts."""
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.rz(turn, 0)
    circuit.measure_all()
    return circuit


def run(client: Client, device: str, what: Program) -> float:
    """Return the seconds from submit to counts."""
    start = time.perf_counter()
    client.submit(TaskSpec(device=device, items=(Item(program=what.digest, shots=SHOTS),)), [what]).counts()
    return time.perf_counter() - start


def small(product: Product, scale: float) -> list[Figure]:
    """Measure noisy GHZ-5, warm, against the device's whole noise model in Aer as a user writes it."""
    figures = []
    for name, blocks, limit in (("qmio", 5, 1 / 20), ("fez", 3, 1 / 300)):
        backend = TargetBackend(target.build(sample(name)))
        simulator = AerSimulator(noise_model=NoiseModel.from_backend(backend), max_parallel_threads=1)
        circuit = transpile(ghz(5), backend, optimization_level=1, seed_transpiler=0)
        ratios, ours, theirs = [], [], []
        with product.client() as client:
            what = as_qpy(ghz(5))
            run(client, f"fake-{name}", what)
            for _ in range(max(1, int(blocks * scale))):
                ours.append(statistics.median(run(client, f"fake-{name}", what) for _ in range(20)))
                start = time.perf_counter()
                simulator.run(circuit, shots=SHOTS).result().get_counts()
                theirs.append(time.perf_counter() - start)
                ratios.append(ours[-1] / theirs[-1])
            # The same circuit again may find its distribution kept; another angle each time does not.
            others = [as_qpy(ghz(5, turn=0.001 * (index + 1))) for index in range(10)]
            fresh = statistics.median(run(client, f"fake-{name}", other) for other in others)
        detail = {
            "ours_ms": statistics.median(ours) * 1e3,
            "theirs_ms": statistics.median(theirs) * 1e3,
            "ours_new_circuit_ms": fresh * 1e3,
        }
        figures.append(
            Figure(
                name=f"noisy GHZ-5 on fake-{name}, warm / Aer's noise model",
                value=statistics.median(ratios),
                unit="ratio",
                target=limit,
                detail=detail,
            )
        )
    return figures


def cold(product: Product, scale: float) -> list[Figure]:  # noqa: ARG001
    """Measure the first run after a recalibration: the device is warm, its new snapshot has been seen by nobody."""
    figures = []
    for name in ("qmio", "fez"):
        with tempfile.TemporaryDirectory() as directory:
            calibration = Path(directory) / "calibration.json"
            record = sample(name)
            write(record, calibration)
            config = (
                f'[[gateway.agents]]\ndevice = "device"\ndriver = "emulator"\n'
                f'options = {{ calibration = "{calibration}" }}\n'
            )
            with product.another(config, 1) as alone, alone.client() as client:
                run(client, "device", as_qpy(ghz(5)))
                before = client.device("device").snapshot_id
                write(later(record), calibration)
                end = time.monotonic() + 120
                while client.device("device").snapshot_id == before:
                    if time.monotonic() > end:
                        raise TimeoutError("the device did not take its new calibration")
                    time.sleep(0.1)
                seconds = run(client, "device", as_qpy(ghz(5, turn=0.5)))
        figures.append(
            Figure(name=f"first run on a new snapshot, {name}", value=seconds, unit="s", target=1.0)
        )
    return figures


def write(record: DeviceRecord, path: Path) -> None:
    """Write a calibration in our own form, at once."""
    new = path.with_suffix(".new")
    new.write_bytes(to_snapshot(record, "device").data)
    new.replace(path)


def later(record: DeviceRecord) -> DeviceRecord:
    """Return a calibration measured an hour later, every T1 a little longer."""
    qubits = tuple(
        replace(qubit, t1_s=None if qubit.t1_s is None else qubit.t1_s * 1.01) for qubit in record.qubits
    )
    return replace(record, qubits=qubits, taken_ms=record.taken_ms + 3_600_000)


def wide(product: Product, scale: float) -> list[Figure]:
    """Measure noisy GHZ of 16 to 30 qubits, another circuit each time, the slowest width told."""
    figures = []
    widths = WIDTHS if scale >= 1 else WIDTHS[::4]
    for name in ("qmio", "fez"):
        detail: dict[str, float] = {}
        with product.client() as client:
            run(client, f"fake-{name}", as_qpy(ghz(16)))
            for qubits in widths:
                programs = [as_qpy(ghz(qubits, turn=0.001 * (index + 1))) for index in range(3)]
                taken = [run(client, f"fake-{name}", what) for what in programs]
                detail[f"ghz{qubits}_s"] = statistics.median(taken)
        figures.append(
            Figure(
                name=f"noisy GHZ-16 to GHZ-30 on fake-{name}, slowest",
                value=max(detail.values()),
                unit="s",
                target=0.6,
                detail=detail,
            )
        )
    return figures
