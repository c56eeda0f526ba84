"""Where qubits are drawn: Qmio's places, lattices by their rows, anything else tidily."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.samples import is_available, sample
from qmio_jupyter.drawing.chip_layout import Pairs, is_qmio, place


def pairs_of(record: DeviceRecord) -> Pairs:
    found = {(min(gate.qubits), max(gate.qubits)) for gate in record.gates if len(gate.qubits) == 2}
    return tuple(sorted(found))


def least(points: tuple[tuple[float, float], ...]) -> float:
    return min(math.dist(one, other) for one, other in combinations(points, 2))


def crossings(points: tuple[tuple[float, float], ...], pairs: Pairs) -> int:
    """Return how many pairs of couplings cross each other."""

    def side(a: int, b: int, c: int) -> float:
        (ax, ay), (bx, by), (cx, cy) = points[a], points[b], points[c]
        return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)

    return sum(
        side(a, b, c) * side(a, b, d) < -1e-9 and side(c, d, a) * side(c, d, b) < -1e-9
        for (a, b), (c, d) in combinations(pairs, 2)
        if not {a, b} & {c, d}
    )


def test_qmio_has_its_real_places() -> None:
    pairs = pairs_of(sample("qmio"))
    points = place(32, pairs)
    assert len(pairs) == 33
    assert is_qmio(32, pairs)
    # Qubit 0 is in the lowest row, the one below the others; 31 in the highest.
    assert points[0][1] == max(y for _, y in points)
    assert points[31][1] == min(y for _, y in points)
    assert all(math.dist(points[a], points[b]) < 1.2 for a, b in pairs)
    assert least(points) == pytest.approx(1)
    assert crossings(points, pairs) == 0


def test_qmio_with_couplings_missing_is_still_qmio() -> None:
    assert is_qmio(32, ((0, 1), (1, 2)))
    assert not is_qmio(32, ((0, 2),))
    assert not is_qmio(31, ((0, 1),))


@pytest.mark.skipif(not is_available("fez"), reason="qiskit-ibm-runtime is not installed")
def test_a_heavy_hexagon_of_156_qubits_is_its_lattice() -> None:
    pairs = pairs_of(sample("fez"))
    points = place(156, pairs)
    assert len(pairs) == 176
    assert {round(math.dist(points[a], points[b]), 6) for a, b in pairs} == {1.0}
    assert (max(x for x, _ in points), max(y for _, y in points)) == (15, 14)
    assert crossings(points, pairs) == 0


def test_a_square_lattice_is_one() -> None:
    pairs = tuple(
        sorted(
            [(5 * row + at, 5 * row + at + 1) for row in range(4) for at in range(4)]
            + [(5 * row + at, 5 * row + at + 5) for row in range(3) for at in range(5)]
        )
    )
    assert place(20, pairs) == tuple((float(at % 5), float(at // 5)) for at in range(20))


@pytest.mark.parametrize(
    ("count", "pairs"),
    [
        (12, (*((at, at + 1) for at in range(11)), (0, 11))),
        (6, tuple((0, at) for at in range(1, 6))),
        (8, tuple(combinations(range(8), 2))),
        (15, tuple(((at - 1) // 2, at) for at in range(1, 15))),
        (9, ((0, 1), (1, 2), (4, 5), (7, 8))),
    ],
    ids=["ring", "star", "all to all", "tree", "parts"],
)
def test_other_couplings_are_laid_out_without_overlap(count: int, pairs: Pairs) -> None:
    points = place(count, tuple(sorted(pairs)))
    assert len(points) == count
    assert least(points) == pytest.approx(1, abs=1e-3)
    if len(pairs) < count + 1:
        assert crossings(points, pairs) == 0
        assert max(math.dist(points[a], points[b]) for a, b in pairs) < 3


def test_a_long_chain_turns_back() -> None:
    points = place(30, tuple((at, at + 1) for at in range(29)))
    assert max(x for x, _ in points) < 8
    assert all(math.dist(points[at], points[at + 1]) == 1 for at in range(29))


def test_without_couplings_there_is_a_grid() -> None:
    points = place(10, ())
    assert least(points) == 1
    assert max(x for x, _ in points) == 3


def test_no_qubit_and_one_qubit_have_places() -> None:
    assert place(0, ()) == ()
    assert place(1, ()) == ((0, 0),)


def test_very_many_qubits_fall_back_to_a_grid() -> None:
    count = 1500
    pairs = tuple(sorted((at, (at * 7 + 3) % count) for at in range(count) if at < (at * 7 + 3) % count))
    points = place(count, pairs)
    assert least(points) == 1
