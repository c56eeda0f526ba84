"""The daemon from end to end: submit, events, results, death and return, stopping, and nothing left behind."""

import signal
import socket
import stat
import subprocess
import sys

import pytest

from qmio_jupyter.config import connection
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.task import TaskState


def test_submit_events_and_result(home):
    home.start()
    client = home.ready()
    seen = []
    handle = home.submit(client, "first", shots=1000, seconds=0.3, partials=3)
    view = handle.wait(30, on_change=lambda view, partial: seen.append((view.state, partial)))
    assert view.state is TaskState.COMPLETED
    assert TaskState.RUNNING in [state for state, _ in seen]
    result = handle.result(30)
    assert (result.shots, result.shots_done, result.is_final) == (1000, 1000, True)
    assert sum(count for _, count in handle.counts()) == 1000
    assert client.result(handle.task_id).shots_done == 1000
    assert [view.task_id for view in client.tasks()] == [handle.task_id]


def test_the_first_client_of_a_fresh_gateway_finds_its_devices(home):
    home.start()
    client = home.connect()
    assert [view.description.name for view in client.devices()] == ["echo"]
    assert home.submit(client).wait(30).state is TaskState.COMPLETED


def test_many_tasks_of_several_clients_end_each_once(home):
    home.start()
    clients = [home.ready() for _ in range(3)]
    handles = [home.submit(client, f"n{n}") for n in range(40) for client in clients]
    assert {handle.wait(60).state for handle in handles} == {TaskState.COMPLETED}
    log = home.log_after(clients[0])
    lines = [line for line in log if line["event"] == "transition" and line["after"] == "completed"]
    assert len(lines) == len({line["task_id"] for line in lines}) == len(handles)


def test_a_second_gateway_of_the_same_user_is_refused(home):
    home.start()
    second = subprocess.run(
        [sys.executable, "-m", "qmio_jupyter.cli.daemon", "gateway", "--embedded"],
        env=home.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode != 0
    assert "gateway.start" in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert home.connect().ping() == 1


def test_secrets_are_in_private_files_and_nowhere_else(home):
    home.start()
    home.ready()
    written = connection.read(home.places.connection_file)
    secrets = {written.secret_key}
    for path in home.root.rglob("*"):
        if "home" in path.relative_to(home.root).parts and not path.is_symlink():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    for path in (home.places.state / "gateway.jsonl", home.root / "output.txt"):
        assert not [secret for secret in secrets if secret in path.read_text()]
    for process in home.family():
        assert not [secret for secret in secrets if secret in " ".join(process.cmdline())]


def test_the_gateway_listens_on_loopback_alone(home):
    home.start()
    import psutil

    listening = [
        c.laddr for c in psutil.Process(home.process.pid).net_connections() if c.status == psutil.CONN_LISTEN
    ]
    assert [address.ip for address in listening] == ["127.0.0.1"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_behind(home, number):
    home.start()
    client = home.ready()
    home.submit(client, seconds=60)
    endpoint = connection.read(home.places.connection_file).endpoint
    assert home.terminate(number) == 0
    assert home.wait_until(lambda: not home.family(), "every process of this home ends")
    assert not home.places.connection_file.exists()
    port = int(endpoint.rpartition(":")[2])
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))
    assert {path.name for path in home.places.state.iterdir()} >= {"ledger.sqlite", "gateway.jsonl"}
    assert not list(home.places.state.glob("*-wal")), "the ledger is closed"


def test_a_user_stops_her_gateway(home):
    home.start()
    client = home.ready()
    client.stop_gateway()
    assert home.process.wait(30) == 0
    assert not home.places.connection_file.exists()
    home.wait_until(lambda: not home.family(), "every process of this home ends")


def test_an_idle_gateway_stops_by_itself_and_a_busy_one_does_not(make_home):
    home = make_home(idle_s=1.5)
    home.start()
    client = home.ready()
    handle = home.submit(client, seconds=4)
    client.close()
    # Nobody is connected now, but a task is live.
    home.wait_until(
        lambda: any(line.get("after") == "completed" for line in home.log()),
        "the task ends without its client",
    )
    assert home.process.poll() is None
    assert home.process.wait(30) == 0
    assert home.log()[-1]["event"] == "stopped"
    home.wait_until(lambda: not home.family(), "every process of this home ends")
    home.start()
    assert home.connect().result(handle.task_id).shots_done == 100


