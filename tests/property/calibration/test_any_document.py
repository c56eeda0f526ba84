"""Whatever a file holds, it gives a record or one line; and every record survives being a snapshot."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qmio_jupyter.calibration.checks import MAX_SECONDS, MIN_SECONDS, ONE_QUBIT, TWO_QUBITS, check
from qmio_jupyter.calibration.form import to_form
from qmio_jupyter.calibration.read import read_calibration
from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.calibration.snapshots import record_of, to_snapshot
from qmio_jupyter.errors import ConfigError

numbers = st.none() | st.integers() | st.floats()
texts = st.text(max_size=8) | st.sampled_from(
    ["qubits", "gates", "q[0]", "SX", "Fidelity(RB)", "name", "unit", "us"]
)
anything = st.recursive(
    st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

QMIO: dict[str, Any] = {
    "Qubits": {"q[0]": {"T1 (s)": 5e-5, "T2": 60, "Readout duration (s)": 1e-6, "Fidelity readout": 0.9}},
    "Q1Gates": {"q[0]": {"SX": {"Gate duration (s)": 3e-8, "Fidelity(RB)": 0.99}}},
    "Q2Gates(RB)": {},
}
QMIO["Qubits"]["q[0]"]["Drive Frequency (Hz)"] = 4.3e9
PROPERTIES: dict[str, Any] = {
    "backend_name": "b",
    "backend_version": "1",
    "last_update_date": "2025-02-26T15:16:25-05:00",
    "qubits": [[{"name": "T1", "unit": "us", "value": 50}]],
    "gates": [
        {"gate": "sx", "qubits": [0], "parameters": [{"name": "gate_error", "unit": "", "value": 0.1}]}
    ],
}
CONFIGURATION = {"backend_name": "b", "n_qubits": 1, "basis_gates": ["sx"], "dt": 1.0}
OURS: dict[str, Any] = to_form(
    DeviceRecord(
        source="s",
        taken_ms=0,
        dt_s=1e-9,
        qubits=(Qubit(t1_s=1.0),),
        gates=(Gate(name="sx", qubits=(0,), error=0.1),),
    )
)
for good in (QMIO, OURS):
    assert read_calibration(json.dumps(good).encode(), taken_ms=0).n_qubits == 1


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """Return a copy in which one place, somewhere, holds anything."""
    made = copy.deepcopy(document)
    parent, key, place = None, None, made
    while isinstance(place, dict | list) and place and (parent is None or draw(st.integers(0, 3))):
        parent = place
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place = place[key]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del parent[key]
        case "add" if isinstance(parent, dict):
            parent[draw(texts)] = draw(anything)
        case _:
            parent[key] = draw(anything)
    return made


def try_to_read(document: Any) -> None:
    """Read a document: a record that is a record, or one printable line."""
    data, configuration = (json.dumps(value).encode() for value in (document, CONFIGURATION))
    line = ""
    try:
        record = read_calibration(data, configuration=configuration, taken_ms=0)
    except ConfigError as refused:
        line = refused.one_line()
    if line:
        assert line.isprintable()
        assert len(line) < 500
        return
    assert check(record, "it") == record
    assert record_of(to_snapshot(record, "dev")) == record


@given(spoiled(QMIO))
def test_a_spoiled_qmio_file(document: Any) -> None:
    try_to_read(document)


@given(spoiled(PROPERTIES))
def test_a_spoiled_file_of_properties(document: Any) -> None:
    try_to_read(document)


@given(spoiled(OURS))
def test_a_spoiled_form_of_ours(document: Any) -> None:
    try_to_read(document)


@given(anything)
@example({"Qubits": None})
@example({"format": None})
def test_anything_at_all(document: Any) -> None:
    try_to_read(document)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_calibration(data)


def between(low: float, high: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(low, high)


times = between(MIN_SECONDS, MAX_SECONDS)
bars = st.none() | st.floats(0, allow_infinity=False)
qubits = st.builds(
    Qubit,
    t1_s=times,
    t2_s=times,
    frequency_hz=between(1, 1e15),
    readout_s=between(0, 1),
    prob_meas1_prep0=between(0, 1),
    prob_meas0_prep1=between(0, 1),
    readout_hz=between(1, 1e15),
    t1_bar_s=bars,
    t2_bar_s=bars,
)


@st.composite
def records(draw: st.DrawFn) -> DeviceRecord:
    """Return any record there can be, its gates in any order."""
    found = draw(st.lists(qubits, min_size=1, max_size=4))
    index = st.integers(0, len(found) - 1)
    places = st.tuples(st.sampled_from(sorted(ONE_QUBIT)), st.tuples(index))
    if len(found) > 1:
        pair = st.lists(index, min_size=2, max_size=2, unique=True).map(tuple)
        places |= st.tuples(st.sampled_from(sorted(TWO_QUBITS)), pair)
    gates = [
        Gate(
            name=name,
            qubits=on,
            duration_s=draw(between(0, 1)),
            error=draw(between(-0.1, 2)),
            error_bar=draw(bars),
        )
        for name, on in draw(st.lists(places, max_size=5, unique=True))
    ]
    return DeviceRecord(
        source=draw(st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=9)),
        taken_ms=draw(st.integers(0, 2**47)),
        dt_s=draw(st.floats(1e-12, 1)),
        qubits=tuple(found),
        gates=tuple(gates),
        control_flow=tuple(draw(st.lists(st.sampled_from(["if_else", "for_loop"]), unique=True))),
    )


@given(records())
def test_any_record_survives_being_a_snapshot(record: DeviceRecord) -> None:
    checked = check(record, "it")
    snapshot = to_snapshot(record, "dev")
    assert record_of(snapshot) == checked
    assert to_snapshot(checked, "dev") == snapshot
    assert sorted(checked.gates, key=repr) == sorted(record.gates, key=repr)
    # The snapshot's data is a calibration file in our own form.
    assert read_calibration(snapshot.data) == checked
