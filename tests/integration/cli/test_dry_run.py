"""``--dry-run`` from the terminal: on the echo device, and on an emulated one with its whole compiled circuit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.client.sync import connect
from qmio_jupyter.testing.home import Home, one_line

BELL = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
    "h q[0];\ncx q[0], q[1];\nc = measure q;\n"
)
EMULATED = """
[gateway]
idle_s = 120
[[gateway.agents]]
device = "emulated"
driver = "emulator"
options = { calibration = "qmio" }
[[gateway.agents]]
device = "echo"
driver = "echo"
workers = 0
[client]
default_device = "emulated"
timeout_s = 60
"""


class Item(msgspec.Struct, forbid_unknown_fields=True):
    """What one item of `run --dry-run --json` promises."""

    n_qubits: int
    n_bits: int
    shots: int
    bindings: int
    method: str
    why: str
    predicted_s: float
    memory_bytes: int
    depth: int
    two_qubit_gates: int
    operations: dict[str, int]
    layout: list[int]
    expected_fidelity: float | None
    device_s: float | None
    circuit: str
    is_cut: bool
    notes: dict[str, str]
    program: str


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """What `run --dry-run --json` promises."""

    device: str
    snapshot_id: str | None
    items: list[Item]
    predicted_s: float
    device_s: float | None
    cost_s: float


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    found = Home(tmp_path_factory.mktemp("home"), EMULATED)
    started = found.cli("up", "--timeout", "50")
    assert started.returncode == 0, started.stderr.decode()
    yield found
    assert found.cli("down").returncode == 0
    assert found.sweep() == []


@pytest.fixture
def bell(home: Home) -> str:
    (home.root / "bell.qasm").write_text(BELL)
    return "bell.qasm"


def document(home: Home, *args: str) -> Document:
    return msgspec.convert(home.json("run", "--dry-run", *args), Document)


def tasks(home: Home) -> Any:
    return home.json("tasks")


def test_echo_says_what_it_can(home: Home, bell: str) -> None:
    before = tasks(home)
    found = document(home, bell, bell, "-d", "echo", "-n", "7", "--bind", "x=1,2")
    assert [(item.program, item.shots, item.bindings, item.method) for item in found.items] == [
        (bell, 7, 2, "echo")
    ] * 2
    assert tasks(home) == before


def test_the_emulated_device_shows_the_compiled_circuit(home: Home, bell: str) -> None:
    before = tasks(home)
    done = home.cli("run", "--dry-run", bell, "-n", "1000")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert re.search(r"^dry run on emulated, snapshot [0-9a-f]{12}: nothing was run", text)
    assert re.search(r"^program +2 qubits, 2 bits, 1000 shots$", text, re.MULTILINE)
    assert re.search(r"^compiled +depth \d+, 1 two-qubit gate$", text, re.MULTILINE)
    assert re.search(r"^operations +ecr 1, measure 2, ", text, re.MULTILINE)
    assert re.search(r"^on qubits +\d+, \d+$", text, re.MULTILINE)
    assert re.search(r"^fidelity +\d\d\.\d % ", text, re.MULTILINE)
    assert re.search(r"^method +\w+", text, re.MULTILINE)
    assert re.search(r"^device time +.+ at the device's own pace$", text, re.MULTILINE)
    assert re.search(r"^cost +\S+ ", text, re.MULTILINE)
    assert re.search(r"^ecr \$\d+, \$\d+;$", text, re.MULTILINE)
    assert re.search(r"^c\[1\] = measure \$\d+;$", text, re.MULTILINE)
    assert tasks(home) == before


def test_its_figures_agree_with_the_run_that_follows(home: Home, bell: str) -> None:
    found = document(home, bell, "-n", "500", "--layout", "15,8", "--seed", "4")
    (item,) = found.items
    assert item.layout == [15, 8]
    assert set(re.findall(r"\$(\d+)", item.circuit)) == {"15", "8"}
    assert item.expected_fidelity is not None
    assert 0.3 < item.expected_fidelity < 1
    assert found.device_s == item.device_s
    assert item.device_s is not None
    assert item.device_s > 0
    ran = home.json("run", bell, "-n", "500", "--layout", "15,8", "--seed", "4")
    assert isinstance(ran, dict)
    assert ran["snapshot_id"] == found.snapshot_id
    twice = document(home, bell, "-n", "1000", "--layout", "15,8")
    assert twice.device_s is not None
    assert item.device_s < twice.device_s < 2 * item.device_s + 1e-9


def test_without_noise_nothing_is_lost(home: Home, bell: str) -> None:
    (item,) = document(home, bell, "--ideal").items
    assert item.method
    assert item.operations["ecr"] == 1
    assert item.expected_fidelity is None
    assert item.notes == {}


def test_it_names_what_the_emulation_departs_from(home: Home, bell: str) -> None:
    (item,) = document(home, bell, "--layout", "15,8").items
    ran = home.json("run", bell, "--layout", "15,8")
    assert isinstance(ran, dict)
    told = {
        key: ran["notes"][key]
        for key in ("t2_capped", "not_usable", "coherence_limit")
        if key in ran["notes"]
    }
    assert item.notes == told


@pytest.mark.parametrize(
    ("source", "args", "code", "said"),
    [
        (BELL.replace("h q[0]", "h q[0"), (), Exit.ERROR, "line 5"),
        (BELL.replace("cx q[0], q[1]", "rx(theta) q[0]"), (), Exit.ERROR, "theta"),
        (
            BELL.replace("qubit[2]", "input float theta; qubit[2]").replace("h q", "rx(theta) q"),
            (),
            Exit.ERROR,
            "[program.parameters]",
        ),
        (BELL, ("--layout", "0,99"), Exit.ERROR, "99"),
        (BELL, ("--device-option", "colour=red"), Exit.ERROR, "[device.option]"),
        (BELL, ("-d", "nowhere"), Exit.ERROR, "[device.unknown]"),
        (BELL.replace("qubit[2] q", "qubit[2] q; qubit[40] r"), (), Exit.ERROR, "[program.too_wide]"),
    ],
    ids=["syntax", "undeclared", "unbound", "layout", "option", "device", "wide"],
)
def test_what_cannot_run_is_one_line(
    home: Home, source: str, args: tuple[str, ...], code: int, said: str
) -> None:
    before = tasks(home)
    (home.root / "wrong.qasm").write_text(source)
    done = home.cli("run", "--dry-run", "wrong.qasm", *args)
    assert done.returncode == code
    assert said in one_line(done.stderr)
    assert done.stdout == b""
    assert tasks(home) == before


def test_the_client_of_python_says_the_same(home: Home, bell: str) -> None:
    del bell
    from qmio_jupyter.client.spec import build_spec
    from qmio_jupyter.model.ids import digest
    from qmio_jupyter.model.program import QASM3, Program

    program = Program(digest=digest(BELL.encode()), media_type=QASM3, data=BELL.encode())
    spec = build_spec([program], device="emulated", shots=100)
    with connect(environ=home.environ, start=False) as client:
        first, second = (client.estimate(spec, [program]) for _ in range(2))
    assert first == second
