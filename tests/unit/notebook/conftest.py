"""A stand-in for the client with the client's own handles, and a real IPython shell over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Self

import msgspec
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from qmio_jupyter.client import sync
from qmio_jupyter.client.handle import TaskRecord
from qmio_jupyter.client.news import News
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.errors import DeviceError, TaskError, UnknownTaskError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView
from qmio_jupyter.model.dry_run import DryRun, DryRunItem
from qmio_jupyter.model.program import MEDIA_TYPES, Program
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from qmio_jupyter.model.task import ErrorInfo, TaskSpec, TaskState, TaskView
from qmio_jupyter.notebook import link
from qmio_jupyter.wire.messages import GatewayState


def device_view(name: str, **changes: Any) -> DeviceView:
    """Return an idle device that reads everything."""
    about: dict[str, Any] = {
        "name": name,
        "title": f"The {name} device",
        "n_qubits": None,
        "driver": name,
        "media_types": MEDIA_TYPES,
        "qpy_versions": (13, 18),
    }
    return DeviceView(
        description=DeviceDescription(**about | changes),
        state=DeviceState.IDLE,
        agents=1,
        queued=0,
        running=0,
    )


def bell_result(view: TaskView, spec: TaskSpec) -> TaskResult:
    """Return half 00 and half 11 for every item and binding."""
    items = []
    for item in spec.items:
        keys, counts = pack_counts([(0, item.shots // 2), (3, item.shots - item.shots // 2)], 2)
        entry = BindingCounts(shots=item.shots, keys=keys, counts=counts)
        items.append(
            ItemResult(
                n_bits=2, registers=(Register(name="c", bits=(0, 1)),), bindings=(entry,) * item.bindings
            )
        )
    return TaskResult(
        task_id=view.task_id,
        device=view.device,
        items=tuple(items),
        shots=spec.total_shots,
        shots_done=spec.total_shots,
        revision=1,
        is_final=True,
        seed=7,
        durations=(("compiled", 0.01), ("on_device", 0.02)),
    )


class FakeClient:
    """The client's API, without a gateway: tasks move when a test (or `script`) says so."""

    def __init__(self) -> None:
        self.settings = ClientSettings()
        self.changed = News()
        self.snapshots_seen = SnapshotsSeen()
        self.unreachable_s = 0.0
        self.specs: dict[str, TaskSpec] = {}
        self.programs: dict[str, Any] = {}
        self.records: dict[str, TaskRecord] = {}
        self.known = {name: device_view(name) for name in ("fake-qmio", "echo")}
        self.closed = False
        self.estimated: list[tuple[TaskSpec, tuple[Program, ...], float]] = []
        self.cancelled: list[str] = []
        #: What `cancel_later` was asked for.
        self.later: list[tuple[str, float]] = []
        #: Called with (client, task id) right after a submit.
        self.script: Callable[[FakeClient, str], None] = FakeClient.complete
        #: What `cancel` leads to.
        self.cancel_state = TaskState.CANCELLED
        self.asked: list[str] = []

    def check(self) -> None:
        """Always usable."""

    def submit(
        self, spec: TaskSpec, programs: Any = (), *, task_id: str, timeout_s: float | None = None
    ) -> TaskHandle:
        record = self.records[task_id] = TaskRecord(task_id)
        self.specs[task_id] = spec
        self.programs.update({program.digest: program for program in programs})
        record.see(
            TaskView(
                task_id=task_id,
                device=spec.device,
                state=TaskState.QUEUED,
                revision=1,
                label=spec.label,
                tenant="local/me",
                submitted_ms=len(self.specs),
                updated_ms=1,
                shots=spec.total_shots,
                shots_done=0,
                attempt=0,
                position=0,
            )
        )
        handle = TaskHandle(self, record)  # type: ignore[arg-type]
        self.script(self, task_id)
        return handle

    def estimate(self, spec: TaskSpec, programs: Any = (), *, within_s: float = 30.0) -> DryRun:
        self.estimated.append((spec, tuple(programs), within_s))
        items = tuple(
            DryRunItem(
                n_qubits=2,
                n_bits=2,
                shots=item.shots,
                bindings=item.bindings,
                method="density_matrix",
                why="2 active qubits",
                predicted_s=0.01,
                memory_bytes=2**20,
                depth=5,
                two_qubit_gates=1,
                operations=(("ecr", 1), ("measure", 2), ("rz", 3)),
                layout=(4, 3),
                expected_fidelity=0.93,
                device_s=2.0,
                circuit="OPENQASM 3.0;\nbit[2] c;\necr $4, $3;\n",
                notes=(("T2 capped", "4, 3"),),
            )
            for item in spec.items
        )
        return DryRun(
            device=spec.device,
            snapshot_id="ab" * 32,
            items=items,
            predicted_s=0.01,
            device_s=2.0,
            cost_s=1.5,
        )

    def move(self, task_id: str, **changes: Any) -> TaskView:
        """Change a task's view as an event would."""
        record = self.records[task_id]
        with self.changed.lock:
            record.see(msgspec.structs.replace(record.view, revision=record.view.revision + 1, **changes))
        self.changed.tell()
        return record.view

    def complete(self, task_id: str) -> None:
        """End a task well."""
        view = self.move(
            task_id, state=TaskState.COMPLETED, position=None, shots_done=self.specs[task_id].total_shots
        )
        self.records[task_id].result = bell_result(view, self.specs[task_id])

    def fail(self, task_id: str) -> None:
        """End a task badly."""
        error = ErrorInfo(
            code="program.syntax", message="line 3, column 5: unexpected '}'", hint="Correct it."
        )
        self.move(task_id, state=TaskState.FAILED, position=None, error=error)

    def attach(self, task_id: str, timeout_s: float | None = None) -> TaskHandle:
        if task_id not in self.records:
            raise UnknownTaskError(f"no task {task_id}")
        return TaskHandle(self, self.records[task_id])  # type: ignore[arg-type]

    def resolve(self, text: str, timeout_s: float | None = None) -> str:
        ids = list(self.records)
        fitting = ids[-1:] if text == "last" else [i for i in ids if i.startswith((text, f"t-{text}"))]
        if len(fitting) != 1:
            raise UnknownTaskError(f"no task of yours is called {text!r}")
        return fitting[0]

    def show(self, task_id: str, timeout_s: float | None = None) -> TaskView:
        return self.records[task_id].view

    def tasks(
        self, limit: int = 20, *, states: Any = (), timeout_s: float | None = None, **_: Any
    ) -> tuple[TaskView, ...]:
        self.asked.append("tasks")
        views = [record.view for record in reversed(self.records.values())]
        return tuple(view for view in views if not states or view.state in states)[:limit]

    def result(self, task_id: str, partial: bool = False, timeout_s: float | None = None) -> TaskResult:
        found = self.records[task_id].result
        if found is None:
            raise TaskError("no result", code="task.not_finished")
        return found

    def cancel(self, task_id: str, timeout_s: float | None = None) -> TaskView:
        self.cancelled.append(task_id)
        if task_id not in self.records:
            raise UnknownTaskError(f"no task {task_id}")
        if self.records[task_id].view.state.is_final:
            return self.records[task_id].view
        return self.move(task_id, state=self.cancel_state, position=None)

    def cancel_later(self, task_id: str, within_s: float) -> None:
        self.later.append((task_id, within_s))

    def devices(self, timeout_s: float | None = None) -> tuple[DeviceView, ...]:
        self.asked.append("devices")
        return tuple(self.known.values())

    def device(self, name: str, timeout_s: float | None = None) -> DeviceView:
        if name not in self.known:
            raise DeviceError(
                f"no device {name!r}", code="device.unknown", hint="List devices with %qpu devices."
            )
        return self.known[name]

    def session(self, timeout_s: float | None = None) -> Session:
        return Session(session_id="s-1", key="k", uid=1000, tenant="local/me", opened_ms=1, expires_ms=None)

    def gateway(self, timeout_s: float | None = None) -> GatewayState:
        return GatewayState(
            gateway="local",
            epoch=1,
            software="qmio_jupyter/0",
            started_ms=1,
            tasks_live=0,
            agents=2,
            connections=1,
            store="sqlite",
            store_ok=True,
        )

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[FakeClient]:
    """The fake, as the process's one client."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("QMIO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("QMIO_CONFIG", raising=False)
    monkeypatch.delenv("QMIO_DEVICE", raising=False)
    client = FakeClient()
    monkeypatch.setattr(sync, "connect", lambda **_: client)
    link.close()
    link.forget_configured()
    yield client
    link.close()
    link.forget_configured()


@pytest.fixture(scope="session")
def one_shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    """A real shell, without history."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.ipython_dir = str(tmp_path_factory.mktemp("ipython"))
    shell = InteractiveShell.instance(config=config)
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(one_shell: InteractiveShell, fake: FakeClient) -> Iterator[InteractiveShell]:
    """The shell with the extension loaded over the fake, and a clean namespace."""
    before = set(one_shell.user_ns)
    one_shell.run_cell("%load_ext qmio_jupyter").raise_error()
    yield one_shell
    one_shell.run_cell("%unload_ext qmio_jupyter").raise_error()
    for name in set(one_shell.user_ns) - before:
        del one_shell.user_ns[name]
