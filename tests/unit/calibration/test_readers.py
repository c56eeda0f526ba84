"""Every shape of calibration gives the record it should, dirty values included."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.calibration.qmio import twice
from qmio_jupyter.calibration.read import read_calibration
from qmio_jupyter.calibration.record import DeviceRecord, Gate
from qmio_jupyter.errors import ConfigError

Doc = dict[str, Any]
NOON = 1_744_804_802_000  # 2025-04-16 12:00:02 UTC


def read(document: Doc, taken_ms: int = NOON) -> DeviceRecord:
    """Read a document from bytes."""
    return read_calibration(json.dumps(document).encode(), taken_ms=taken_ms)


def gate(record: DeviceRecord, name: str, *qubits: int) -> Gate:
    """Return one gate of a record."""
    (found,) = [gate for gate in record.gates if (gate.name, gate.qubits) == (name, qubits)]
    return found


def test_qmio_as_it_is_today(current: Doc) -> None:
    record = read(current)
    assert (record.n_qubits, record.dt_s, record.taken_ms) == (3, 0.5e-9, NOON)
    assert record.native_gates == ("delay", "ecr", "measure", "reset", "rz", "sx", "x")
    assert record.couplings == ((0, 1), (2, 1))
    assert set(record.control_flow) >= {"if_else", "for_loop", "switch_case", "while_loop"}
    qubit = record.qubits[1]
    assert (qubit.t1_s, qubit.t2_s, qubit.frequency_hz, qubit.readout_hz) == (
        5e-5 + 1e-6,
        6e-5,
        4.3e9 + 1,
        9.7e9,
    )
    assert (qubit.readout_s, qubit.prob_meas1_prep0, qubit.prob_meas0_prep1) == (2.5e-6, 0.125, 0.125)
    assert (qubit.t1_bar_s, qubit.t2_bar_s) == (1e-6, 2e-6)
    assert gate(record, "sx", 2) == Gate(
        name="sx", qubits=(2,), duration_s=3.2e-8, error=0.25, error_bar=0.001
    )
    assert gate(record, "rz", 2) == Gate(name="rz", qubits=(2,), duration_s=0.0, error=0.0)
    assert gate(record, "ecr", 2, 1).error == 0.0625
    assert gate(record, "delay", 0) == Gate(name="delay", qubits=(0,))
    assert gate(record, "reset", 0) == Gate(name="reset", qubits=(0,))


def test_x_is_two_sx(current: Doc) -> None:
    made = gate(read(current), "x", 0)
    assert (made.duration_s, made.error) == (6.4e-8, 0.375)
    assert twice(0.5) == 0.5  # a gate that forgets everything forgets no more when repeated
    assert twice(0.0) == 0.0
    current["Q1Gates"]["q[0]"]["X"] = {"Gate duration (s)": 1e-8, "Fidelity(RB)": 0.5}
    assert gate(read(current), "x", 0) == Gate(name="x", qubits=(0,), duration_s=1e-8, error=0.5)


def test_qmio_as_it_was(legacy: Doc) -> None:
    record = read(legacy)
    qubit = record.qubits[0]
    assert (qubit.t1_s, qubit.t2_s, qubit.readout_s) == (5e-5, 6e-5, 2.5e-6)
    assert (qubit.frequency_hz, qubit.prob_meas1_prep0) == (4.3e9, 0.125)
    assert gate(record, "sx", 1) == Gate(name="sx", qubits=(1,), duration_s=3.2e-8, error=0.25)
    assert gate(record, "rz", 1).error == 0.0
    assert gate(record, "ecr", 1, 0) == Gate(
        name="ecr", qubits=(1, 0), duration_s=4e-7, error=1 - 0.92, error_bar=0.05
    )


def test_a_mixed_file_is_believed_where_it_is_newer(current: Doc, legacy: Doc) -> None:
    mixed = copy.deepcopy(current)
    for name in ("q[0]", "q[1]"):
        mixed["Qubits"][name] = {**legacy["Qubits"][name], **mixed["Qubits"][name]}
        mixed["Q1Gates"][name]["SX"] |= {"Fidelity": 12.0, "duration (ns)": 999.0}
    mixed["Q2Gates"] = legacy["Q2Gates"]
    assert read(mixed) == read(current)


def test_a_stripped_name_gives_way_to_an_exact_one(current: Doc) -> None:
    current["Qubits"]["q[0]"][" T1 (s) "] = 1.0
    assert read(current).qubits[0].t1_s == 5e-5
    del current["Qubits"]["q[0]"]["T1 (s)"]
    assert read(current).qubits[0].t1_s == 1.0


def test_dirty_values_are_kept(current: Doc) -> None:
    current["Qubits"]["q[0]"] |= {"T2 (s)": 0.40075, "T2 error (s)": 147.15, "Readout fidelity (RB)": 0.547}
    current["Q1Gates"]["q[1]"]["SX"]["Fidelity error"] = 838.84
    current["Q1Gates"]["q[2]"]["SX"]["Fidelity(RB)"] = 1.0003
    current["Q2Gates(RB)"]["0-1"]["ECR"]["Fidelity(RB)"] = 0.46191
    record = read(current)
    assert (record.qubits[0].t2_s, record.qubits[0].t2_bar_s) == (0.40075, 147.15)
    assert record.qubits[0].prob_meas0_prep1 == 1 - 0.547
    assert gate(record, "sx", 1).error_bar == 838.84
    assert gate(record, "sx", 2).error == 1 - 1.0003
    assert gate(record, "ecr", 0, 1).error == 1 - 0.46191


def test_null_is_not_known(current: Doc) -> None:
    current["Qubits"]["q[0]"] |= {"T1 (s)": None, "Readout fidelity (RB)": None}
    current["Q1Gates"]["q[0]"]["SX"] |= {"Fidelity(RB)": None, "Gate duration (s)": None}
    record = read(current)
    assert (record.qubits[0].t1_s, record.qubits[0].readout_error) == (None, None)
    assert gate(record, "x", 0) == Gate(name="x", qubits=(0,))


def test_our_own_form(ours: Doc) -> None:
    record = read(ours, taken_ms=1)
    assert record.taken_ms == ours["taken_ms"]
    assert record.qubits[1].t1_s is None
    assert record.qubits[0].readout_error == 0.015
    assert record.gates == (
        Gate(name="cz", qubits=(0, 1), duration_s=1e-7, error=0.01),
        Gate(name="sx", qubits=(1,)),
    )


def test_a_backend_of_ibm(configuration: Doc, properties: Doc) -> None:
    record = read_calibration(
        json.dumps(properties).encode(), configuration=json.dumps(configuration).encode()
    )
    assert record.source == "ibm_test 1.2.3"
    assert (record.taken_ms, record.dt_s) == (1_740_600_985_000, 4e-9)
    first, second = record.qubits
    assert (first.t1_s, first.t2_s, first.frequency_hz, first.readout_s) == (5e-5, 6e-5, 4.3e9, 1.5e-6)
    assert (first.prob_meas1_prep0, first.prob_meas0_prep1) == (0.01, 0.03)
    assert (second.t2_s, second.prob_meas1_prep0, second.prob_meas0_prep1) == (None, 0.05, 0.05)
    assert record.native_gates == ("cz", "delay", "measure", "reset", "sx")  # rx is not in its basis
    assert gate(record, "reset", 1).duration_s == 1.584e-6
    assert gate(record, "sx", 1).error is None
    assert record.couplings == ()  # its only cz is dead, and kept in the record
    assert gate(record, "cz", 0, 1).error == 1
    assert record.control_flow == ("if_else",)


def test_what_is_not_operational_is_dead(configuration: Doc, properties: Doc) -> None:
    off = {"name": "operational", "value": 0, "unit": ""}
    properties["gates"][0]["parameters"].append(off)
    properties["qubits"][1].append(off)
    record = read_calibration(
        json.dumps(properties).encode(), configuration=json.dumps(configuration).encode()
    )
    assert {g.qubits for g in record.gates if g.name == "sx" and g.error == 1} == {(0,), (1,)}
    assert {g.qubits for g in record.gates if g.name == "delay"} == {(0,)}


def test_a_pair_of_files_is_found_by_name(configuration: Doc, properties: Doc, tmp_path: Path) -> None:
    (tmp_path / "props_test.json").write_text(json.dumps(properties))
    with pytest.raises(ConfigError, match=r"conf_test\.json cannot be read \(No such file"):
        read_calibration(tmp_path / "props_test.json")
    (tmp_path / "conf_test.json").write_text(json.dumps(configuration))
    assert read_calibration(tmp_path / "props_test.json").n_qubits == 2
    (tmp_path / "other.json").write_text(json.dumps(properties))
    with pytest.raises(ConfigError, match="without its configuration"):
        read_calibration(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("name", "taken_ms"),
    [
        ("2025_04_16__12_00_02.json", NOON),
        ("legacy_2025-02-05.json", 1_738_713_600_000),
        ("today.json", 1_000),
        ("2025_13_45__12_00_02.json", 1_000),
    ],
)
def test_the_time_is_in_the_name_or_the_file(current: Doc, tmp_path: Path, name: str, taken_ms: int) -> None:
    (tmp_path / name).write_text(json.dumps(current))
    os.utime(tmp_path / name, (1.0, 1.0))
    assert read_calibration(tmp_path / name).taken_ms == taken_ms
    assert read_calibration(tmp_path / name, taken_ms=7).taken_ms == 7


def test_a_directory_gives_the_newest_day_by_name(current: Doc, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no calibration file"):
        read_calibration(tmp_path)
    for name in ("2025_04_16__12_00_02", "2025_04_15__12_00_01", "2025_99_99__12_00_01"):
        (tmp_path / f"{name}.json").write_text(json.dumps(current))
    (tmp_path / "calib_exceptions.json").write_text("{}")
    os.utime(tmp_path / "2025_04_15__12_00_01.json")
    assert read_calibration(tmp_path).taken_ms == NOON
