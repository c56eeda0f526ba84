"""The magics in a real IPython shell, over a stand-in for the client."""

from __future__ import annotations

import re
from typing import Any

import pytest

from qmio_jupyter.client import sync
from qmio_jupyter.client.sync_handle import TaskHandle
from qmio_jupyter.errors import (
    DeadlineError,
    NotYetError,
    ProgramError,
    QmioError,
    TaskFailedError,
    UsageError,
)
from qmio_jupyter.model.task import StalePolicy, TaskState
from qmio_jupyter.notebook import link
from qmio_jupyter.notebook.known import KNOWN

BELL = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
    "h q[0];\ncx q[0], q[1];\nc = measure q;\n"
)
BELL_PY = (
    "from qiskit import QuantumCircuit\nqc = QuantumCircuit(2)\nqc.h(0)\nqc.cx(0, 1)\nqc.measure_all()\n"
)


def run(shell: Any, cell: str) -> Any:
    """Run a cell; raise its error."""
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def refused(shell: Any, cell: str, error: type[QmioError] = UsageError) -> str:
    """Run a cell that must fail with `error` (and not IPython's own); return its one line."""
    with pytest.raises(error) as caught:
        run(shell, cell)
    assert isinstance(caught.value, QmioError)
    lines = caught.value._render_traceback_()
    assert len(lines) == 1
    assert "\n" not in lines[0]
    return lines[0]


def spec_of(fake: Any) -> Any:
    """Return the last submitted spec."""
    return list(fake.specs.values())[-1]


def test_a_cell_runs_and_shows_a_table(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shell, f"%%qpu -n 1000\n{BELL}") is None
    out = capsys.readouterr().out
    assert re.search(r"^00 +500 +50\.0 % ", out, re.MULTILINE)
    assert re.search(r"^11 +500 +50\.0 % ", out, re.MULTILINE)
    assert "on fake-qmio, completed, 1000 shots, seed 7" in out
    handle = shell.user_ns["_qpu"]
    assert isinstance(handle, TaskHandle)
    assert handle.counts() == [("00", 500), ("11", 500)]
    program = fake.programs[spec_of(fake).items[0].program]
    assert program.data.decode() == BELL


def test_every_option_reaches_the_task(shell: Any, fake: Any) -> None:
    run(
        shell,
        "%%qpu -d echo -n 5 -o mine --label 'my word' --seed 3 --ideal --opt-level 2 --layout 4,2 --pace real"
        " --memory -t 60 --stale refuse --device-option b=2 --device-option a=1 -q # all\n" + BELL,
    )
    spec = spec_of(fake)
    assert (spec.device, spec.items[0].shots, spec.label) == ("echo", 5, "my word")
    o = spec.options
    assert (o.seed, o.ideal, o.optimization_level, o.layout) == (3, True, 2, (4, 2))
    assert (o.pace, o.memory, o.stale) == ("real", True, StalePolicy.REFUSE)
    assert o.device_options == (("a", "1"), ("b", "2"))
    assert shell.user_ns["mine"] is shell.user_ns["_qpu"]


def test_defaults(shell: Any, fake: Any) -> None:
    run(shell, f"%%qpu\n{BELL}")
    spec = spec_of(fake)
    assert (spec.device, spec.items[0].shots, spec.label) == ("fake-qmio", 1000, "")
    assert spec.options == type(spec.options)()


def test_python_runs_in_the_users_namespace(shell: Any, fake: Any) -> None:
    shell.user_ns["n"] = 2
    run(shell, f"%%qpu\n{BELL_PY}m = n + 1\nqc\n")
    assert shell.user_ns["m"] == 3
    assert shell.user_ns["qc"].num_qubits == 2
    assert fake.programs[spec_of(fake).items[0].program].data.startswith(b"QISKIT")


def test_a_list_of_circuits_is_one_task(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, f"%%qpu -n 10\n{BELL_PY}[qc, qc.copy()]\n")
    assert len(fake.specs) == 1
    assert len(spec_of(fake).items) == 2
    assert "circuit 2 of 2" in capsys.readouterr().out


