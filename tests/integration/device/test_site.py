"""Devices as a site adds them: a table of the settings, a calibration file, and programs made for the device itself."""

from __future__ import annotations

from typing import Any

import pytest

from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, mint_task_id
from qmio_jupyter.errors import DeviceError, ProgramError, QmioError, TaskError
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.result import TaskResult, outcomes
from qmio_jupyter.model.task import StalePolicy, TaskOptions
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.home import Home, one_line

pytestmark = pytest.mark.slow

SOON_S = 60.0
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
H_OF_1 = "rz(pi/2) q[1]; sx q[1]; rz(pi/2) q[1];"
#: A flip of qubit 0, and a CNOT from it to 1, in the device's own gates.
ISA = runs.qasm3(
    f"bit[2] c; qubit[5] q; x q[0]; {H_OF_1} cz q[0], q[1]; {H_OF_1} "
    "c[0] = measure q[0]; c[1] = measure q[1];"
)


def run(client: Client, program: Program, device: str = "line", **options: Any) -> TaskResult:
    spec = build_spec([program], device=device, shots=2000, options=TaskOptions(seed=5, **options))
    return client.submit(spec, [program], task_id=mint_task_id()).result(SOON_S)


def notes(result: TaskResult) -> dict[str, str]:
    return dict(result.items[0].notes)


def test_the_device_is_what_its_file_says(client: Client) -> None:
    about = client.device("line")
    told = about.description
    assert (told.n_qubits, told.title, told.driver) == (5, "Our own line of five", "emulator")
    assert set(told.native_gates) == {"cz", "measure", "rz", "sx", "x"}
    assert told.couplings == tuple(sorted((a, b) for a in range(5) for b in range(5) if abs(a - b) == 1))
    assert about.snapshot_id is not None
    assert about.snapshot_ms == 1_790_000_000_000
    found = client.snapshot(about.snapshot_id)
    assert found.device == "line"


def test_a_program_runs_with_the_files_noise(client: Client) -> None:
    result = run(client, BELL)
    assert result.snapshot_id == client.device("line").snapshot_id
    counts = dict(outcomes(result.items[0]))
    assert set(counts) == {"00", "01", "10", "11"}
    assert 0.9 < (counts["00"] + counts["11"]) / 2000 < 0.995
    ideal = dict(outcomes(run(client, BELL, ideal=True).items[0]))
    assert set(ideal) == {"00", "11"}


def test_too_many_qubits_for_the_device_are_refused_in_one_line(client: Client) -> None:
    six = runs.qasm3("qubit[6] q; bit[6] c; h q[0]; c = measure q;")
    with pytest.raises(QmioError, match=r"6 qubits.* 5"):
        run(client, six)


def test_a_layout_is_kept_or_refused(client: Client) -> None:
    placed = run(client, BELL, layout=(4, 3), ideal=True)
    assert set(dict(outcomes(placed.items[0]))) == {"00", "11"}
    assert notes(placed)["layout"] == "4,3"
    chosen = notes(run(client, BELL))["layout"].split(",")
    assert len({int(qubit) for qubit in chosen}) == 2
    with pytest.raises(QmioError, match="layout 1,9"):
        run(client, BELL, layout=(1, 9))


def test_a_compiled_program_runs_as_it_is_while_its_snapshot_is_the_devices(client: Client) -> None:
    now = client.device("line").snapshot_id
    result = run(client, ISA, compiled_for=now, ideal=True)
    assert dict(outcomes(result.items[0])) == {"11": 2000}
    assert "warning" not in notes(result)


@pytest.mark.parametrize("stale", [StalePolicy.WARN, StalePolicy.RECOMPILE])
def test_a_stale_program_says_so_and_runs(client: Client, stale: StalePolicy) -> None:
    result = run(client, ISA, compiled_for="0" * 64, stale=stale, ideal=True)
    assert dict(outcomes(result.items[0])) == {"11": 2000}
    said = notes(result)["warning" if stale is StalePolicy.WARN else "stale"]
    assert "000000000000" in said


def test_a_stale_program_is_refused_before_it_queues_if_that_is_wanted(client: Client) -> None:
    with pytest.raises(DeviceError) as caught:
        run(client, ISA, compiled_for="0" * 64, stale=StalePolicy.REFUSE)
    assert caught.value.code == "device.snapshot"


def test_what_the_device_lacks_is_named(client: Client) -> None:
    now = client.device("line").snapshot_id
    far = runs.qasm3("bit[2] c; qubit[5] q; cz q[0], q[4]; c[0] = measure q[0];")
    with pytest.raises((ProgramError, TaskError), match="cz on 0-4"):
        run(client, far, compiled_for=now)


def test_a_file_says_on_the_command_line_what_it_was_compiled_for(home: Home) -> None:
    file = home.root / "isa.qasm"
    file.write_bytes(ISA.data)
    document = home.json("run", str(file), "-d", "line", "--ideal", "-n", "50", "--compiled-for", "current")
    assert isinstance(document, dict)
    assert document["counts"] == [["11", 50]]
    far = home.root / "far.qasm"
    far.write_bytes(ISA.data.replace(b"cz q[0], q[1]", b"cz q[0], q[3]", 1))
    refused = home.cli("run", str(far), "-d", "line", "--compiled-for", "current")
    assert refused.returncode != 0
    assert "far.qasm" in one_line(refused.stderr)
    assert "cz on 0-3" in one_line(refused.stderr)
