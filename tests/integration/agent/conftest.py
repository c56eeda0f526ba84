"""A real agent process, and a gateway played by the test: it answers as little as it has to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from qmio_jupyter.auth.keys import key_id, keys_at, new_keys
from qmio_jupyter.config import connection
from qmio_jupyter.config.connection import ConnectionFile, this_boot, this_host
from qmio_jupyter.config.places import places
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.task import ClaimRef
from qmio_jupyter.transport.zeromq_router import Received, Router
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import attach, attach_programs

SOON_S = 90
LEASE_S = 3.0


class Gateway:
    """The other end of an agent's link."""

    def __init__(self, home, keys=None, epoch=1):
        self.home = home
        self.epoch = epoch
        self.keys = keys or new_keys()
        self.router = Router(self.keys)
        self.connection = None
        self.seen = []
        self.records_ends = True
        self.abort = ()
        connection.write(
            home.places.connection_file,
            ConnectionFile(
                host=this_host(),
                boot_id=this_boot(),
                pid=os.getpid(),
                endpoint=self.router.endpoint,
                server_key=self.router.server_key,
                public_key=self.keys.public,
                secret_key=self.keys.secret,
                uid=os.getuid(),
                gateway="test",
                started_ms=0,
            ),
        )

    def close(self):
        self.router.close()

    def send(self, body, re=0, programs=()):
        packet = attach_programs(body, programs, re=re) if programs else attach(body, re=re)
        return self.router.send(self.connection, packet)

    def dispatch(self, run, attempt=1, programs=True):
        ref = ClaimRef(task_id=run.task_id, epoch=self.epoch, attempt=attempt)
        body = m.ClaimDispatch(ref=ref, spec=run.spec, contract=run.contract, lease_s=LEASE_S)
        self.send(body, programs=tuple(run.programs.values()) if programs else ())
        return ref

    def turn(self, timeout_s=0.05):
        """Answer what has come; return the new messages as (seconds, body)."""
        self.router.poll(timeout_s)
        new = []
        while self.router.ready():
            for received in self.router.receive():
                assert isinstance(received, Received), received
                assert received.peer.key == key_id(self.home.keys.public)
                self.connection = received.connection
                envelope = received.packet.envelope
                new.append((time.monotonic(), envelope.body))
                self._answer(envelope)
        self.seen.extend(new)
        return new

    def _answer(self, envelope):
        match envelope.body:
            case m.Hello():
                welcome = m.Welcome(
                    major=1,
                    gateway="test",
                    epoch=self.epoch,
                    role=Role.AGENT,
                    limits=m.Limits(),
                    now_ms=0,
                    software="",
                )
                self.send(welcome, re=envelope.id)
            case m.AgentAnnounce():
                self.send(m.AgentWelcome(epoch=self.epoch, lease_s=LEASE_S, abort=self.abort), re=envelope.id)
            case m.Ping():
                self.send(m.Pong(epoch=self.epoch), re=envelope.id)
            case m.ClaimRenew():
                self.send(m.ClaimRenewed(), re=envelope.id)
            case m.ClaimFinish(ref=ref) | m.ClaimGiveBack(ref=ref) if self.records_ends:
                self.send(m.ClaimRecorded(ref=ref), re=envelope.id)

    def until(self, condition, what, seconds=SOON_S):
        """Go on until `condition(body)` holds for a new message; return (seconds, body)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for at, body in self.turn():
                if condition(body):
                    return at, body
        pytest.fail(f"not within {seconds} s: {what}; last were {[b for _, b in self.seen[-5:]]}")

    def announced(self):
        return self.until(lambda body: isinstance(body, m.AgentAnnounce), "an announcement")[1]

    def started(self, ref):
        return self.until(lambda body: body == m.ClaimStarted(ref=ref), "the run begins")

    def outcome(self, ref):
        found = self.until(lambda body: isinstance(body, m.ClaimFinish) and body.ref == ref, "the end")
        return found[1].outcome

    def of(self, kind):
        return [(at, body) for at, body in self.seen if isinstance(body, kind)]


class AgentHome:
    """A directory with an agent's key, and the agents that were started in it."""

    def __init__(self, root: Path):
        self.root = root
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("QMIO_")}
        self.environ["QMIO_HOME"] = str(root / "home")
        self.environ["QMIO_CONFIG"] = str(root / "config.toml")
        self.places = places(self.environ)
        self.places.keys.mkdir(mode=0o700, exist_ok=True)
        self.keys = None
        self.agents = []
        self.gateways = []

    def gateway(self, **options):
        gateway = Gateway(self, **options)
        self.gateways.append(gateway)
        return gateway

    def agent(self, driver="echo", *, credit=2, name="", **options):
        settings = "".join(f'{key} = "{value}"\n' for key, value in options.items())
        (self.root / "config.toml").write_text(
            f'[[gateway.agents]]\ndevice = "dev"\ndriver = "{driver}"\ncredit = {credit}\n'
            f"[gateway.agents.options]\n{settings}"
        )
        self.keys = keys_at(self.places.keys / "agent-dev.key")
        log = (self.root / f"agent{len(self.agents)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "qmio_jupyter.cli.daemon", "agent", "--device", "dev"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=self.environ | ({"QMIO_AGENT_NAME": name} if name else {}),
        )
        log.close()
        self.agents.append(process)
        return process

    def log(self, number=0):
        return (self.root / f"agent{number}.log").read_text()

    def close(self):
        for process in self.agents:
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.send_signal(signal.SIGTERM)
            process.wait(SOON_S)
            process.stdin.close()
            _, alive = psutil.wait_procs(children, timeout=SOON_S)
            assert not alive, "the agent left processes behind"
        for gateway in self.gateways:
            gateway.close()


@pytest.fixture
def home(tmp_path):
    home = AgentHome(tmp_path)
    yield home
    home.close()


@pytest.fixture(scope="session")
def agent_home():
    """The class, for fixtures of a file: tests cannot import this one."""
    return AgentHome
