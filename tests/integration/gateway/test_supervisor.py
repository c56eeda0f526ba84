"""Agents as real processes: started, restarted with back-off, stopped, told of their gateway's end."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap

import psutil
import pytest

from qmio_jupyter.gateway import supervisor as supervisor_module
from qmio_jupyter.gateway.supervisor import Supervisor

DEADLINE_S = 20


class Events:
    def __init__(self):
        self.seen = []
        self.changed = asyncio.Event()

    def __call__(self, event, *, level="info", **fields):
        self.seen.append((event, fields))
        self.changed.set()

    async def until(self, condition):
        async with asyncio.timeout(DEADLINE_S):
            while not condition(self.seen):
                self.changed.clear()
                await self.changed.wait()

    def count(self, name):
        return sum(1 for event, _ in self.seen if event == name)


def python(code):
    return lambda device: [sys.executable, "-c", textwrap.dedent(code), device]


async def until(condition):
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - another process sets it, and sends nothing
            await asyncio.sleep(0.01)


async def gone(pid):
    await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def first_line(path):
    await until(lambda: path.exists() and path.read_text().endswith("\n"))
    return path.read_text().splitlines()[0]


@pytest.fixture
def run():
    return asyncio.run


def test_stop_ends_agents_and_what_they_left_behind(run, tmp_path):
    agent = python(
        """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"])
        print(child.pid, flush=True)
        time.sleep(600)
        """
    )

    async def main():
        events = Events()
        supervisor = Supervisor(["echo"], tmp_path, events, agent)
        supervisor.start()
        await events.until(lambda _: events.count("agent started") == 1)
        log = tmp_path / "agent-echo.log"
        worker = int(await first_line(log))
        await until(lambda: "echo" in supervisor.pids())
        pid = supervisor.pids()["echo"]
        assert os.getpgid(worker) == pid != os.getpgid(0)
        await supervisor.stop()
        await gone(pid)
        await gone(worker)
        assert supervisor.pids() == {}
        assert stat.S_IMODE(log.stat().st_mode) == 0o600
        await supervisor.stop()

    run(main())


def test_an_agent_that_ends_while_stopping_is_not_started_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "BACK_OFF_S", 0.0)

    async def main():
        events = Events()
        supervisor = Supervisor(["a", "b"], tmp_path, events, python("import time; time.sleep(600)"))
        supervisor.start()
        await events.until(lambda _: events.count("agent started") == 2)
        await supervisor.stop()
        assert events.count("agent started") == 2

    run(main())


def test_agents_run_away_from_the_users_directory(run, tmp_path, monkeypatch):
    """A module in the directory where the gateway was started must not be imported by an agent."""
    (tmp_path / "zmq.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    command = supervisor_module.agent_command("echo")
    assert command[1] == "-P"

    async def main():
        events = Events()
        supervisor = Supervisor(
            ["echo"], tmp_path, events, python("import os; print(os.getcwd(), flush=True)")
        )
        supervisor.start()
        assert await first_line(tmp_path / "agent-echo.log") == "/"
        await supervisor.stop()

    run(main())


def test_an_agent_that_does_not_listen_is_killed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "STOP_S", 0.2)
    agent = python(
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf", flush=True)
        time.sleep(600)
        """
    )

    async def main():
        events = Events()
        supervisor = Supervisor(["echo"], tmp_path, events, agent)
        supervisor.start()
        await first_line(tmp_path / "agent-echo.log")
        await until(lambda: "echo" in supervisor.pids())  # it may speak before it is known to be there
        pid = supervisor.pids()["echo"]
        await supervisor.stop()
        await gone(pid)

    run(main())


def test_an_agent_that_is_being_started_ends_with_its_gateway(run, tmp_path, monkeypatch):
    made, real = [], asyncio.create_subprocess_exec

    async def main():
        is_made = asyncio.Event()

        async def slow(*args, **options):
            made.append(await real(*args, **options))
            is_made.set()
            await asyncio.sleep(0.1)  # it is there, and its keeper does not know yet
            return made[0]

        monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
        supervisor = Supervisor(["echo"], tmp_path, Events(), python("import time; time.sleep(600)"))
        supervisor.start()
        await is_made.wait()
        assert supervisor.pids() == {}
        await supervisor.stop()
        assert made[0].returncode == -signal.SIGKILL

    run(main())


