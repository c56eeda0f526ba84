"""The samples: made by the script in tools, like a real device where it matters, dirty where one is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest

from qmio_jupyter.calibration import samples
from qmio_jupyter.calibration.record import DeviceRecord, is_dead
from qmio_jupyter.calibration.samples import SAMPLES, is_available, sample
from qmio_jupyter.errors import ConfigError

TOOL = Path(__file__).resolve().parents[3] / "tools" / "make_sample.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return tools/make_sample.py as a module."""
    spec = importlib.util.spec_from_file_location("make_sample", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def qmio() -> DeviceRecord:
    """Return the bundled sample."""
    return sample("qmio")


def test_the_bundled_file_is_what_the_script_makes(tool: ModuleType, qmio: DeviceRecord) -> None:
    assert tool.make() == qmio
    assert tool.OUT.read_text(encoding="utf-8") == tool.render(qmio)


def test_it_has_the_shape_of_qmio(qmio: DeviceRecord) -> None:
    assert qmio.n_qubits == 32
    assert qmio.dt_s == 0.5e-9
    assert len(qmio.couplings) == 33
    assert qmio.native_gates == ("delay", "ecr", "measure", "reset", "rz", "sx", "x")
    assert {qubit for pair in qmio.couplings for qubit in pair} == set(range(32))
    # Directed: no coupling is there in both directions.
    assert not {(b, a) for a, b in qmio.couplings} & set(qmio.couplings)
    for name in ("sx", "x", "rz", "delay", "reset"):
        assert [gate.qubits for gate in qmio.gates if gate.name == name] == [(k,) for k in range(32)]


def test_all_of_it_is_in_one_piece(qmio: DeviceRecord) -> None:
    reached, edge = {0}, {0}
    while edge:
        edge = {b for pair in qmio.couplings for a, b in (pair, pair[::-1]) if a in edge} - reached
        reached |= edge
    assert reached == set(range(32))


def test_its_values_are_near_those_of_a_real_device(qmio: DeviceRecord) -> None:
    def typical(name: str) -> float:
        return median(gate.error for gate in qmio.gates if gate.name == name and gate.error is not None)

    assert 40e-6 < median(qubit.t1_s or 0 for qubit in qmio.qubits) < 65e-6
    assert 50e-6 < median(qubit.t2_s or 0 for qubit in qmio.qubits) < 80e-6
    assert 0.08 < median(qubit.readout_error or 0 for qubit in qmio.qubits) < 0.13
    assert min(qubit.readout_s or 0 for qubit in qmio.qubits) > 2.5e-6
    assert max(qubit.readout_s or 0 for qubit in qmio.qubits) <= 18e-6
    assert 0.001 < typical("sx") < 0.003
    assert 0.015 < typical("ecr") < 0.04
    assert {gate.duration_s for gate in qmio.gates if gate.name == "sx"} <= {32e-9, 64e-9, 96e-9, 128e-9}


def test_its_readout_is_asymmetric(qmio: DeviceRecord) -> None:
    for qubit in qmio.qubits:
        assert qubit.prob_meas1_prep0 is not None
        assert qubit.prob_meas0_prep1 is not None
        assert qubit.prob_meas1_prep0 < qubit.prob_meas0_prep1


def test_it_is_dirty(qmio: DeviceRecord) -> None:
    impossible = [q for q in qmio.qubits if (q.t2_s or 0) > 2 * (q.t1_s or 0)]
    assert 3 <= len(impossible) <= 12
    assert any((q.t2_bar_s or 0) > 100 * (q.t2_s or 0) for q in impossible)
    assert max(qubit.readout_error or 0 for qubit in qmio.qubits) == pytest.approx(0.45)
    assert max(gate.error or 0 for gate in qmio.gates if gate.name == "ecr") == 0.538
    assert any((gate.error_bar or 0) > 100 for gate in qmio.gates if gate.name == "sx")
    # At least one gate claims less error than its own relaxation causes (a third of t/T1 + t/T2, roughly).
    below = [
        gate
        for gate in qmio.gates
        if gate.name == "sx"
        and gate.error is not None
        and gate.error < (gate.duration_s or 0) / (qmio.qubits[gate.qubits[0]].t1_s or 1) / 3
    ]
    assert below
    assert not any(is_dead(gate) for gate in qmio.gates)


def test_a_sample_is_read_once() -> None:
    assert sample("qmio") is sample("qmio")


def test_an_unknown_sample_names_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no sample calibration 'willow'.*qmio, fez"):
        sample("willow")
    assert not is_available("willow")
    assert SAMPLES == ("qmio", "fez")


def test_without_the_package_fez_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    samples._fez.cache_clear()
    monkeypatch.setattr(samples, "find_spec", lambda _name: None)
    assert not is_available("fez")
    assert is_available("qmio")
    with pytest.raises(ConfigError, match=r"not installed.*pip install 'qmio_jupyter\[fez\]'"):
        sample("fez")
