"""A device whose agent cannot be started says why, to whoever looks at it or would queue for it."""

import json

import pytest

from qmio_jupyter.gateway.troubles import reason_in
from qmio_jupyter.wire import messages as m

WHY = "[config.calibration] /c.json: T1 of qubit 0 in seconds is -1"


@pytest.fixture
def ana(counter, keys):
    counter.hello(1, keys.ana)
    return counter


def note(ana, keys):
    (view,) = ana.ask(1, keys.ana, m.DeviceShow(device="echo")).devices
    return view.note


def test_a_device_in_trouble_refuses_tasks_with_the_reason(ana, keys):
    ana.desk.troubles.tell("echo", WHY)
    body = ana.submission()
    for asked in (body, m.TaskEstimate(spec=body.spec)):
        answer = ana.ask(1, keys.ana, asked)
        assert isinstance(answer, m.Failure)
        assert answer.error.code == "device.offline"
        assert WHY in answer.error.message
        assert answer.error.retryable
    assert note(ana, keys) == WHY
    assert not ana.desk.core.live_tasks


def test_other_devices_are_not_concerned(ana, keys):
    ana.announce()
    ana.desk.troubles.tell("another", WHY)
    assert ana.submit()
    assert note(ana, keys) == ""


def test_an_agent_that_comes_ends_the_trouble(ana, keys):
    ana.desk.troubles.tell("echo", WHY)
    assert isinstance(ana.ask(1, keys.ana, ana.submission()), m.Failure)
    ana.announce()
    assert ana.submit()
    assert note(ana, keys) == ""


def test_what_was_accepted_before_is_accepted_again(ana, keys):
    body = ana.submission()
    task_id = ana.submit(body=body)
    ana.desk.troubles.tell("echo", WHY)
    assert ana.submit(body=body) == task_id
    assert ana.desk.core.live_tasks == 1


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (json.dumps({"event": "link.up"}) + "\n" + json.dumps({"error": WHY}) + "\n", WHY),
        ("Traceback\nModuleNotFoundError: no\x1b[2J module\n\n", "ModuleNotFoundError: no?[2J module"),
        ('{"event": "stopped"}\n', '{"event": "stopped"}'),
        ("[" * 4000, "[" * 500),
    ],
)
def test_the_reason_is_in_the_last_line_of_the_output(tmp_path, output, reason):
    log = tmp_path / "agent-echo.log"
    log.write_text("old line\n" * 10_000 + output)
    assert reason_in(log) == reason


def test_without_any_output_there_is_the_log_s_name(tmp_path):
    log = tmp_path / "agent-echo.log"
    assert reason_in(log) == f"see its log: {log}"
    log.write_text("\n")
    assert reason_in(log) == f"see its log: {log}"
