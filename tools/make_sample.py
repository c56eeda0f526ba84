"""Make the bundled sample calibration: Qmio's topology with values made up to be like a real device's.

Usage: ``python tools/make_sample.py`` writes ``qmio_jupyter/calibration/samples/qmio.json``; ``--check`` compares.

Every number comes from a seeded generator whose medians and spreads are those publicly known of the device; none is
a measured value of it. What real files have of dirt is put in on purpose, so that everything built on the sample
meets it: see ``DIRT``.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from qmio_jupyter.calibration.checks import CONTROL_FLOW, check
from qmio_jupyter.calibration.form import to_form
from qmio_jupyter.calibration.qmio import DT_S, twice
from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit

OUT = Path(__file__).resolve().parent.parent / "qmio_jupyter" / "calibration" / "samples" / "qmio.json"
SEED = 32
N_QUBITS = 32

#: Control and target of every working echoed cross-resonance gate.
EDGES = (
    (0, 1), (2, 1), (2, 3), (4, 3), (5, 4), (6, 3), (6, 12), (7, 0), (7, 9), (9, 10), (11, 10), (11, 12),
    (13, 21), (14, 11), (14, 18), (15, 8), (15, 16), (18, 17), (18, 19), (20, 19), (22, 21), (22, 31), (23, 20),
    (23, 30), (24, 17), (24, 27), (25, 16), (25, 26), (26, 27), (28, 27), (28, 29), (30, 29), (30, 31),
)  # fmt: skip

#: Dirty values by qubit or edge: what a real file shows on one day or another.
DIRT = {
    "T2 far above 2 T1, with an error bar of minutes": 25,
    "an error bar of hundreds on SX": 17,
    "a readout little better than a coin": 13,
    "a bad SX": 28,
    "an ECR hardly better than noise": (15, 8),
}


def main(argv: list[str]) -> int:
    """Write the sample, or with ``--check`` compare; return the exit code."""
    text = render(make())
    if argv == ["--check"]:
        same = OUT.is_file() and OUT.read_text(encoding="utf-8") == text
        print("the sample is up to date" if same else "run tools/make_sample.py")
        return 0 if same else 1
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(text, encoding="utf-8")
    return 0


def make() -> DeviceRecord:
    """Return the sample's record; the same on every machine."""
    rng = random.Random(SEED)
    qubits = tuple(_qubit(rng, index) for index in range(N_QUBITS))
    gates = [gate for index in range(N_QUBITS) for gate in _one_qubit_gates(rng, index)]
    gates += [_ecr(rng, edge) for edge in EDGES]
    taken = datetime(2026, 1, 15, 12, 0, 2, tzinfo=UTC)
    record = DeviceRecord(
        source="sample of a Qmio-like device (made up)",
        taken_ms=round(taken.timestamp() * 1000),
        dt_s=DT_S,
        qubits=qubits,
        gates=tuple(gates),
        control_flow=tuple(sorted(CONTROL_FLOW)),
    )
    return check(record, "the sample")


def render(record: DeviceRecord) -> str:
    """Return the record in our own form, a qubit or gate to a line."""
    form = to_form(record)
    parts = []
    for key, value in form.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n  ".join(json.dumps(row) for row in value)
            parts.append(f' "{key}": [\n  {rows}\n ]')
        else:
            parts.append(f' "{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _qubit(rng: random.Random, index: int) -> Qubit:
    t1 = _spread(rng, 55e-6, 0.45, 12e-6, 160e-6)
    t2 = min(_spread(rng, 63e-6, 0.45, 20e-6, 170e-6), 2.6 * t1)  # some come out above 2 T1, as fits do
    t1_bar, t2_bar = t1 * rng.uniform(0.05, 0.2), t2 * rng.uniform(0.05, 0.5)
    error = _spread(rng, 0.095, 0.55, 0.04, 0.38)
    if index == DIRT["T2 far above 2 T1, with an error bar of minutes"]:
        t2, t2_bar = 0.41, 150.0
    if index == DIRT["a readout little better than a coin"]:
        error = 0.45
    # A qubit decays while it is read, so 1 is taken for 0 more often than 0 for 1.
    share = rng.uniform(0.25, 0.45)
    return Qubit(
        t1_s=_digits(t1),
        t2_s=_digits(t2),
        frequency_hz=float(round(rng.gauss(4.335e9, 75e6), -5)),
        readout_s=_digits(_spread(rng, 9.2e-6, 0.45, 2.8e-6, 18e-6)),
        prob_meas1_prep0=_digits(2 * error * share),
        prob_meas0_prep1=_digits(2 * error * (1 - share)),
        readout_hz=float(round(rng.uniform(9.62e9, 10.29e9), -6)),
        t1_bar_s=_digits(t1_bar),
        t2_bar_s=_digits(t2_bar),
    )


def _one_qubit_gates(rng: random.Random, index: int) -> list[Gate]:
    on = (index,)
    duration = rng.choices((32e-9, 64e-9, 96e-9, 128e-9), (22, 2, 5, 3))[0]
    error = _spread(rng, 0.0018, 1.1, 8e-5, 0.02)
    bar = _spread(rng, 0.0004, 0.8, 1e-4, 0.01)
    if index == DIRT["a bad SX"]:
        error = 0.17
    if index == DIRT["an error bar of hundreds on SX"]:
        bar = 840.0
    error = _digits(error)
    return [
        Gate(name="sx", qubits=on, duration_s=duration, error=error, error_bar=_digits(bar)),
        Gate(name="x", qubits=on, duration_s=2 * duration, error=_digits(twice(error))),
        Gate(name="rz", qubits=on, duration_s=0.0, error=0.0),
        Gate(name="delay", qubits=on),
        Gate(name="reset", qubits=on),
    ]


def _ecr(rng: random.Random, edge: tuple[int, int]) -> Gate:
    error = _spread(rng, 0.028, 0.8, 0.011, 0.25)
    if edge == DIRT["an ECR hardly better than noise"]:
        error = 0.538
    return Gate(
        name="ecr",
        qubits=edge,
        duration_s=_digits(32e-9 * rng.randint(10, 24)),
        error=_digits(error),
        error_bar=_digits(_spread(rng, 0.0015, 1.8, 4e-4, 0.32)),
    )


def _spread(rng: random.Random, median: float, sigma: float, low: float, high: float) -> float:
    """Return a log-normal number within bounds."""
    return min(max(median * pow(2.718281828, rng.gauss(0.0, sigma)), low), high)


def _digits(value: float) -> float:
    """Return a number as calibrations print it, with five digits."""
    return float(f"{value:.5g}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
