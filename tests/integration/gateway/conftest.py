"""A real gateway process with a real echo agent, in a home of its own."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from qmio_jupyter.client.sync import connect
from qmio_jupyter.config import connection
from qmio_jupyter.config.places import places
from qmio_jupyter.config.settings import ClientSettings
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import Item, TaskOptions, TaskSpec
from qmio_jupyter.transport.zeromq_dealer import Dealer
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach

DEADLINE_S = 30
CONFIG = """
[gateway]
idle_s = {idle_s}
log_level = "debug"
[[gateway.agents]]
device = "echo"
driver = "echo"
credit = {credit}
workers = 0
"""


def wait_until(condition, what, deadline_s=DEADLINE_S):
    """Wait for something another process does; fail by name when it does not."""
    deadline = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"not within {deadline_s} s: {what}")
        time.sleep(0.01)


PROGRAM = Program(digest=digest(b"echo this"), media_type=OCTETS, data=b"echo this")


def echo_task(label="", shots=100, **options):
    pairs = tuple(sorted((name, str(value)) for name, value in options.items()))
    return TaskSpec(
        device="echo",
        items=(Item(program=PROGRAM.digest, shots=shots),),
        label=label,
        options=TaskOptions(device_options=pairs),
    )


class Home:
    """One user's home on one host: its gateway can be started, killed and looked at."""

    def __init__(self, root: Path, *, idle_s=900.0, credit=16):
        root.mkdir(mode=0o700, exist_ok=True)
        self.root = root
        self.config = root / "config.toml"
        self.config.write_text(CONFIG.format(idle_s=idle_s, credit=credit))
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("QMIO_")},
            "QMIO_HOME": str(root / "home"),
            "QMIO_CONFIG": str(self.config),
        }
        self.places = places(self.environ)
        self.process = None
        self.clients = []
        self.seen = set()

    # ------------------------------------------------------------ processes

    def start(self, command=("-m", "qmio_jupyter.cli.daemon", "gateway", "--embedded")):
        with (self.root / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.listening()
        return self

    def listening(self):
        """Wait for the connection file of the process just started."""

        def found():
            assert self.process.poll() is None, self.output()
            if self.places.connection_file.exists():
                return connection.read(self.places.connection_file).pid == self.process.pid
            return False

        wait_until(found, f"the gateway listens ({self.output()})")
        return connection.read(self.places.connection_file)

    def output(self):
        return (self.root / "output.txt").read_text()[-2000:]

    def family(self):
        """Return every process that belongs to this home, dead ones excluded."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("QMIO_HOME") == str(
                    self.root / "home"
                ):
                    found.append(process)
        return found

    def agents(self):
        return [process for process in self.family() if "agent" in process.cmdline()]

    def kill(self):
        """Kill -9 the gateway alone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)

    def terminate(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def clean_up(self):
        for client in self.clients:
            client.close()
        for process in self.family():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self.process is not None:
            self.process.wait(DEADLINE_S)

    # ------------------------------------------------------------ what a user does

    #: For tests, which cannot import this file.
    program = PROGRAM
    task = staticmethod(echo_task)
    wait_until = staticmethod(wait_until)

    @staticmethod
    def submit(client, label="", shots=100, task_id=None, **options):
        return client.submit(echo_task(label, shots, **options), [PROGRAM], task_id=task_id)

    def connect(self):
        client = connect(
            settings=ClientSettings(start_embedded=False), environ=self.environ, timeout_s=DEADLINE_S
        )
        self.clients.append(client)
        return client

    def ready(self):
        """Return a client once the echo device is up."""
        client = self.connect()

        def is_up():
            views = [view for view in client.devices() if view.description.name == "echo"]
            return bool(views) and views[0].agents == 1

        wait_until(is_up, f"the echo agent announces itself {self.agent_log()}")
        return client

    def agent_log(self):
        path = self.places.state / "agent-echo.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def log(self):
        path = self.places.state / "gateway.jsonl"
        return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]

    def log_after(self, client):
        """Return the log once it holds what was asked before: lines are written a moment later, in order."""

        def lists():
            return sum(line.get("tag") == "task.list" for line in self.log())

        before = lists()
        client.tasks(1)
        wait_until(lambda: lists() > before, "the request's own line is written")
        return self.log()

    def dealer(self, keys: KeyPair):
        """Return a raw conversation under other keys than the user's."""
        written = connection.read(self.places.connection_file)
        dealer = Dealer(written.endpoint, written.server_key, keys)
        self.clients.append(dealer)
        return Conversation(dealer)


class Conversation:
    """A bare dealer: what anybody could send."""

    def __init__(self, dealer):
        self.dealer = dealer
        self.numbers = itertools.count(1)
        wait_until(self.is_up, "the link comes up")

    def is_up(self):
        self.dealer.poll(0.05)
        self.dealer.receive()
        self.dealer.link_events()
        return self.dealer.is_up

    def send(self, body, blobs=()):
        number = next(self.numbers)
        assert self.dealer.send(attach(body, blobs, id=number))
        return number

    def answer(self, number, deadline_s=DEADLINE_S):
        """Return the answer to a request, None if none comes in time."""
        deadline = time.monotonic() + deadline_s
        while time.monotonic() < deadline:
            self.dealer.poll(0.05)
            for packet in self.dealer.receive():
                if isinstance(packet, m.Packet) and packet.envelope.re == number:
                    return packet.envelope.body
        return None

    def ask(self, body, blobs=(), deadline_s=DEADLINE_S):
        return self.answer(self.send(body, blobs), deadline_s)


@pytest.fixture
def make_home(tmp_path):
    homes = []

    def make(name="user", **changes):
        home = Home(tmp_path / name, **changes)
        homes.append(home)
        return home

    yield make
    for home in homes:
        home.clean_up()


@pytest.fixture
def home(make_home):
    return make_home()
