"""Calibrations that change while a device runs."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.watching import WatchedCalibration

Doc = dict[str, Any]


def write(path: Path, document: Doc) -> None:
    """Replace a file as those who care do: a new one takes its name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(document))
    fresh.replace(path)


def later(document: Doc, **changes: Any) -> Doc:
    """Return a calibration of a minute later."""
    return copy.deepcopy(document) | {"taken_ms": document["taken_ms"] + 60_000} | changes


def test_a_sample_never_changes() -> None:
    watched = WatchedCalibration("qmio")
    assert not watched.look()
    assert watched.record is sample("qmio")


def test_a_replaced_file_is_read_again(ours: Doc, tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    write(file, ours)
    watched = WatchedCalibration(str(file))
    assert not watched.look()
    write(file, later(ours))
    assert watched.look()
    assert watched.record.taken_ms == ours["taken_ms"] + 60_000
    assert not watched.look()


def test_the_same_content_again_is_no_new_calibration(ours: Doc, tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    write(file, ours)
    watched = WatchedCalibration(str(file))
    write(file, ours)
    assert not watched.look()


def test_a_new_day_in_a_directory(current: Doc, tmp_path: Path) -> None:
    write(tmp_path / "2025_04_16__12_00_02.json", current)
    watched = WatchedCalibration(str(tmp_path))
    current["Qubits"]["q[0]"]["T1 (s)"] = 9e-5
    write(tmp_path / "2025_04_17__12_00_01.json", current)
    assert watched.look()
    assert watched.record.qubits[0].t1_s == 9e-5
    write(tmp_path / "2025_04_15__12_00_01.json", current)
    assert not watched.look()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda doc: doc["qubits"].append({}), "another device"),
        (lambda doc: doc["gates"].pop(), "another device"),
        (lambda doc: doc.update(taken_ms=5), "was taken before the calibration in use"),
        (lambda doc: doc.update(dt_s=-1), "dt in seconds is -1"),
    ],
)
def test_what_cannot_be_used_is_a_problem_and_the_old_one_stays(
    ours: Doc, tmp_path: Path, spoil: Any, words: str
) -> None:
    file = tmp_path / "ours.json"
    write(file, ours)
    watched = WatchedCalibration(str(file))
    before = watched.record
    bad = later(ours)
    spoil(bad)
    write(file, bad)
    for _ in range(2):
        assert not watched.look()
        assert words in watched.problem
        assert watched.record is before
    write(file, later(ours))
    assert watched.look()
    assert watched.problem == ""


def test_a_file_that_goes_and_comes(ours: Doc, tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    write(file, ours)
    watched = WatchedCalibration(str(file))
    file.unlink()
    assert not watched.look()
    assert "cannot be read" in watched.problem
    write(file, ours)
    assert not watched.look()
    assert watched.problem == ""
    write(file, later(ours))
    assert watched.look()


def test_looking_reads_nothing_that_is_the_same(
    ours: Doc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ours.json"
    write(file, ours)
    watched = WatchedCalibration(str(file))
    monkeypatch.setattr(Path, "open", None)
    assert not watched.look()
    os.utime(file, (1.0, 1.0))
    with pytest.raises(TypeError):
        watched.look()
