"""The kill campaign: `kill -9` of real processes at seeded moments, and the verdict of the ledger afterwards.

A campaign owns a home (``QMIO_HOME``) with an embedded gateway, its agents `echo` and `ideal`, and a few user
processes (`kill_client`). Kills are spread over the tasks' progress; who is killed when follows from the seed, what
exactly each process is doing at that instant does not. Nobody but the clients starts the gateway again, and nobody
but the gateway its agents, as in real life.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from qmio_jupyter.client.sync import Client
from qmio_jupyter.testing.kill_client import WINDOW, Fact, read_journal

VICTIMS = ("gateway", "agent", "worker", "client")
#: A victim is looked for so long, s; and how often the harness looks at anything.
VICTIM_S = 90.0
LOOK_S = 0.02
#: Processes must be gone so long after the gateway was stopped, s.
GONE_S = 30.0

_SETTINGS = """
[gateway]
idle_s = 600
[gateway.core]
lease_s = 3.0
"""
_AGENTS = {
    "ideal": """
[[gateway.agents]]
device = "ideal"
driver = "ideal"
credit = 2
workers = 1
""",
    "echo": """
[[gateway.agents]]
device = "echo"
driver = "echo"
credit = 8
workers = 0
""",
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's figures."""

    seed: int
    tasks: int
    #: Kills of each victim.
    kills: int
    clients: int = 2
    #: Without `ideal` there are no workers to kill.
    devices: tuple[str, ...] = ("echo", "ideal")
    victims: tuple[str, ...] = VICTIMS
    #: All of it, s.
    deadline_s: float

    def schedule(self) -> list[tuple[int, str, float, float]]:
        """Return (tasks ended before it, victim, further delay in s, which of several: 0-1) of every kill."""
        dice = random.Random(self.seed)
        victims = [victim for victim in self.victims for _ in range(self.kills)]
        dice.shuffle(victims)
        moments = sorted(dice.randrange(max(1, int(self.tasks * 0.9))) for _ in victims)
        return [
            (moment, victim, dice.random() * 0.2, dice.random())
            for moment, victim in zip(moments, victims, strict=True)
        ]


class Outcome(msgspec.Struct, kw_only=True):
    """What a campaign did."""

    plan: Plan
    killed: Counter[str]
    seconds: float
    facts: dict[str, Fact]
    ledger: Path
    problems: list[str]
    left: list[str]


