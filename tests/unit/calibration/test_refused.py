"""Broken, partial and hostile calibrations: one line each, saying where and what; never another exception."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.calibration.documents import MAX_BYTES
from qmio_jupyter.calibration.read import read_calibration
from qmio_jupyter.errors import ConfigError

Doc = dict[str, Any]


def refusal(source: bytes | Path, **options: Any) -> str:
    """Return the one line with which a calibration is refused."""
    with pytest.raises(ConfigError) as caught:
        read_calibration(source, **options)
    line = caught.value.one_line()
    assert caught.value.code in {"config.calibration", "config.file"}
    assert line.isprintable()
    assert len(line) < 400
    assert caught.value.hint
    return line


def put(place: str, value: object) -> Callable[[Doc], None]:
    """Return a change of one member, ``...`` to remove it; the place is a path of keys with slashes."""

    def change(document: Any) -> None:
        *way, last = [int(key) if key.isdecimal() else key for key in place.split("/")]
        for key in way:
            document = document[key]
        if value is ...:
            del document[last]
        else:
            document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            put("Qubits/q[2]", ...),
            "a partial calibration: 2 qubits in 'Qubits', 3 in 'Q1Gates'; 'Qubits' lacks q[2]",
        ),
        (put("Q1Gates/q[0]", ...), "'Q1Gates' lacks q[0]"),
        (put("Q1Gates", ...), "section 'Q1Gates' is missing"),
        (put("Q2Gates(RB)", ...), "section 'Q2Gates(RB)' is missing"),
        (put("Qubits", {}), "section 'Qubits' is empty"),
        (put("Qubits", []), "Qubits is a list, not an object"),
        (put("Qubits/qubit7", {}), "'Qubits qubit7' does not name a qubit"),
        (put("Qubits/q[1]/T1 (s)", ...), "Qubits q[1]: 'T1 (s)' is missing; write null"),
        (put("Qubits/q[1]/T1 (s)", "5e-5"), "Qubits q[1]: 'T1 (s)' is the text '5e-5', not a number"),
        (put("Qubits/q[1]/T1 (s)", True), "'T1 (s)' is true or false, not a number"),
        (put("Qubits/q[1]/T1 (s)", 0), "T1 of qubit 1 in seconds is 0; it must be from 1e-12 to 1e+06"),
        (put("Qubits/q[1]/T2 (s)", -1e-6), "T2 of qubit 1 in seconds is -1e-06"),
        (put("Qubits/q[1]/T2 (s)", 1e300), "T2 of qubit 1 in seconds is 1e+300"),
        (
            put("Qubits/q[1]/Readout fidelity (RB)", 88.9),
            "Qubits q[1]: a fidelity of 88.9; it must be a fraction",
        ),
        (put("Qubits/q[1]/Readout fidelity (RB)", 1.05), "P(1 | prepared 0) of qubit 1 is -0.05"),
        (put("Qubits/q[1]/Readout duration (s)", 2.5), "the readout duration of qubit 1 in seconds is 2.5"),
        (put("Q1Gates/q[1]/SX", 5), "Q1Gates q[1] SX is the number 5, not an object"),
        (put("Q1Gates/q[1]/SX/Fidelity(RB)", -0.5), "Q1Gates q[1] SX: a fidelity of -0.5"),
        (put("Q1Gates/q[1]/SX/Gate duration (s)", -1e-9), "the duration of sx(1) in seconds is -1e-09"),
        (put("Q1Gates/q[1]/SX/Fidelity error", -1), "the error bar of sx(1) is -1"),
        (
            put("Q1Gates/q[1]/Warp", {"Gate duration (s)": 1e-9, "Fidelity(RB)": 1}),
            "gate 'warp(1)' is not known",
        ),
        (put("Q2Gates(RB)/0-1/ECR/Target", 9), "'Q2Gates(RB) 0-1 ECR' is of control 0 and target 9"),
        (put("Q2Gates(RB)/0-1/ECR/Target", 1.5), "'Target' is the number 1.5, not a whole number"),
        (put("Q2Gates(RB)/0-1/ECR/Control", ...), "'Control' is missing, not a whole number"),
        (
            put("Q2Gates(RB)/one-two", {"ECR": {"Control": 0, "Target": 1}}),
            "'Q2Gates(RB) one-two ECR' is of control 0",
        ),
    ],
)
def test_a_broken_qmio_file(current: Doc, change: Callable[[Doc], None], words: str) -> None:
    change(current)
    assert words in refusal(json.dumps(current).encode(), taken_ms=0)


def test_qubits_with_a_gap(current: Doc) -> None:
    for section in ("Qubits", "Q1Gates"):
        current[section]["q[7]"] = current[section].pop("q[2]")
    assert "they are not q[0] to q[2]" in refusal(json.dumps(current).encode(), taken_ms=0)


def test_a_coupling_to_a_qubit_that_is_not_there(current: Doc) -> None:
    current["Q2Gates(RB)"]["0-9"] = copy.deepcopy(current["Q2Gates(RB)"]["0-1"])
    current["Q2Gates(RB)"]["0-9"]["ECR"]["Target"] = 9
    line = refusal(json.dumps(current).encode(), taken_ms=0)
    assert "gate ecr(0,9) is on a qubit the device has not: it has 0 to 2" in line


def test_many_missing_qubits_are_counted_not_listed(current: Doc) -> None:
    for index in range(3, 32):
        current["Q1Gates"][f"q[{index}]"] = current["Q1Gates"]["q[0]"]
    line = refusal(json.dumps(current).encode(), taken_ms=0)
    assert "lacks q[3], q[4], q[5], q[6] and 25 more" in line


def test_a_qmio_file_must_have_a_time(current: Doc) -> None:
    data = json.dumps(current).encode()
    assert "does not say when it was measured" in refusal(data)
    assert "the time of calibration in ms is -1" in refusal(data, taken_ms=-1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("format", "other"), "'format' is the text 'other'"),
        (put("version", 2), "version 2 of the form is not known; this software reads 1"),
        (put("version", "1"), "'version' is the text '1', not a whole number"),
        (put("t1_s", 1), "'t1_s' is not known. Known here: control_flow,"),
        (put("source", ""), "'source' must be 1 to 200"),
        (put("source", "a\nb"), "'source' must be 1 to 200"),
        (put("source", ...), "'source' is missing, not a text"),
        (put("taken_ms", 1.5), "'taken_ms' is the number 1.5"),
        (put("taken_ms", 10**18 - 1), "the time of calibration in ms is 1e+18"),
        (put("taken_ms", 10**400), "0... is too large"),
        (put("dt_s", 0), "dt in seconds is 0"),
        (put("dt_s", ...), "'dt_s' is missing"),
        (put("qubits", []), "0 qubits"),
        (put("qubits", {}), "'qubits' is an object, not a list"),
        (put("qubits", [{}] * 5000), "5000 qubits"),
        (put("qubits/0", 5), "qubits[0] is the number 5"),
        (put("qubits/0/T1", 5), "qubits[0]: 'T1' is not known"),
        (put("qubits/0/prob_meas1_prep0", 1.01), "P(1 | prepared 0) of qubit 0 is 1.01"),
        (put("gates/0/name", 5), "gates[0]: 'name' is the number 5"),
        (put("gates/0/name", "\x1b[2J" * 50), "is not known on 1 qubits"),
        (put("gates/0/name", "ecr"), "gate 'ecr(1)' is not known on 1 qubits"),
        (put("gates/0/qubits", [0, 1, 2]), "is not known on 3 qubits"),
        (put("gates/0/qubits", []), "is not known on 0 qubits"),
        (put("gates/0/qubits", [True]), "gates[0]: 'qubits' holds true or false"),
        (put("gates/0/qubits", [0.5]), "'qubits' holds the number 0.5"),
        (put("gates/0/qubits", [-1]), "gate sx(-1) is on a qubit the device has not"),
        (put("gates/1/qubits", [1, 1]), "gate cz(1,1) names a qubit twice"),
        (put("gates/1/error", 2.5), "the error of cz(0,1) is 2.5"),
        (put("gates/1/duration_s", 5), "the duration of cz(0,1) in seconds is 5"),
        (put("gates/0", {"name": "cz", "qubits": [0, 1]}), "gate cz(0,1) appears twice"),
        (put("control_flow", ["goto"]), "'goto' is no control flow"),
        (put("control_flow", [5]), "'control_flow' holds the number 5"),
        (put("control_flow", "if_else"), "'control_flow' is the text 'if_else', not a list"),
    ],
)
def test_a_broken_form_of_ours(ours: Doc, change: Callable[[Doc], None], words: str) -> None:
    change(ours)
    assert words in refusal(json.dumps(ours).encode())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            put("backend_name", "ibm_other"),
            "the properties of 'ibm_other' beside the configuration of 'ibm_test'",
        ),
        (put("qubits/1", ...), "1 qubits where the configuration has 2"),
        (put("qubits/0", 5), "qubits[0] is no list"),
        (put("qubits/0/0/unit", "furlong"), "qubits[0][0]: unit 'furlong' is not known"),
        (put("qubits/0/0/value", "x"), "qubits[0][0]: 'value' is the text 'x'"),
        (put("qubits/0/0/name", ...), "qubits[0][0]: 'name' is missing"),
        (put("gates/0/gate", ...), "gates[0]: 'gate' is missing"),
        (put("gates/0/parameters", {}), "gates[0]: 'parameters' is an object, not a list"),
        (put("last_update_date", "yesterday"), "'last_update_date' 'yesterday' is no date with a time zone"),
        (put("last_update_date", "2025-02-26T15:16:25"), "is no date with a time zone"),
    ],
)
def test_broken_properties(
    configuration: Doc, properties: Doc, change: Callable[[Doc], None], words: str
) -> None:
    change(properties)
    assert words in refusal(json.dumps(properties).encode(), configuration=json.dumps(configuration).encode())


def test_a_broken_configuration(configuration: Doc, properties: Doc) -> None:
    data = json.dumps(properties).encode()
    assert "without its configuration" in refusal(data)
    assert "no backend's configuration" in refusal(data, configuration=b"{}")
    assert "without its properties" in refusal(json.dumps(configuration).encode())
    del configuration["dt"]
    assert "'dt' is missing" in refusal(data, configuration=json.dumps(configuration).encode())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON (line 1, column 1: Expecting value)"),
        (b'{"Qubits": {\n "q[0]": }}', "line 2, column 10"),
        (b"\xff\xfe\x00", "not UTF-8 at byte 0"),
        (b'{"Qubits": NaN}', "NaN is no JSON number; write null"),
        (b'{"Qubits": -Infinity}', "-Infinity is no JSON number"),
        (b'{"Qubits": 1e999}', "the number 1e999 is too large"),
        (b'{"Qubits": ' + b"9" * 5000 + b"}", "9... is too large"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' appears twice"),
        (b"[" * 1_000_000, "nested too deeply"),
        (b'{"a":' * 1_000_000, "nested too deeply"),
        (b'{"Qubits": {"' + b"x\\u001b[2J" * 1000 + b'": 1}}', "Qubits x?[2J"),
        (b" " * (MAX_BYTES + 1), "larger than 8 MiB"),
        (b"[]", "no calibration of a known shape"),
        (b"{}", "no calibration of a known shape"),
        (b"null", "no calibration of a known shape"),
        (b'{"format": {"format": "qmio-calibration"}}', "'format' is an object"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_hostile_bytes(data: bytes, words: str) -> None:
    assert words in refusal(data, taken_ms=0)


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "missing.json")
    assert "cannot be read (embedded null byte)" in refusal(tmp_path / "a\0b")
    os.mkfifo(tmp_path / "pipe")
    assert "is no file" in refusal(tmp_path / "pipe")
    assert "is no file" in refusal(Path("/dev/zero"))
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(100_000_000)
    assert "huge.json: larger than 8 MiB" in refusal(huge)


def test_a_key_repeated_among_very_many_is_found_at_once() -> None:
    members = ",".join(f'"k{number}":0' for number in range(300_000))
    assert "key 'k299999' appears twice" in refusal(f'{{{members},"k299999":1}}'.encode())


def test_a_byte_order_mark_is_no_harm(ours: Doc) -> None:
    assert read_calibration(b"\xef\xbb\xbf" + json.dumps(ours).encode()).n_qubits == 2
