"""Pictures of every kind, easy and hard ones, for whoever wants to see or to measure them all."""

from __future__ import annotations

import math
import random

from qmio_jupyter.calibration.samples import is_available, sample
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.drawing.chip import QUANTITIES, Chip, ChipEdge, ChipQubit, chip_map, chip_of
from qmio_jupyter.drawing.chip_layout import place
from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.lines import Line, line_plot
from qmio_jupyter.drawing.multiples import histograms
from qmio_jupyter.drawing.overlay import Series, overlay
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.timeline import timeline
from qmio_jupyter.model.task import Stamp

#: A name that would do harm wherever text is not text.
ODD = "<script>alert(1)</script>&\"'\x00\u202e שלום " + "long " * 40
_START = 1_768_478_402_000


def gallery() -> dict[str, Drawing]:
    """Return the pictures by name; the same ones every time."""
    return {
        **_histograms(),
        **_overlays(),
        **_chips(),
        **_timelines(),
        **_plots(),
        **_multiples(),
    }


def noisy(shots: int, bits: int, flip: float, seed: int) -> list[tuple[str, int]]:
    """Return counts of a GHZ state each of whose bits is read wrongly with probability `flip`."""
    chance = random.Random(seed)
    counts: dict[str, int] = {}
    for _ in range(shots):
        side = chance.random() < 0.5
        outcome = "".join("01"[side ^ (chance.random() < flip)] for _ in range(bits))
        counts[outcome] = counts.get(outcome, 0) + 1
    return sorted(counts.items())


def _histograms() -> dict[str, Drawing]:
    chance = random.Random(3)
    many = [(f"{key:08b}", chance.randint(1, 200)) for key in range(200)]
    wide = [
        (f"{chance.getrandbits(64):064b} {chance.getrandbits(6):06b}", chance.randint(1, 90))
        for _ in range(300)
    ]
    return {
        "histogram-bell": histogram([("00", 503), ("01", 12), ("10", 9), ("11", 476)]),
        "histogram-partial": histogram([("00", 103), ("11", 97)], asked=1000),
        "histogram-ghz": histogram(noisy(1000, 5, 0.05, 1), sort="value"),
        "histogram-registers": histogram([("000 01", 66), ("001 01", 75), ("010 00", 25)]),
        "histogram-many": histogram(many, asked=100_000),
        "histogram-wide": histogram(wide),
        "histogram-narrow": histogram(many, width=320),
        "histogram-empty": histogram([], asked=1000),
        "histogram-odd": histogram([(ODD, 4), ("x" * 200, 7), ("", 2)]),
        "histogram-large": histogram([("0", 10**9), ("1", 10**15)], asked=10**16),
    }


def _overlays() -> dict[str, Drawing]:
    ideal = Series("ideal", probabilities=[("000", 0.5), ("111", 0.5)], is_ideal=True)
    three = [Series(f"on day {at}", pairs=noisy(1000, 3, 0.02 + 0.03 * at, at)) for at in range(3)]
    six = [Series(f"task {at}", pairs=noisy(900, 5, 0.01 + 0.01 * at, at)) for at in range(6)]
    return {
        "overlay-ideal": overlay([*three, ideal], reference=3),
        "overlay-two": overlay(three[:2]),
        "overlay-six": overlay(six, reference=0, height=320),
        "overlay-narrow": overlay([Series(ODD, pairs=noisy(99, 3, 0.1, 9)), ideal], reference=1, width=320),
    }


def _chips() -> dict[str, Drawing]:
    qmio = chip_of(to_snapshot(sample("qmio"), "fake-qmio"))
    ring = tuple(sorted([*((at, at + 1) for at in range(8)), (0, 8)]))
    points = place(9, ring)
    small = Chip(
        device=ODD,
        taken_ms=_START,
        qubits=tuple(
            ChipQubit(
                index=at,
                x=x,
                y=y,
                values={} if at == 4 else {"t1_s": 1e-6 if at == 1 else 5e-5 + at * 1e-6},
                dead=at == 7,
            )
            for at, (x, y) in enumerate(points)
        ),
        edges=tuple(
            ChipEdge(a=a, b=b, gate="cz", values={"error": 0.4 if a == 2 else 0.01 + a * 1e-4}, dead=a == 6)
            for a, b in ring
        ),
    )
    found = {f"chip-qmio-{name}": chip_map(qmio, name) for name in QUANTITIES}
    found |= {"chip-narrow": chip_map(qmio, "readout", width=320), "chip-marks": chip_map(small, width=420)}
    if is_available("fez"):
        fez = chip_of(to_snapshot(sample("fez"), "fake-fez"))
        found |= {"chip-fez": chip_map(fez, "t1"), "chip-fez-wide": chip_map(fez, "readout", width=900)}
    return found


def _timelines() -> dict[str, Drawing]:
    def stamp(stage: str, after_ms: int, seconds: float | None = None) -> Stamp:
        return Stamp(stage=stage, at_ms=_START + after_ms, seconds=seconds)

    queued = [stamp("accepted", 0), stamp("queued", 0)]
    done = [
        *queued,
        stamp("claimed", 8200),
        stamp("compiled", 12_900, 0.412),
        stamp("on_device", 12_900, 3.9),
        stamp("measured", 12_900, 0.02),
        stamp("recorded", 12_930),
    ]
    again = [*queued, stamp("claimed", 60_000), stamp("requeued", 190_000), stamp("claimed", 400_000)]
    return {
        "timeline-done": timeline(done),
        "timeline-waiting": timeline(queued, now_ms=_START + 12_300),
        "timeline-failed": timeline([*again, stamp("failed", 460_000)], width=420),
        "timeline-narrow": timeline(done, width=320),
        "timeline-hours": timeline([*queued, stamp("claimed", 40_000_000)], now_ms=_START + 60_000_000),
    }


def _plots() -> dict[str, Drawing]:
    chance = random.Random(2)
    xs = [at * math.tau / 20 for at in range(21)]
    measured = [0.92 * math.cos(x) + chance.gauss(0, 0.03) for x in xs]
    six = [Line(f"series {at}", [math.cos(x + at) * 0.9**at for x in xs]) for at in range(6)]
    many = [chance.gauss(0, 1) for _ in range(5000)]
    return {
        "lines-sweep": line_plot(
            xs,
            [
                Line("⟨ZZ⟩ on fake-qmio", measured, [0.03] * len(xs)),
                Line("ideal", list(map(math.cos, xs)), is_ideal=True),
            ],
            x_label="theta (rad)",
            y_label="expectation value",
            is_angle=True,
        ),
        "lines-six": line_plot(xs, six, x_label="theta"),
        "lines-narrow": line_plot(
            xs, [Line("", measured)], x_label="phi", y_label="⟨Z⟩", width=320, height=220
        ),
        "lines-many": line_plot(range(5000), [Line("noise", many)], x_label="shot"),
        "lines-odd": line_plot([0, 1], [Line(ODD, [1e-9, 2e-9])], x_label=ODD, y_label=ODD, width=320),
    }


def _multiples() -> dict[str, Drawing]:
    circuits = [(f"GHZ of {bits}", noisy(500, bits, 0.04, bits)) for bits in range(1, 7)]
    sweep = [(f"theta = {at}", noisy(200, 2, at / 60, at)) for at in range(30)]
    return {
        "multiples-circuits": histograms(circuits, asked=1000),
        "multiples-sweep": histograms(sweep, width=900),
        "multiples-narrow": histograms([(ODD, circuits[2][1]), ("empty", [])], width=320),
    }