class Campaign:
    """One run. `home` is an empty directory on a local disk."""

    def __init__(self, plan: Plan, home: Path) -> None:
        self._plan = plan
        self._home = home
        home.mkdir(mode=0o700, exist_ok=True)
        settings = home / "config.toml"
        settings.write_text(_SETTINGS + "".join(_AGENTS[device] for device in plan.devices))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
        self._environ = {**kept, "QMIO_HOME": str(home), "QMIO_CONFIG": str(settings)}
        self._clients: dict[int, subprocess.Popen[bytes]] = {}
        self._allowed = -1
        self._killed: Counter[str] = Counter()
        self._problems: list[str] = []
        self._started = 0.0
        #: One line per kill.
        self.log: list[str] = []

    # ------------------------------------------------------------ the run

    def run(self) -> Outcome:
        """Run to the end, stop everything, and return what was seen."""
        self._started = started = time.monotonic()
        deadline = started + self._plan.deadline_s
        schedule = self._plan.schedule()
        try:
            self._begin()
            while not self._is_over():
                if time.monotonic() > deadline:
                    self._problems.append(f"not over after {self._plan.deadline_s:g} s")
                    break
                self._allow(schedule[0][0] if schedule else self._plan.tasks)
                self._keep_clients()
                if schedule and self._ended() >= schedule[0][0]:
                    _, victim, delay_s, which = schedule.pop(0)
                    # Not a wait for anything: the instant within the work is to be any.
                    time.sleep(delay_s)
                    self._kill(victim, which)
                else:
                    time.sleep(LOOK_S)
            if schedule and not self._problems:
                self._problems.append(f"{len(schedule)} kills were left when all tasks had ended")
        finally:
            seconds = time.monotonic() - started
            left = self._stop()
        return Outcome(
            plan=self._plan,
            killed=self._killed,
            seconds=seconds,
            facts=self._facts(),
            ledger=self._home / "state" / "ledger.sqlite",
            problems=self._problems,
            left=left,
        )

    def _begin(self) -> None:
        """Have the gateway started, and wait until both devices are there."""
        client = Client(environ=self._environ)
        try:
            deadline = time.monotonic() + VICTIM_S
            while len([view for view in client.devices(VICTIM_S) if view.state.takes_tasks]) < len(
                self._plan.devices
            ):
                if time.monotonic() > deadline:
                    raise CampaignError("the gateway or its agents did not come up")
                time.sleep(LOOK_S)
        finally:
            client.close()

    def _share(self, index: int) -> int:
        """Return how many tasks client `index` has."""
        return self._plan.tasks // self._plan.clients + (index < self._plan.tasks % self._plan.clients)

    def _allow(self, ended: int) -> None:
        """Let the clients begin enough tasks that work is under way when `ended` of them have ended."""
        allowed = ended // self._plan.clients + 2 * WINDOW
        if allowed != self._allowed:
            self._allowed = allowed
            scratch = self._home / "allowed.new"
            scratch.write_text(str(allowed))
            scratch.replace(self._home / "allowed")

    def _journal(self, index: int) -> Path:
        return self._home / f"journal-{index}"

    def _keep_clients(self) -> None:
        """Start every client that is not running and has not finished."""
        for index in range(self._plan.clients):
            process = self._clients.get(index)
            if process is not None and process.poll() is None:
                continue
            if process is not None and process.returncode == 0:
                continue
            if process is not None and process.returncode > 0:
                self._problems.append(f"client {index} ended with status {process.returncode}; see its log")
                raise CampaignError(self._log(index).read_text()[-2000:])
            with self._log(index).open("ab") as log:
                argv = [sys.executable, "-P", "-m", "qmio_jupyter.testing.kill_client"]
                self._clients[index] = subprocess.Popen(
                    [
                        *argv,
                        str(self._journal(index)),
                        str(self._home / "allowed"),
                        str(self._share(index)),
                        *self._plan.devices,
                    ],
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )

    def _log(self, index: int) -> Path:
        return self._home / f"client-{index}.log"

    def _is_over(self) -> bool:
        return len(self._clients) == self._plan.clients and all(
            process.poll() == 0 for process in self._clients.values()
        )

    def _facts(self) -> dict[str, Fact]:
        facts: dict[str, Fact] = {}
        for index in range(self._plan.clients):
            facts.update(read_journal(self._journal(index)))
        return facts

    def _ended(self) -> int:
        ended = 0
        for index in range(self._plan.clients):
            journal = self._journal(index)
            if journal.exists():
                ended += sum(line.startswith(b"ended ") for line in journal.read_bytes().split(b"\n"))
        return ended

    # ------------------------------------------------------------ killing

    def _kill(self, victim: str, which: float) -> None:
        """Kill one living `victim`, waiting for one if the last kill has not been made good yet."""
        deadline = time.monotonic() + VICTIM_S
        while time.monotonic() < deadline:
            self._keep_clients()
            found = sorted(process.pid for process in self._living(victim))
            if found:
                os.kill(found[int(which * len(found))], signal.SIGKILL)
                self._killed[victim] += 1
                self.log.append(
                    f"{time.monotonic() - self._started:8.2f} s {victim} {found} {self._ended()} ended"
                )
                return
            if self._is_over():
                break
            time.sleep(LOOK_S)
        self._problems.append(f"no {victim} to kill was found within {VICTIM_S:g} s")

    def _living(self, victim: str) -> Iterator[psutil.Process]:
        if victim == "client":
            for client in self._clients.values():
                if client.poll() is None:
                    yield psutil.Process(client.pid)
            return
        for process in self._ours():
            try:
                words = process.cmdline()
                if victim == "worker":
                    # The fork server has the same words as its workers: a worker's parent has them, too.
                    parent = process.parent()
                    if is_worker_code(words) and parent is not None and is_worker_code(parent.cmdline()):
                        yield process
                elif "qmio_jupyter.cli.daemon" in words and victim in words:
                    yield process
            except psutil.Error:
                continue

    def _ours(self) -> Iterator[psutil.Process]:
        """Yield every process of this home, and the descendants of each."""
        seen: set[int] = set()
        for process in psutil.process_iter():
            try:
                if process.pid in seen or process.environ().get("QMIO_HOME") != str(self._home):
                    continue
                family = [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
            for member in family:
                if member.pid not in seen:
                    seen.add(member.pid)
                    yield member

    # ------------------------------------------------------------ the end

    def _stop(self) -> list[str]:
        """Stop clients and gateway; return the processes that were still there long after (and kill them)."""
        for client in self._clients.values():
            if client.poll() is None:
                client.kill()
            client.wait()
        for gateway in list(self._living("gateway")):
            gateway.terminate()
        deadline = time.monotonic() + GONE_S
        while (left := list(self._ours())) and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        names = [_describe(process) for process in left]
        for process in left:
            process.kill()
        return names


class CampaignError(AssertionError):
    """The campaign cannot go on: a user's process gave up, or nothing came up at all."""


def is_worker_code(words: list[str]) -> bool:
    """Return whether a process runs the fork server's code (the server itself, or a worker)."""
    return any(word.startswith("qmio_jupyter.drivers.workers") for word in words)


def _describe(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return f"process {process.pid}"