def test_an_agent_that_dies_is_started_again_ever_more_slowly(run, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "BACK_OFF_S", 0.01)
    monkeypatch.setattr(supervisor_module, "BACK_OFF_MAX_S", 0.03)

    async def main():
        events = Events()
        supervisor = Supervisor(["echo"], tmp_path, events, python("raise SystemExit(3)"))
        supervisor.start()
        await events.until(lambda _: events.count("agent ended") == 4)
        await supervisor.stop()
        ends = [fields for event, fields in events.seen if event == "agent ended"]
        assert [end["again_in_s"] for end in ends[:4]] == [0.01, 0.02, 0.03, 0.03]
        assert {end["status"] for end in ends[:4]} == {3}

    run(main())


def test_a_configuration_error_is_not_tried_again_at_once(run, tmp_path):
    async def main():
        events = Events()
        failed = []
        unwell = python("print('it is unwell'); raise SystemExit(78)")
        supervisor = Supervisor(
            ["echo"], tmp_path, events, unwell, on_failed=lambda *told: failed.append(told)
        )
        supervisor.start()
        await events.until(lambda _: events.count("agent ended") == 1)
        assert events.seen[-1][1]["again_in_s"] == supervisor_module.BACK_OFF_MAX_S
        assert failed == [("echo", "it is unwell")]
        await supervisor.stop()

    run(main())


def test_a_command_that_cannot_be_run_is_told_and_tried_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "BACK_OFF_S", 0.01)

    async def main():
        events = Events()
        supervisor = Supervisor(["echo"], tmp_path, events, lambda _: [str(tmp_path / "missing")])
        supervisor.start()
        await events.until(lambda _: events.count("agent not started") == 2)
        await supervisor.stop()

    run(main())


def test_other_agents_are_not_disturbed(run, tmp_path):
    agent = python(
        """
        import sys, time
        if sys.argv[1] == "bad":
            raise SystemExit(1)
        time.sleep(600)
        """
    )

    async def main():
        events = Events()
        supervisor = Supervisor(["good", "bad"], tmp_path, events, agent)
        supervisor.start()
        await events.until(lambda _: events.count("agent ended") >= 2)
        started = [fields for event, fields in events.seen if event == "agent started"]
        assert len([fields for fields in started if fields["device"] == "good"]) == 1
        assert "good" in supervisor.pids()
        await supervisor.stop()

    run(main())


def test_agents_learn_that_their_gateway_was_killed(tmp_path):
    """kill -9 of the gateway closes the pipe that is each agent's standard input."""
    agent = tmp_path / "agent.py"
    agent.write_text("import os, sys\nprint(os.getpid(), flush=True)\nsys.stdin.read()\n")
    gateway = textwrap.dedent(
        f"""
        import asyncio, sys
        from pathlib import Path
        from qmio_jupyter.gateway.supervisor import Supervisor

        async def main():
            supervisor = Supervisor(
                ["echo"], Path({str(tmp_path)!r}), lambda *a, **k: print(k, flush=True),
                lambda d: [sys.executable, {str(agent)!r}],
            )
            supervisor.start()
            await asyncio.sleep(600)

        asyncio.run(main())
        """
    )
    with subprocess.Popen([sys.executable, "-c", gateway], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline()

            async def wait():
                pid = int(await first_line(tmp_path / "agent-echo.log"))
                process.send_signal(signal.SIGKILL)
                await gone(pid)

            asyncio.run(wait())
        finally:
            process.kill()


def test_large_output_files_are_moved_aside(run, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "MAX_OUTPUT_BYTES", 10)
    (tmp_path / "agent-echo.log").write_text("x" * 11)

    async def main():
        events = Events()
        supervisor = Supervisor(["echo"], tmp_path, events, python("import time; time.sleep(600)"))
        supervisor.start()
        await events.until(lambda _: events.count("agent started") == 1)
        await supervisor.stop()
        assert (tmp_path / "agent-echo.log.1").read_text() == "x" * 11

    run(main())
