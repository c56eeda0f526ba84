"""What the pages show works as shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qmio_jupyter.calibration.read import read_calibration
from qmio_jupyter.calibration.samples import sample

DOCS = Path(__file__).resolve().parents[3] / "docs"
HOW_TO = (DOCS / "how-to" / "add-a-device.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's only block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", HOW_TO, re.DOTALL | re.MULTILINE)
    return found


def test_the_form_shown_is_a_calibration() -> None:
    record = read_calibration(block("json").encode())
    assert record.n_qubits == 2
    assert record.couplings == ((0, 1),)
    assert record.native_gates == ("delay", "ecr", "measure", "rz", "sx")


def test_the_script_shown_writes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block("python"), "the page", "exec"), {})
    record = read_calibration(tmp_path / "ring.json")
    assert record.n_qubits == 12
    assert record.couplings == tuple(sorted((k, (k + 1) % 12) for k in range(12)))


def test_the_command_shown_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "line.json").write_text(block("json"))
    code = re.fullmatch(r'python -c "\n(.*)"\n', block("shell"), re.DOTALL)
    assert code is not None
    exec(compile(code[1], "the page", "exec"), {})
    assert capsys.readouterr().out == "2 qubits delay ecr measure rz sx (0, 1)\n"


def test_the_dirt_told_of_the_sample_is_there() -> None:
    record = sample("qmio")
    assert [q.t2_s for q in record.qubits if (q.t2_s or 0) > 1e-3] == [0.41]
    assert sum((q.t2_s or 0) > 2 * (q.t1_s or 0) for q in record.qubits) == 8
    assert [g.error_bar for g in record.gates if (g.error_bar or 0) > 1] == [840.0]
