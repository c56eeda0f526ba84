"""The commands against a real gateway: documents, exit codes, one line per error."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.client.sync import connect
from qmio_jupyter.config import connection
from qmio_jupyter.model.ids import is_id
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing.home import Home, one_line, wait_until

QASM = "OPENQASM 3.0;\nbit[2] c;\n"


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """What `run --json` promises."""

    task_id: str
    state: str
    device: str
    snapshot_id: str | None
    seed: int
    shots: int
    counts: list[tuple[str, int]]
    item: int
    binding: int
    is_final: bool
    label: str
    n_bits: int
    registers: list[dict[str, Any]]
    notes: dict[str, str]
    durations: dict[str, float]
    software: dict[str, str]
    attempt: int
    submitted_ms: int
    timeline: list[dict[str, Any]]
    program: str | None = None
    memory: list[str] | None = None


@pytest.fixture
def qasm(tmp_path: Path) -> str:
    (tmp_path / "p.qasm").write_text(QASM)
    return str(tmp_path / "p.qasm")


def as_document(value: object) -> Document:
    document = msgspec.convert(value, Document)
    assert is_id(document.task_id)
    assert sum(count for _, count in document.counts) == document.shots
    return document


def test_run_prints_one_document(shared: Home, qasm: str) -> None:
    done = shared.cli(
        "run", qasm, "--device", "echo", "--shots", "1000", "--seed", "5", "--label", "mine", "--json"
    )
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    document = as_document(msgspec.json.decode(done.stdout))
    assert (document.state, document.device, document.shots, document.seed) == ("completed", "echo", 1000, 5)
    assert (document.label, document.program, document.is_final) == ("mine", qasm, True)
    assert next(stamp["stage"] for stamp in document.timeline) == "accepted"
    again = as_document(shared.json("run", qasm, "-d", "echo", "-n", "1000", "--seed", "5"))
    assert again.counts == document.counts


def test_several_files_are_a_list_of_documents(shared: Home, qasm: str) -> None:
    found = shared.json("run", qasm, "-", qasm, "--shots", "10", stdin=QASM.encode())
    assert isinstance(found, list)
    documents = [as_document(one) for one in found]
    assert [(one.item, one.program) for one in documents] == [(0, qasm), (1, "-"), (2, qasm)]
    assert len({one.task_id for one in documents}) == 1


def test_bindings_are_a_list_of_documents(shared: Home, qasm: str) -> None:
    found = shared.json("run", qasm, "--bind", "theta=0,1.5,3", "--bind", "phi=2", "-n", "10")
    assert isinstance(found, list)
    assert [as_document(one).binding for one in found] == [0, 1, 2]


def test_memory_has_one_entry_per_shot(shared: Home, qasm: str) -> None:
    document = as_document(shared.json("run", qasm, "-n", "50", "--memory"))
    assert document.memory is not None
    assert sorted(document.counts) == sorted({b: document.memory.count(b) for b in document.memory}.items())


def test_text_output_is_a_table(shared: Home, qasm: str) -> None:
    done = shared.cli("run", qasm, "-n", "100")
    assert done.returncode == 0
    assert "100 shots" in done.stdout.decode()
    assert "%" in done.stdout.decode()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--device-option", "fail=program.syntax"], Exit.FAILED, "[program.syntax]"),
        (["-d", "nowhere"], Exit.ERROR, "[device.unknown]"),
        (["--device-option", "colour=red"], Exit.ERROR, "[device.option]"),
        (["--device-option", "seconds=30", "--timeout", "0.3"], Exit.DEADLINE, "[deadline]"),
        (["--lang", "qasm4"], Exit.USAGE, "qasm4"),
    ],
)
def test_errors_of_run(shared: Home, qasm: str, args: list[str], code: int, said: str) -> None:
    done = shared.cli("run", qasm, *args, "--json")
    assert done.returncode == code
    assert said in one_line(done.stderr)
    assert done.stdout == b""
    shared.cli("cancel", "--all")


def test_no_wait_show_cancel_result(shared: Home, qasm: str) -> None:
    done = shared.cli("run", qasm, "--device-option", "seconds=60", "--no-wait")
    assert done.returncode == 0
    task_id = done.stdout.decode().strip()
    assert is_id(task_id)
    shown = shared.json("show", "last")
    assert isinstance(shown, dict)
    assert shown["task_id"] == task_id
    assert shown["state"] in {"queued", "claimed", "running"}
    (cancelled,) = shared.json("cancel", task_id[:20])  # type: ignore[misc]
    assert cancelled["state"] in {"cancelling", "cancelled"}
    done = shared.cli("result", "last")
    assert done.returncode == Exit.CANCELLED
    assert "[task.cancelled]" in one_line(done.stderr)


def test_result_of_another_process(shared: Home, qasm: str) -> None:
    first = as_document(shared.json("run", qasm, "-n", "20"))
    second = as_document(shared.json("result", "last"))
    assert second.task_id == first.task_id
    assert second.counts == first.counts


def test_partial_result(shared: Home, qasm: str) -> None:
    shared.cli(
        "run", qasm, "--device-option", "seconds=20", "--device-option", "partials=100", "-a", "-n", "1000"
    )

    def counts() -> object:
        done = shared.cli("result", "last", "--partial", "--json")
        return done.returncode == 0 and msgspec.json.decode(done.stdout)

    found: list[Any] = []
    wait_until(lambda: found.append(counts()) or found[-1], "partial counts have come")
    document = msgspec.convert(found[-1], Document)
    assert not document.is_final
    assert 0 < sum(count for _, count in document.counts) < 1000
    assert shared.cli("cancel", "last").returncode == 0


def test_tasks_and_filters(shared: Home, qasm: str) -> None:
    ids = [as_document(shared.json("run", qasm, "--label", f"filter {i}")).task_id for i in range(3)]
    listed = shared.json("tasks", "--label", "filter", "-n", "2", "--state", "completed", "--device", "echo")
    assert isinstance(listed, list)
    assert [one["task_id"] for one in listed] == ids[::-1][:2]
    assert "filter 2" in shared.cli("tasks").stdout.decode()
    assert shared.json("tasks", "--label", "no such label") == []


def test_devices_status_doctor(shared: Home) -> None:
    (device,) = shared.json("devices")  # type: ignore[misc]
    assert device["description"]["name"] == "echo"
    assert shared.json("devices", "echo") == shared.json("devices", "echo")
    assert shared.cli("devices", "nowhere").returncode == Exit.ERROR
    status = shared.json("status")
    assert isinstance(status, dict)
    assert status["running"]
    assert status["store_ok"]
    doctor = shared.json("doctor")
    assert isinstance(doctor, dict)
    assert doctor["ok"], doctor
    assert {"gateway", "ledger", "clock", "device echo"} <= {check["name"] for check in doctor["checks"]}


def test_unknown_task(shared: Home) -> None:
    for command in ("show", "cancel", "result"):
        done = shared.cli(command, "t-00000000000000000000000000")
        assert done.returncode == Exit.ERROR
        assert "[task.unknown]" in one_line(done.stderr)


def test_up_again_says_that_it_runs(shared: Home) -> None:
    again = shared.json("up")
    assert isinstance(again, dict)
    assert not again["started"]
    written = shared.connection()
    assert written is not None
    assert again["pid"] == written.pid
    assert [device["description"]["name"] for device in again["devices"]] == ["echo"]


def test_an_interrupt_cancels_the_task_and_says_so(shared: Home, qasm: str) -> None:
    argv = shared.argv("run", qasm, "--device-option", "seconds=60", "--label", "interrupted")
    running = subprocess.Popen(
        argv, env=shared.environ, cwd=shared.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with connect(environ=shared.environ, start=False) as client:
        wait_until(lambda: client.tasks(1, label="interrupted", states=[TaskState.RUNNING]), "the task runs")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
        assert running.returncode == Exit.INTERRUPTED, err
        assert out == b""
        assert "interrupted" in one_line(err)
        (view,) = client.tasks(1, label="interrupted")
        assert view.task_id in err.decode()
        assert client.attach(view.task_id).wait(10).state is TaskState.CANCELLED


def test_a_long_run_shows_progress_on_a_terminal_only(shared: Home, qasm: str) -> None:
    args = ["run", qasm, "-n", "1000", "--device-option", "seconds=3", "--device-option", "partials=20"]
    quiet = shared.cli(*args)
    assert quiet.stderr == b""
    master, slave = pty.openpty()
    shown = subprocess.Popen(
        shared.argv(*args), env=shared.environ | {"TERM": "xterm"}, stdout=subprocess.PIPE, stderr=slave
    )
    os.close(slave)
    seen = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # The other end is closed: EIO on Linux.
            break
        if not data:
            break
        seen += data
    out, _ = shown.communicate(timeout=30)
    os.close(master)
    assert shown.returncode == 0
    assert b"1000 shots" in out
    assert b"%" in seen
    assert b"running" in seen


def test_down_leaves_nothing_behind_and_says_when_nothing_runs(home: Home) -> None:
    assert home.cli("up").returncode == 0
    written = home.connection()
    assert written is not None
    down = home.json("down")
    assert down == {"stopped": True, "pid": written.pid}
    assert home.processes() == []
    assert not connection.is_alive(written)
    left = {path.name for path in home.places.runtime.iterdir()}
    assert "connection.json" not in left
    assert not any(path.is_socket() for path in home.root.rglob("*"))
    assert home.json("down") == {"stopped": False, "pid": None}
    assert home.cli("status").returncode == Exit.UNREACHABLE


def test_down_stops_a_gateway_with_work_and_up_takes_it_up_again(home: Home, qasm: str) -> None:
    done = home.cli("run", qasm, "--device-option", "seconds=2", "--no-wait")
    task_id = done.stdout.decode().strip()
    assert home.cli("down").returncode == 0
    assert home.processes() == []
    assert as_document(home.json("result", task_id)).task_id == task_id


def test_a_gateway_that_hangs_is_killed_with_force(home: Home) -> None:
    assert home.cli("up").returncode == 0
    written = home.connection()
    assert written is not None
    os.kill(written.pid, signal.SIGSTOP)
    done = home.cli("down", "--timeout", "1")
    assert done.returncode == Exit.UNREACHABLE
    assert "--force" in one_line(done.stderr)
    assert home.cli("down", "--timeout", "1", "--force").returncode == 0
    wait_until(lambda: not home.processes(), "the agents have followed")


def test_a_connection_file_others_can_read_is_refused(home: Home) -> None:
    assert home.cli("up").returncode == 0
    home.places.connection_file.chmod(0o644)
    for command in ("status", "tasks", "down"):
        done = home.cli(command)
        assert done.returncode == Exit.USAGE
        assert "[config.permissions]" in one_line(done.stderr)
    home.places.connection_file.chmod(0o600)
    assert home.cli("down").returncode == 0


def test_doctor_tells_of_a_killed_gateway(home: Home) -> None:
    assert home.cli("up").returncode == 0
    home.kill()
    done = home.cli("doctor")
    assert "was killed" in done.stdout.decode()
    assert "jupyter qmio up" in done.stdout.decode()
