"""Chip maps: what is read of a snapshot, coloured, marked, hovered, and told in a table."""

from __future__ import annotations

import msgspec
import pytest

from qmio_jupyter.calibration.samples import is_available, sample
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.drawing.chip import QUANTITIES, Chip, ChipEdge, ChipQubit, chip_map, chip_of, table
from qmio_jupyter.drawing.chip_scale import scale_of
from qmio_jupyter.drawing.chip_values import figure, outlying
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import digest
from qmio_jupyter.testing.pictures import SVG, keys, parsed, texts

QMIO = chip_of(to_snapshot(sample("qmio"), "fake-qmio"))


def chip(values: list[float], *, dead: tuple[int, ...] = (), edges: tuple[ChipEdge, ...] = ()) -> Chip:
    return Chip(
        device="made up",
        qubits=tuple(
            ChipQubit(index=at, x=at, y=0, values={"t1_s": value}, dead=at in dead)
            for at, value in enumerate(values)
        ),
        edges=edges,
    )


def drawn(root, key: str):
    return next(one for one in root.iter(f"{SVG}g") if one.get("data-key") == key)


def test_a_snapshot_becomes_a_chip() -> None:
    assert (QMIO.device, len(QMIO.qubits), len(QMIO.edges)) == ("fake-qmio", 32, 33)
    first = QMIO.qubits[0]
    assert first.values["t1_s"] == 7.2466e-05
    assert first.bars["t1_s"] == 6.9183e-06
    assert first.values["readout_error"] == pytest.approx((0.021604 + 0.058396) / 2)
    edge = next(one for one in QMIO.edges if {one.a, one.b} == {1, 2})
    assert (edge.a, edge.b, edge.gate, edge.is_directed) == (2, 1, "ecr", True)
    assert edge.values == {"error": 0.012328, "duration_s": 7.68e-07}
    assert edge.bars == {"error": 0.0025233}


@pytest.mark.skipif(not is_available("fez"), reason="qiskit-ibm-runtime is not installed")
def test_dead_gates_of_fez_are_dead_couplings() -> None:
    fez = chip_of(to_snapshot(sample("fez"), "fake-fez"))
    assert (len(fez.qubits), len(fez.edges)) == (156, 176)
    assert sum(edge.dead for edge in fez.edges) == 7
    assert not any(edge.is_directed for edge in fez.edges)
    drawing = chip_map(fez, "readout")
    assert len(drawing.spots) == 156 + 176
    assert "dead: q" in drawing.alt
    assert len(drawing.svg) < 200_000
    parsed(drawing)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_has_a_map(quantity: str) -> None:
    drawing = chip_map(QMIO, quantity)
    root = parsed(drawing)
    assert sorted(keys(root)) == sorted(spot.key for spot in drawing.spots)
    assert drawing.spots[0].key == "q0"
    assert {QUANTITIES[quantity].title, "ECR error", "fake-qmio"} <= set(texts(root))


def test_a_spot_says_value_unit_error_and_date() -> None:
    spots = {spot.key: spot.text for spot in chip_map(QMIO, "t1").spots}
    assert spots["q0"].startswith(
        "qubit 0: T1 72.5 µs ± 6.9 µs, T2 72.9 µs ± 33 µs, readout error 4.00 %, SX error"
    )
    assert spots["q0"].endswith("; measured 2026-01-15 12:00 UTC")
    assert spots["q1-q2"] == "qubits 2 → 1: ECR, error 1.23 % ± 0.25 %, 768 ns; measured 2026-01-15 12:00 UTC"


def test_worse_is_lighter_whether_high_or_low_is_better() -> None:
    times = scale_of([(value, False) for value in (10.0, 20.0, 30.0)], QUANTITIES["t1"])
    errors = scale_of([(value, False) for value in (0.1, 0.2, 0.3)], QUANTITIES["sx"])
    assert [times.part(value) for value in (30.0, 20.0, 10.0)] == [0, 0.5, 1]
    assert [errors.part(value) for value in (0.1, 0.2, 0.3)] == pytest.approx([0, 0.5, 1])


