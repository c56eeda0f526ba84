"""QPY files of several circuits, split with the real Qiskit."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from qmio_jupyter.cli.programs import read_programs
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.model.program import QPY


def test_a_qpy_file_of_several_circuits_is_split(tmp_path: Path) -> None:
    from qiskit import QuantumCircuit, qpy

    circuits = [QuantumCircuit(n + 1, name=f"c{n}") for n in range(3)]
    with (tmp_path / "p.qpy").open("wb") as file:
        qpy.dump(circuits, file, version=13)
    programs = read_programs(str(tmp_path / "p.qpy"), None)
    assert [qpy.load(io.BytesIO(p.data))[0].num_qubits for p in programs] == [1, 2, 3]
    assert {p.media_type for p in programs} == {QPY}
    with (tmp_path / "p.qpy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(ProgramError, match=r"p\.qpy: the QPY data is damaged \(format 13\)\. Write it again"):
        read_programs(str(tmp_path / "p.qpy"), None)
