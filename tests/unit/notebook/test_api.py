"""The function twins: values in and out, nothing shown, the same words as the magics."""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

import msgspec
import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector

import qmio_jupyter
from qmio_jupyter.client import sync
from qmio_jupyter.errors import (
    GatewayError,
    NotYetError,
    ProgramError,
    TaskError,
    TaskFailedError,
    UsageError,
)
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.notebook import api, link
from qmio_jupyter.notebook.grammar import RunOptions
from qmio_jupyter.notebook.options import SUBCOMMANDS

BELL = "OPENQASM 3.0;\nqubit[2] q;\n"


def test_every_subcommand_has_a_twin_at_the_top() -> None:
    # `config` and `calibration` are rooms: a twin of that name would be hidden by the first import of its room.
    words = {s.word for s in SUBCOMMANDS} - {"help", "config", "calibration"} | {"configure", "snapshot"}
    assert not words & {module.name for module in pkgutil.iter_modules(qmio_jupyter.__path__)}
    assert set(api.TWINS) == words
    for word in words:
        assert getattr(qmio_jupyter, word) is getattr(api, word)
    assert words <= set(dir(qmio_jupyter))
    with pytest.raises(AttributeError):
        qmio_jupyter.nonsense  # noqa: B018


def test_run_takes_every_option_of_a_cell() -> None:
    taken = set(inspect.signature(api.run).parameters) - {"program"}
    options = set(RunOptions.__struct_fields__) - {"out", "quiet", "no_wait", "device_option"}
    assert taken == options | {"wait", "device_options"}