def test_bind_sees_what_the_cell_defined(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    body = (
        "from qiskit import QuantumCircuit\nfrom qiskit.circuit import Parameter\n"
        "qc = QuantumCircuit(1)\nqc.rx(Parameter('x'), 0)\nqc.measure_all()\nk = 3\nqc\n"
    )
    run(shell, f"%%qpu --bind x=[i * 0.5 for i in range(k)]\n{body}")
    assert spec_of(fake).items[0].bindings == 3
    assert "3 bindings:" in capsys.readouterr().out
    assert "parameter x has no value" in refused(shell, f"%%qpu\n{body}", ProgramError)
    assert "Did you mean" in refused(shell, f"%%qpu --bind xx=1 --bind x=1\n{body}", ProgramError)


def test_run_takes_a_variable(shell: Any, fake: Any) -> None:
    shell.user_ns["text"] = BELL
    run(shell, "%qpu run text -n 7 -o r")
    assert spec_of(fake).total_shots == 7
    assert shell.user_ns["r"].done()
    run(shell, f"{BELL_PY}%qpu run qc")
    assert "no variable nothing" in refused(shell, "%qpu run nothing")
    shell.user_ns["five"] = 5
    assert "the variable five is an int, no circuit" in refused(shell, "%qpu run five")


def test_run_sees_local_variables_of_a_function(shell: Any, fake: Any) -> None:
    shell.user_ns["text"] = BELL
    run(
        shell,
        "def f():\n    inner, a = text, 2\n"
        "    get_ipython().run_line_magic('qpu', 'run inner --bind x=a')\nf()",
    )
    assert spec_of(fake).items[0].parameters.names == ("x",)


def test_variables_are_not_expanded_in_the_line(shell: Any, fake: Any) -> None:
    shell.user_ns["n"] = 5
    assert "variables are not expanded" in refused(shell, f"%%qpu -n {{n}}\n{BELL}")
    assert "variables are not expanded" in refused(shell, f"%%qpu -n $n\n{BELL}")
    run(shell, f"%%qpu --label {{n}}\n{BELL}")
    assert spec_of(fake).label == "{n}"


def test_no_wait_gives_the_handle_at_once(shell: Any, fake: Any) -> None:
    fake.script = lambda *_: None
    handle = run(shell, f"%%qpu -a\n{BELL}")
    assert isinstance(handle, TaskHandle)
    assert handle is shell.user_ns["_qpu"]
    assert not handle.done()
    assert run(shell, f"%%qpu -aq -o x\n{BELL}") is None
    assert shell.user_ns["x"] is shell.user_ns["_qpu"]


def test_quiet_shows_nothing(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, f"%%qpu -q\n{BELL}")
    assert capsys.readouterr().out == ""


def test_a_failed_task_fails_the_cell_in_one_line(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.script = type(fake).fail
    text = refused(shell, f"%%qpu -o x\n{BELL}", TaskFailedError)
    assert text.startswith("[program.syntax] task t-")
    assert "line 3, column 5: unexpected '}'" in text
    assert "Traceback" not in capsys.readouterr().out
    assert shell.user_ns["x"].state is TaskState.FAILED


def test_a_timeout_leaves_the_task_running_and_says_how_to_come_back(shell: Any, fake: Any) -> None:
    fake.script = lambda *_: None
    text = refused(shell, f"%%qpu -t 0.05\n{BELL}", DeadlineError)
    assert f"%qpu attach {shell.user_ns['_qpu'].task_id}" in text
    assert fake.cancelled == []


def test_an_interrupt_cancels_says_so_and_is_raised_again(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    waits = []

    def wait(self: Any, timeout_s: float | None = None, on_change: Any = None) -> Any:
        waits.append(timeout_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(TaskHandle, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        run(shell, f"%%qpu\n{BELL}")
    task_id = shell.user_ns["_qpu"].task_id
    assert fake.cancelled == [task_id]
    assert f"{task_id}: interrupted and cancelled." in capsys.readouterr().out
    monkeypatch.undo()
    fake.script = type(fake).complete
    monkeypatch.setattr(sync, "connect", lambda **_: fake)
    run(shell, f"%%qpu\n{BELL}")


def test_a_task_that_does_not_end_in_time_after_an_interrupt(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    fake.cancel_state = TaskState.CANCELLING
    waits: list[float | None] = []

    def wait(self: Any, timeout_s: float | None = None, on_change: Any = None) -> Any:
        waits.append(timeout_s)
        if len(waits) == 1:
            raise KeyboardInterrupt
        raise DeadlineError("still there")

    monkeypatch.setattr(TaskHandle, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        run(shell, f"%%qpu\n{BELL}")
    assert waits[1] == 2.0
    assert "interrupted; being cancelled" in capsys.readouterr().out


def test_an_interrupted_submit_cancels_what_may_have_been_accepted(
    shell: Any, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(*_: Any, task_id: str, **__: Any) -> Any:
        fake.interrupted = task_id
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "submit", submit)
    with pytest.raises(KeyboardInterrupt):
        run(shell, f"%%qpu\n{BELL}")
    assert fake.cancelled == [fake.interrupted]


def test_an_interrupted_attach_leaves_the_task_running(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = lambda *_: None
    run(shell, f"%%qpu -a\n{BELL}")

    def wait(self: Any, timeout_s: float | None = None, on_change: Any = None) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(TaskHandle, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        run(shell, "%qpu attach last")
    assert fake.cancelled == []
    assert "left running" in capsys.readouterr().out


# ------------------------------------------------------------ the user's own errors


def test_the_users_traceback_begins_at_her_cell(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ZeroDivisionError):
        run(shell, "%%qpu\ndef f():\n    return 1 / 0\n\nf()\n")
    out = capsys.readouterr().out
    assert "ZeroDivisionError" in out
    assert "return 1 / 0" in out
    assert "qmio_jupyter" not in out
    assert "hidden" in out
    assert fake.specs == {}


def test_what_ipython_adds_to_python_works_in_a_body(
    shell: Any, fake: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    run(shell, f"%%qpu -n 7\n!echo hi\n{BELL_PY}%time qc\n")
    assert spec_of(fake).total_shots == 7
    out = capfd.readouterr().out
    assert "hi" in out
    assert "Wall time" in out


def test_a_syntax_error_of_the_body_shows_its_own_place_only(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(shell, "%%qpu\nx = 1\nx = = 2\nx\n", ProgramError)
    assert "line 2, column 5" in text
    assert "await" in refused(shell, "%%qpu\nimport asyncio\nawait asyncio.sleep(0)\n", ProgramError)
    assert "Traceback" not in capsys.readouterr().out


def test_a_language_against_the_header(shell: Any, fake: Any) -> None:
    assert "--lang says qasm2" in refused(shell, f"%%qpu --lang qasm2\n{BELL}")
    shell.user_ns["text"] = BELL
    assert "--lang says qasm2" in refused(shell, "%qpu run text --lang qasm2")
    assert fake.specs == {}


def test_errors_before_anything_is_sent(shell: Any, fake: Any) -> None:
    assert "Did you mean --shots?" in refused(shell, f"%%qpu --shot 5\n{BELL}")
    assert "None, no circuit" in refused(shell, "%%qpu\nprint('hello')")
    assert "no value" in refused(shell, f"%%qpu\n{BELL_PY}x = 5")
    assert "looks like OpenQASM" in refused(shell, "%%qpu\nqubit[2] q;\nh q[0];\n")
    assert "--bind x=y: NameError" in refused(shell, f"%%qpu --bind x=y\n{BELL}")
    assert "no device 'nowhere'" in refused(shell, f"%%qpu -d nowhere\n{BELL}", QmioError)
    refused(shell, f"%%qpu --snapshot abcdef01\n{BELL}", NotYetError)
    assert fake.specs == {}


@pytest.mark.parametrize("cell", ["%%qpu", "%%qpu\n", "%%qpu -n 5\n\n", "%%qpu -n 5"])
def test_an_empty_cell_is_our_error(shell: Any, cell: str) -> None:
    assert "the cell has no body" in refused(shell, cell)


@pytest.mark.parametrize("cell", ["%%qpu --help", "%%qpu --help\nx", "%qpu run --help", "%qpu help", "%qpu"])
def test_help(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str], cell: str) -> None:
    run(shell, cell)
    assert "--device-option" in capsys.readouterr().out
    assert fake.asked == []


def test_other_cell_magics_without_a_body_stay_as_they_were(shell: Any) -> None:
    from IPython.core.error import UsageError as IPythonUsageError

    with pytest.raises(IPythonUsageError):
        run(shell, "%%time_nothing")
    with pytest.raises(IPythonUsageError):
        run(shell, "%%qpux")


# ------------------------------------------------------------ subcommands


@pytest.fixture
def two_tasks(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """One completed and one queued task."""
    run(shell, f"%%qpu -q --label first -n 10\n{BELL}")
    fake.script = lambda *_: None
    run(shell, f"%%qpu -aq --label second\n{BELL}")
    capsys.readouterr()
    return list(fake.records)


def shown(shell: Any, capsys: pytest.CaptureFixture[str], line: str) -> str:
    """Run a line and return what it printed."""
    assert run(shell, line) is None
    return capsys.readouterr().out


def test_tasks(shell: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(shell, capsys, "%qpu tasks").splitlines()
    assert [line.split()[0] for line in lines] == ["task", two_tasks[1], two_tasks[0]]
    assert "queued, next" in lines[1]
    assert len(shown(shell, capsys, "%qpu tasks -n 1").splitlines()) == 2
    assert two_tasks[1] not in shown(shell, capsys, "%qpu tasks --state completed")
    assert shown(shell, capsys, "%qpu tasks --state failed") == "no tasks\n"


def test_status(shell: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    whole = shown(shell, capsys, "%qpu status")
    assert "sqlite (sound)" in whole
    assert two_tasks[1] in whole
    assert two_tasks[0] not in whole
    one = shown(shell, capsys, f"%qpu status {two_tasks[0]}")
    assert re.search(r"^label +first$", one, re.MULTILINE)
    assert re.search(r"^shots +10 of 10$", one, re.MULTILINE)
    assert "no task of yours" in refused(shell, "%qpu status zzzz", QmioError)


def test_attach(shell: Any, fake: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(shell, capsys, f"%qpu attach {two_tasks[0]} -o again")
    assert "50.0 %" in out
    assert shell.user_ns["again"].task_id == shell.user_ns["_qpu"].task_id == two_tasks[0]
    fake.complete(two_tasks[1])
    assert two_tasks[1] in shown(shell, capsys, "%qpu attach last")


def test_cancel(shell: Any, fake: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "cancelled" in shown(shell, capsys, f"%qpu cancel {two_tasks[1]}")
    assert shown(shell, capsys, "%qpu cancel all") == "no tasks\n"
    run(shell, f"%%qpu -aq\n{BELL}")
    run(shell, f"%%qpu -aq\n{BELL}")
    assert shown(shell, capsys, "%qpu cancel all").count("cancelled") == 2


def test_result(shell: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "50.0 %" in shown(shell, capsys, f"%qpu result {two_tasks[0]} -o r")
    assert shell.user_ns["r"].counts() == [("00", 5), ("11", 5)]
    text = refused(shell, f"%qpu result {two_tasks[1]}", QmioError)
    assert text.startswith("[task.not_finished]")


def test_devices_session_and_calibration(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "The echo device" in shown(shell, capsys, "%qpu devices")
    assert re.search(r"^device +fake-qmio$", shown(shell, capsys, "%qpu device"), re.MULTILINE)
    assert re.search(r"^device +echo$", shown(shell, capsys, "%qpu device echo"), re.MULTILINE)
    assert "local/me" in shown(shell, capsys, "%qpu session")
    assert "no calibration yet" in refused(shell, "%qpu calibration", NotYetError)


def test_compare(shell: Any, fake: Any, two_tasks: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    fake.complete(two_tasks[1])
    out = shown(shell, capsys, f"%qpu compare {two_tasks[0]} {two_tasks[1]}")
    assert re.search(r"^ *00 +50\.0 % +50\.0 %$", out, re.MULTILINE)
    assert re.search(r"^B +\d+ +0\.0000 ", out, re.MULTILINE)
    out = shown(shell, capsys, f"%qpu compare {two_tasks[0]} {two_tasks[1]} --ideal")
    assert "TVD from ideal" in out
    assert re.search(r"^ *00 +50\.0 % +50\.0 % +50\.0 %$", out, re.MULTILINE)
    KNOWN.__init__()
    text = refused(shell, f"%qpu compare {two_tasks[0]} {two_tasks[1]} --ideal", ProgramError)
    assert "this kernel has submitted none of these tasks" in text


@pytest.mark.parametrize("line", ["replay t-1", "replay t-1 --snapshot abcdef", "verify t-1"])
def test_what_is_not_there_yet_fails_in_one_line(shell: Any, line: str) -> None:
    assert refused(shell, f"%qpu {line}", NotYetError).startswith("[not_yet]")


def test_config(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(r"^device +fake-qmio$", shown(shell, capsys, "%qpu config"), re.MULTILINE)
    run(shell, "%qpu config device=echo shots=33 quiet=true")
    run(shell, f"%%qpu\n{BELL}")
    assert (spec_of(fake).device, spec_of(fake).total_shots) == ("echo", 33)
    assert "outcome" not in capsys.readouterr().out
    run(shell, "%qpu config device=none quiet=false")
    assert link.defaults().device == "fake-qmio"
    for line, says in [
        ("shot=5", "Did you mean shots?"),
        ("shots=0", "is expected"),
        ("quiet=maybe", "true or false"),
        ("timeout=-1", "seconds above 0"),
        ("device=a/b", "not a valid name"),
    ]:
        assert says in refused(shell, f"%qpu config {line}")
    assert link.defaults().shots == 33


def test_unload_takes_everything_away_and_load_brings_it_back(shell: Any, fake: Any) -> None:
    run(shell, f"%%qpu -q\n{BELL}")
    before = (len(shell.Completer.custom_matchers), len(shell.input_transformers_cleanup))
    run(shell, "%reload_ext qmio_jupyter")
    run(shell, "%reload_ext qmio_jupyter")
    assert (len(shell.Completer.custom_matchers), len(shell.input_transformers_cleanup)) == before
    run(shell, "%unload_ext qmio_jupyter")
    assert fake.closed
    assert shell.find_cell_magic("qpu") is None
    assert shell.find_line_magic("qpu") is None
    assert (len(shell.Completer.custom_matchers), len(shell.input_transformers_cleanup)) == (
        before[0] - 1,
        before[1] - 1,
    )
    run(shell, "%load_ext qmio_jupyter")
    run(shell, f"%%qpu -q\n{BELL}")


def test_the_docstring_shows_usage(shell: Any) -> None:
    found = shell.object_inspect("%%qpu")
    assert "%qpu SUBCOMMAND" in found["docstring"]
