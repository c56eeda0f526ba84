"""The agent's process: what it does for its gateway, and what it does without one."""

import signal

import psutil
import pytest

from qmio_jupyter.model.device import DeviceState
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.model.task import TaskState
from qmio_jupyter.testing import runs
from qmio_jupyter.wire import messages as m

SOON_S = 90
BELL = runs.qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
ENDLESS = runs.qasm3("qubit q; bit c; x q; c = measure q; while (c) { c = measure q; }")


def timed(seconds, **options):
    return runs.run(BELL, device="dev", device_options={"seconds": str(seconds), **options})


def test_it_announces_itself_runs_and_reports(home):
    gateway = home.gateway()
    home.agent()
    announce = gateway.announced()
    assert (announce.description.name, announce.description.driver) == ("dev", "echo")
    assert (announce.state, announce.credit, announce.holding) == (DeviceState.IDLE, 2, ())
    ref = gateway.dispatch(runs.run(BELL, device="dev", shots=100))
    outcome = gateway.outcome(ref)
    assert outcome.state is TaskState.COMPLETED
    assert sum(count for _, count in outcomes(outcome.result.items[0])) == 100
    kinds = [type(body) for _, body in gateway.seen]
    assert not {m.ClaimHeld, m.ClaimStarted} & set(kinds)  # a short run's end says it all


def test_a_longer_run_is_said_to_have_started(home):
    gateway = home.gateway()
    home.agent()
    gateway.announced()
    ref = gateway.dispatch(timed(0.5))
    assert gateway.outcome(ref).state is TaskState.COMPLETED
    kinds = [type(body) for _, body in gateway.seen]
    assert kinds.index(m.ClaimStarted) < kinds.index(m.ClaimFinish)


def test_partial_counts_and_renewals_come_while_it_runs(home):
    gateway = home.gateway()
    home.agent()
    gateway.announced()
    ref = gateway.dispatch(timed(4, partials="5"))
    assert gateway.outcome(ref).state is TaskState.COMPLETED
    assert len(gateway.of(m.ClaimProgress)) == 5
    assert len(gateway.of(m.ClaimRenew)) >= 3


def test_an_aborted_run_ends_as_cancelled_and_the_next_one_runs(home):
    gateway = home.gateway()
    home.agent()
    gateway.announced()
    ref = gateway.dispatch(timed(3600))
    gateway.started(ref)
    gateway.send(m.ClaimAbort(ref=ref))
    assert gateway.outcome(ref).state is TaskState.CANCELLED
    assert gateway.outcome(gateway.dispatch(timed(0))).state is TaskState.COMPLETED


def test_an_end_is_sent_until_it_is_recorded(home):
    gateway = home.gateway()
    home.agent()
    gateway.announced()
    gateway.records_ends = False
    ref = gateway.dispatch(timed(0))
    first = gateway.outcome(ref)
    assert gateway.outcome(ref) == first
    gateway.records_ends = True
    assert gateway.outcome(ref) == first


def test_a_failure_is_reported_with_its_code(home):
    gateway = home.gateway()
    home.agent()
    gateway.announced()
    outcome = gateway.outcome(gateway.dispatch(timed(0.01, fail="program.syntax")))
    assert (outcome.state, outcome.error_code) == (TaskState.FAILED, "program.syntax")


def test_sigterm_gives_back_what_it_holds(home):
    gateway = home.gateway()
    agent = home.agent()
    gateway.announced()
    ref = gateway.dispatch(timed(3600))
    gateway.started(ref)
    agent.send_signal(signal.SIGTERM)
    _, body = gateway.until(lambda body: isinstance(body, m.ClaimGiveBack), "the claim comes back")
    assert body.ref == ref
    while agent.poll() is None:
        gateway.turn()
    assert agent.returncode == 0
    assert gateway.of(m.AgentAnnounce)[-1][1].state is DeviceState.OFFLINE