def test_outlying_is_beyond_a_fence() -> None:
    values = [10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
    assert outlying(values, "low") == pytest.approx(11.75 - 1.5 * 3.5)
    assert outlying(values, "high") == pytest.approx(15.25 + 1.5 * 3.5)
    assert outlying(values, "high", 3) == pytest.approx(15.25 + 3 * 3.5)
    assert outlying(values[:7], "high") is None
    assert outlying([1.0] * 9, "high") is None
    assert outlying(values, "") is None


@pytest.mark.parametrize("name", ["t1", "sx"])
def test_much_worse_is_outlying_and_better_only_where_it_cannot_be_true(name: str) -> None:
    quantity = QUANTITIES[name]
    sign = 1 if quantity.better == "high" else -1
    values = [
        100 + sign * value for value in (10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 3.0, 27.0, 90.0)
    ]
    scale = scale_of([(value, False) for value in values], quantity)
    assert [value for value in values if scale.is_outlying(value)] == [100 + sign * 3.0, 100 + sign * 90.0]
    assert {scale.part(100 + sign * 27.0), scale.part(100 + sign * 90.0)} == {0.0}
    assert (scale.better, scale.worse) == (2, 1)


def test_figures_fit_into_their_circles() -> None:
    for value in (1e-9, 0.00123456, 0.5, 99.96, 1234.5, 123456.0, 9.99e15, -0.0123, -5.0, 0.0):
        assert len(figure(value)) <= 6
        assert float(figure(value)) == pytest.approx(value, rel=0.5)


def test_outlying_elements_are_hatched_and_named_and_do_not_stretch_the_scale() -> None:
    drawing = chip_map(chip([50e-6, 51e-6, 52e-6, 53e-6, 54e-6, 55e-6, 56e-6, 57e-6, 1e-6, 63e-6]))
    root = parsed(drawing)
    assert "outlying: q8." in drawing.alt
    assert drawn(root, "q8").find(f"{SVG}path") is not None
    assert drawn(root, "q0").find(f"{SVG}path") is None
    assert drawn(root, "q9").find(f"{SVG}path") is None
    assert {"50.0 µs and worse", "57.0 µs and better", "outlying"} <= set(texts(root))
    assert "qubit 8: T1 1.00 µs (outlying)" in [spot.text for spot in drawing.spots]


def test_dead_elements_are_crossed_out_and_have_no_colour() -> None:
    edges = (
        ChipEdge(a=0, b=1, values={"error": 0.01}, gate="cz"),
        ChipEdge(a=1, b=2, values={"error": 1.0}, gate="cz", dead=True),
    )
    drawing = chip_map(chip([1e-5, 2e-5, 3e-5], dead=(2,), edges=edges))
    root = parsed(drawing)
    for key in ("q2", "q1-q2"):
        marks = [one.get("class") for one in drawn(root, key)]
        assert "qmio-cross" in marks
    assert "qmio-cross" not in [one.get("class") for one in drawn(root, "q1")]
    assert "dead: q2, q1-q2" in drawing.alt
    assert {spot.text for spot in drawing.spots} >= {"qubit 2: dead, T1 30.0 µs", "qubits 1 – 2: CZ, dead"}
    assert "dead" in texts(root)


def test_what_is_not_known_is_hollow_and_said() -> None:
    drawing = chip_map(chip([1e-5, 2e-5]), "t2")
    root = parsed(drawing)
    assert "not known" in texts(root)
    assert drawing.spots[0].text == "qubit 0: T2 not known, T1 10.0 µs"
    assert "T2 (not known)" in drawing.alt


def test_marks_are_explained_only_where_there_are_some() -> None:
    assert not {"dead", "outlying", "not known"} & set(texts(parsed(chip_map(chip([1e-5, 2e-5])))))


def test_small_circles_have_no_text_but_their_spots() -> None:
    wide = chip([1e-5 + at * 1e-7 for at in range(60)])
    drawing = chip_map(wide, width=320)
    assert not {"0", "59"} & set(texts(parsed(drawing)))
    assert len(drawing.spots) == 60


def test_the_table_says_what_the_map_shows() -> None:
    rows = table(QMIO)
    assert len(rows) == 1 + 32 + 33
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[0][:3] == ("element", "T1 (µs)", "T2 (µs)")
    assert rows[1][:3] == ("qubit 0", "72.5 ± 6.9", "72.9 ± 33")
    assert any(row[0] == "qubits 2 → 1" and "1.23 ± 0.25" in row and "ecr" in row for row in rows)
    marked = {row[0] for row in rows if row[-1].startswith("outlying: readout error")}
    assert marked == {
        f"qubit {spot.key[1:]}"
        for spot in chip_map(QMIO, "readout").spots
        if "(outlying)" in spot.text and "-" not in spot.key
    }
    assert marked


def test_device_names_and_labels_are_text() -> None:
    odd = Chip(
        device="<script>" + "x" * 300,
        qubits=(ChipQubit(index=0, label="<&>\x00long", x=0, y=0), ChipQubit(index=1, x=1, y=0)),
    )
    root = parsed(chip_map(odd))
    assert max(map(len, texts(root))) < 100


def test_a_chip_without_qubits_is_an_empty_map() -> None:
    drawing = chip_map(Chip(qubits=()))
    parsed(drawing)
    assert drawing.spots == ()


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        (QMIO, {"quantity": "T3"}),
        (QMIO, {"width": 50}),
        (chip([1e-5], edges=(ChipEdge(a=0, b=7),)), {}),
        (chip([1e-5], edges=(ChipEdge(a=0, b=0),)), {}),
        (Chip(qubits=(ChipQubit(index=0, x=float("nan"), y=0),)), {}),
        (chip([1e-5] * 5000), {}),
    ],
)
def test_what_cannot_be_drawn_is_refused(of: Chip, asked) -> None:
    with pytest.raises(UsageError) as caught:
        chip_map(of, **asked)
    assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format":"other","qubits":[]}',
        msgspec.json.encode(
            {"format": "qmio-calibration", "qubits": [{}], "gates": [{"name": "x", "qubits": [3]}]}
        ),
        msgspec.json.encode({"format": "qmio-calibration", "qubits": [{"t1_s": "soon"}]}),
    ],
)
def test_a_snapshot_without_a_calibration_is_refused_in_one_line(data: bytes) -> None:
    snapshot = Snapshot(snapshot_id=digest(data), device="dev", taken_ms=0, data=data)
    with pytest.raises(UsageError, match="holds no calibration"):
        chip_of(snapshot)