def test_killed_while_a_task_runs_and_started_again(home):
    home.start()
    client = home.ready()
    running = home.submit(client, "running", seconds=2)
    queued = [home.submit(client, f"queued {n}") for n in range(3)]
    home.wait_until(lambda: running.view.state is TaskState.RUNNING, "the task runs")
    first = connection.read(home.places.connection_file)
    home.kill()
    home.start()
    assert connection.read(home.places.connection_file).server_key == first.server_key
    for handle in (running, *queued):
        assert handle.wait(60).state is TaskState.COMPLETED
    assert client.ping() == 2, "a new epoch"
    assert client.result(running.task_id).shots_done == 100


def test_stopped_while_a_task_runs_and_started_again(home):
    """The agent gives its claim back before it goes: nothing lapses, no attempt is used up."""
    home.start()
    client = home.ready()
    running = home.submit(client, "running", seconds=2)
    home.wait_until(lambda: running.view.state is TaskState.RUNNING, "the task runs")
    assert home.terminate() == 0
    home.start()
    assert running.wait(60).state is TaskState.COMPLETED
    lines = [line for line in home.log() if line.get("task_id") == running.task_id]
    back = [line for line in lines if line.get("after") == "queued" and line.get("before")]
    assert len(back) == 1
    assert not [line for line in lines if "lapse" in line.get("cause", "")]


def test_a_gateway_killed_for_good_leaves_no_agent_for_ever(home):
    home.start()
    home.ready()
    assert len(home.agents()) == 1
    home.kill()
    home.wait_until(lambda: not home.family(), "the idle agent notices that its gateway is gone")


def test_an_agent_that_is_killed_is_started_again_and_its_task_ends(home):
    home.start()
    client = home.ready()
    handle = home.submit(client, seconds=1)
    home.wait_until(lambda: handle.view.state is TaskState.RUNNING, "the task runs")
    (agent,) = home.agents()
    agent.kill()
    assert handle.wait(60).state is TaskState.COMPLETED
    assert [process.pid for process in home.agents()] != [agent.pid]


def test_cancelling_a_running_task(home):
    home.start()
    client = home.ready()
    handle = home.submit(client, seconds=60)
    home.wait_until(lambda: handle.view.state is TaskState.RUNNING, "the task runs")
    handle.cancel(10)
    assert handle.wait(10).state is TaskState.CANCELLED
    with pytest.raises(QmioError) as caught:
        client.result(handle.task_id)
    assert caught.value.code == "task.cancelled"


def test_forgetting_a_task(home):
    home.start()
    client = home.ready()
    handle = home.submit(client)
    handle.wait(30)
    client.forget(handle.task_id)
    with pytest.raises(QmioError) as caught:
        client.show(handle.task_id)
    assert caught.value.code == "task.unknown"


def test_what_the_gateway_says_of_itself(home):
    home.start()
    client = home.ready()
    home.submit(client).wait(30)
    state = client.gateway()
    figures = dict(state.figures)
    assert (state.agents, state.store, state.store_ok) == (1, "sqlite", True)
    assert figures["accepted"] == figures["recorded"] == 1
    assert figures["commits"] > 0
    assert figures["failed_commits"] == 0


def test_one_line_per_request_and_per_transition(home):
    home.start()
    client = home.ready()
    handle = home.submit(client)
    handle.wait(30)
    client.show(handle.task_id)
    lines = [line for line in home.log_after(client) if line.get("task_id") == handle.task_id]
    requests = [line["tag"] for line in lines if line["event"] == "request"]
    transitions = [line["after"] for line in lines if line["event"] == "transition"]
    assert requests.count("task.submit") == 1
    assert requests.count("task.show") >= 1
    assert [one for one in transitions if one != "running"] == ["queued", "claimed", "completed"]
    assert home.program.data.decode() not in (home.places.state / "gateway.jsonl").read_text()