def test_a_gateway_that_comes_back_elsewhere_is_found_and_told_what_runs(home):
    first = home.gateway()
    home.agent()
    first.announced()
    ref = first.dispatch(timed(2))
    first.started(ref)
    first.close()
    second = home.gateway(epoch=2)
    announce = second.announced()
    assert announce.holding == (ref,)
    outcome = second.outcome(ref)
    assert outcome.state is TaskState.COMPLETED


def test_a_restarted_gateway_may_disown_what_runs(home):
    first = home.gateway()
    home.agent()
    first.announced()
    ref = first.dispatch(timed(3600))
    first.started(ref)
    first.close()
    second = home.gateway(epoch=2)
    second.abort = (ref,)
    second.announced()
    assert second.outcome(second.dispatch(timed(0))).state is TaskState.COMPLETED
    assert not [body for _, body in second.of(m.ClaimFinish) if body.ref == ref]


def test_without_work_it_ends_with_the_process_that_started_it(home):
    gateway = home.gateway()
    agent = home.agent()
    gateway.announced()
    agent.stdin.close()
    assert agent.wait(SOON_S) == 0


def test_an_orphan_finishes_its_work_takes_none_and_ends(home):
    gateway = home.gateway()
    agent = home.agent()
    gateway.announced()
    ref = gateway.dispatch(timed(2))
    gateway.started(ref)
    agent.stdin.close()
    _, body = gateway.until(
        lambda body: isinstance(body, m.AgentAnnounce) and not body.credit, "no more credit"
    )
    assert body.holding == (ref,)
    assert gateway.outcome(ref).state is TaskState.COMPLETED
    while agent.poll() is None:
        gateway.turn()
    assert agent.returncode == 0


def test_a_second_agent_of_a_name_waits_until_the_first_is_gone(home):
    gateway = home.gateway()
    first = home.agent()
    gateway.announced()
    second = home.agent()
    ref = gateway.dispatch(timed(1))
    assert gateway.outcome(ref).state is TaskState.COMPLETED
    assert len({body.incarnation for _, body in gateway.of(m.AgentAnnounce)}) == 1
    incarnation = gateway.of(m.AgentAnnounce)[0][1].incarnation
    first.kill()
    first.wait(SOON_S)
    _, body = gateway.until(
        lambda body: isinstance(body, m.AgentAnnounce) and body.incarnation != incarnation, "the second one"
    )
    assert body.incarnation > incarnation
    assert second.poll() is None


def test_two_agents_may_host_one_device(home):
    gateway = home.gateway()
    home.agent(name="one")
    first = gateway.announced()
    home.agent(name="two")
    _, second = gateway.until(
        lambda body: isinstance(body, m.AgentAnnounce) and body.agent != first.agent, "the second one"
    )
    assert first.description == second.description


@pytest.mark.parametrize("driver", ["echo", "ideal"])
def test_killed_it_leaves_no_process(home, driver):
    gateway = home.gateway()
    agent = home.agent(driver)
    gateway.announced()
    endless = timed(3600) if driver == "echo" else runs.run(ENDLESS, device="dev")
    ref = gateway.dispatch(endless)
    gateway.started(ref)
    children = psutil.Process(agent.pid).children(recursive=True)
    assert bool(children) == (driver == "ideal")
    agent.kill()
    agent.wait(SOON_S)
    _, alive = psutil.wait_procs(children, timeout=SOON_S)
    assert not alive


def test_an_unknown_driver_is_said_in_one_line(home):
    agent = home.agent("no-such-driver")
    assert agent.wait(SOON_S) == 78
    assert "no-such-driver" in home.log()
    assert "Traceback" not in home.log()


def test_a_wrong_option_is_said_in_one_line(home):
    agent = home.agent("echo", t0_s="soon")
    assert agent.wait(SOON_S) == 78
    assert "t0_s" in home.log()
    assert "Traceback" not in home.log()


def test_its_key_is_never_in_its_log_or_environment(home):
    gateway = home.gateway()
    agent = home.agent()
    gateway.announced()
    process = psutil.Process(agent.pid)
    secret = home.keys.secret
    assert secret not in home.log()
    assert all(secret not in value for value in process.environ().values())
    assert all(secret not in word for word in process.cmdline())