def test_run_waits_and_shows_nothing(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    handle = qmio_jupyter.run(
        BELL, device="echo", shots=8, bind={"x": [1, 2]}, seed=3, layout=(4, 2), device_options={"seconds": 1}
    )
    assert handle.counts(binding=1) == [("00", 4), ("11", 4)]
    (spec,) = fake.specs.values()
    assert (spec.device, spec.total_shots, spec.options.seed, spec.options.layout) == ("echo", 16, 3, (4, 2))
    assert spec.options.device_options == (("seconds", "1"),)
    assert capsys.readouterr().out == ""


def test_run_without_waiting(fake: Any) -> None:
    fake.script = lambda *_: None
    assert not qmio_jupyter.run(BELL, wait=False).done()


def test_a_failed_task_raises(fake: Any) -> None:
    fake.script = type(fake).fail
    with pytest.raises(TaskFailedError, match="line 3, column 5"):
        qmio_jupyter.run(BELL)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"shots": 0}, "shots: 1 to 10000000"),
        ({"shots": 1.5}, "shots: a whole number"),
        ({"seed": -1}, "seed: 0 to"),
        ({"opt_level": 4}, "opt_level: 0 to 3"),
        ({"layout": [1, 1]}, "layout: distinct"),
        ({"lang": "qasm"}, "lang: one of"),
        ({"pace": "slow"}, "pace: one of"),
        ({"stale": "no"}, "stale: one of"),
        ({"timeout": 0}, "timeout: seconds above 0"),
        ({"device": "a b"}, "device: "),
        ({"label": "a" * 201}, "label: at most 200"),
        ({"snapshot": "x"}, "snapshot: 6 to 64"),
        ({"compiled_for": "x"}, "compiled_for: 6 to 64"),
    ],
)
def test_arguments_are_checked_as_options_are(fake: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        qmio_jupyter.run(BELL, **arguments)
    assert says in str(caught.value)
    assert fake.specs == {}


def test_tasks_status_attach_cancel_result(fake: Any) -> None:
    done = qmio_jupyter.run(BELL)
    fake.script = lambda *_: None
    open_ = qmio_jupyter.run(BELL, wait=False)
    assert [v.task_id for v in qmio_jupyter.tasks()] == [open_.task_id, done.task_id]
    assert [v.task_id for v in qmio_jupyter.tasks(state="completed")] == [done.task_id]
    assert qmio_jupyter.status().gateway == "local"
    assert qmio_jupyter.status(done.task_id).state is TaskState.COMPLETED
    assert qmio_jupyter.attach().task_id == open_.task_id
    assert qmio_jupyter.result(done.task_id).counts() == done.counts()
    with pytest.raises(TaskError) as caught:
        qmio_jupyter.result(open_.task_id)
    assert caught.value.code == "task.not_finished"
    with pytest.raises(UsageError):
        qmio_jupyter.compare(done.task_id)
    with pytest.raises(ProgramError, match="0 classical bits"):
        qmio_jupyter.compare(done.task_id, done.task_id, ideal=True)
    fake.script = type(fake).complete
    bell = qmio_jupyter.run(f'{BELL}include "stdgates.inc"; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;')
    same = qmio_jupyter.compare(bell.task_id, bell.task_id, ideal=True)
    assert [handle.task_id for handle in same] == [bell.task_id] * 2
    assert same.where == [(0, 0)]
    assert same.tvd == [[0.0, 0.0]]
    assert same.hellinger_fidelity[0] == pytest.approx([1.0, 1.0])
    assert "TVD from ideal" in same._repr_mimebundle_()["text/html"]
    assert qmio_jupyter.compare(done.task_id, done.task_id).tvd == [[0.0, 0.0]]
    assert [v.state for v in qmio_jupyter.cancel("all")] == [TaskState.CANCELLED]
    with pytest.raises(UsageError):
        qmio_jupyter.tasks(state="done")


def test_snapshots_are_named_by_the_beginning_of_their_id_or_as_the_current_one(fake: Any) -> None:
    now = "ab" * 32
    fake.known["fake-qmio"] = msgspec.structs.replace(fake.known["fake-qmio"], snapshot_id=now)
    for asked, named in (("current", now), (now[:6], now), (now, now), ("0" * 64, "0" * 64)):
        handle = qmio_jupyter.run(BELL, snapshot=asked, compiled_for=asked)
        options = fake.specs[handle.task_id].options
        assert (options.snapshot, options.compiled_for) == (named, named)
    with pytest.raises(NotYetError, match="--compiled-for: device echo"):
        qmio_jupyter.run(BELL, device="echo", compiled_for="current")


def test_devices_and_session(fake: Any) -> None:
    assert [v.description.name for v in qmio_jupyter.devices()] == ["fake-qmio", "echo"]
    assert qmio_jupyter.device().description.name == "fake-qmio"
    assert qmio_jupyter.session().tenant == "local/me"


def test_what_is_not_there_yet(fake: Any) -> None:
    for call in (
        qmio_jupyter.snapshot,
        lambda: qmio_jupyter.replay("t-1"),
        lambda: qmio_jupyter.verify("t-1"),
        lambda: qmio_jupyter.run(BELL, snapshot="abcdef"),
    ):
        with pytest.raises(NotYetError):
            call()


def test_configure(fake: Any) -> None:
    assert qmio_jupyter.configure().shots == 1000
    assert qmio_jupyter.configure(shots=5, quiet=True, timeout=3).timeout == 3.0
    qmio_jupyter.run(BELL)
    assert next(iter(fake.specs.values())).total_shots == 5
    with pytest.raises(UsageError, match="Did you mean device"):
        qmio_jupyter.configure(shots=7, devise="echo")
    assert link.defaults().shots == 5
    assert qmio_jupyter.configure(shots=None).shots == 1000


def test_a_client_that_broke_gives_way_to_a_new_one(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = link.client()

    def broken() -> None:
        raise GatewayError("the client's I/O failed", code="internal", retryable=False)

    monkeypatch.setattr(first, "check", broken)
    second = type(fake)()
    monkeypatch.setattr(sync, "connect", lambda **_: second)
    assert link.client() is second
    assert first.closed
    assert link.client() is second
    assert not second.closed


def test_a_forked_child_makes_its_own_client(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = link.client()
    assert link.client() is first
    monkeypatch.setattr(link.os, "getpid", lambda: -1)
    assert link.current() is None
    link.close()
    assert not fake.closed


def test_an_array_in_place_of_names(fake: Any) -> None:
    circuit = QuantumCircuit(1)
    v = ParameterVector("v", 11)
    for parameter in v:
        circuit.rx(parameter, 0)
    values = np.arange(22).reshape(2, 11)
    qmio_jupyter.run(circuit, device="echo", bind=values)
    (item,) = next(iter(fake.specs.values())).items
    assert item.parameters.names == tuple(f"v[{i}]" for i in range(11))
    assert np.array_equal(np.frombuffer(item.parameters.data).reshape(2, 11), values)
