"""A class that starts at once: everybody gets a node and a session, and Slurm is not asked more often for it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from qmio_jupyter.testing.visitor import Visitor

#: Answers as a single-user server does when it is asked whether it is up, and needs next to no memory.
LIGHT = """
import http.server, json, os, pathlib, threading, time
from urllib.parse import urlsplit
from qmio_jupyter.auth.presence import presence

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        what, _, nonce = self.path.rpartition("/")
        told = {}
        if what.endswith("/qmio_jupyter/api/presence"):
            told["proof"] = presence(os.environ["JUPYTERHUB_API_TOKEN"], bytes.fromhex(nonce))
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

def cells():
    # Run cells when the class is told to, through the session of this server, and write down when they ended.
    home = pathlib.Path(os.environ["CLASS"])
    name = os.environ["JUPYTERHUB_USER"]
    while not (home / "go" / name).exists():
        time.sleep(0.2)
    cells = json.loads((home / "cells.json").read_text())[name]
    from qmio_jupyter.notebook.api import run

    def begin(seconds):
        bell = 'OPENQASM 3.0; qubit[2] q; bit[2] c; c = measure q;'
        return run(bell, shots=100, wait=False, device_options={"seconds": str(seconds)})

    begun = [begin(seconds) for seconds in cells]
    (home / f"begun-{name}").touch()
    for one in begun:
        while not one.done():
            time.sleep(0.2)
    told = [[one.view.updated_ms, str(one.state)] for one in begun]
    part = home / f"part-{name}"
    part.write_text(json.dumps(told))
    part.rename(home / f"done-{name}")

if os.environ.get("CLASS"):
    threading.Thread(target=cells, daemon=True).start()
place = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.ThreadingHTTPServer((place.hostname, place.port), Answer).serve_forever()
"""


def counting(here: Path, squeue: str) -> tuple[str, Path]:
    """Return a squeue that notes when it was called, and where it does."""
    calls = here / "squeue.calls"
    wrapper = here / "squeue"
    wrapper.write_text(f'#!/bin/sh\ndate +%s.%N >> {calls}\nexec {squeue} "$@"\n')
    wrapper.chmod(0o755)
    return str(wrapper), calls


class Onlooker:
    """One more user, who looks at the form again and again while the class starts."""

    def __init__(self, hub: Hub, name: str) -> None:
        self._visitor = Visitor(hub, name)
        self._is_over = threading.Event()
        #: Seconds that each look took.
        self.took_s: list[float] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._is_over.wait(0.3):
            self.took_s.append(self._visitor.timed_form())

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join(60)


def students_of(count: int) -> list[str]:
    """Return the class's names at the hub."""
    return [f"student{number}" for number in range(count)]


def start_class(
    students: int,
    site: Path,
    here: Path,
    cluster: MiniSlurm,
    centre: Centre,
    python: str,
    unix: str | Mapping[str, str] | None,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Start a server for each student within some seconds, see them all served, do `then`, and stop them.

    `unix` is whose account all of them share, or each one's own.
    """
    names = students_of(students)
    accounts = dict.fromkeys([*names, "onlooker"], unix) if isinstance(unix, str) else unix
    light = here / "light.py"
    light.write_text(LIGHT)
    squeue, calls = counting(here, cluster.commands().squeue)
    (here / "hub").mkdir()
    hub = Hub(
        here / "hub",
        cluster,
        centre,
        python=python,
        users=None if accounts is None else dict(accounts),
        settings={
            "cmd": [python, str(light)],
            "slurm": {"config": cluster.commands().config, "squeue": squeue},
            "environment": {
                "QMIO_MUNGE_SOCKET": str(cluster.munge_socket),
                "SLURM_CONF": cluster.commands().config,
                "CLASS": str(here),
            },
            "limits": {"cores": 1, "memory_mib": 100, "walltime_min": 30},
        },
    ).start()
    try:
        paths = [hub.user(name) for name in names]
        onlooker = Onlooker(hub, "onlooker")
        began = time.monotonic()
        failures: dict[str, str] = {}

        def start(path: str) -> None:
            failures[path] = hub.ask_for_server(path, device="echo")

        asking = [threading.Thread(target=start, args=(path,), daemon=True) for path in paths]
        for one in asking:
            one.start()
        for one in asking:
            one.join(240)
        took_s = time.monotonic() - began
        onlooker.stop()
        assert max(onlooker.took_s) < max(5.0, took_s / 2), onlooker.took_s
        assert not {path: why for path, why in failures.items() if why}, failures
        assert sorted(failures) == sorted(paths)
        jobs = cluster.slurm().jobs()
        assert len(jobs) == students
        assert len({job.name for job in jobs}) == students
        assert sum(job.licences.get("qpu_echo", 0) for job in jobs) == students
        assert len({saga["port"] for saga in hub.journal()}) == students
        times = [float(line) for line in calls.read_text().split()]
        assert len(times) <= took_s / 5 + 2, (len(times), took_s)
        assert all(later - earlier > 4.5 for earlier, later in itertools.pairwise(times)), times
        # Who was first in the queue was first on a node.
        begun_ms = [job.start_ms for job in sorted(jobs, key=lambda job: job.job_id)]
        assert begun_ms == sorted(begun_ms, key=lambda ms: ms or 0)
        then()
        # All at once, too: each stop waits for the next answer of Slurm.
        with ThreadPoolExecutor(len(paths)) as pool:
            list(pool.map(lambda path: hub.api(f"users/{path}/server", "DELETE"), paths))
        wait_until(lambda: not hub.journal(), "nothing is left to undo", 120)
        assert cluster.slurm().jobs() == ()
        assert {one.used for one in cluster.slurm().licences()} == {0}
        forms = sorted(onlooker.took_s)
        print(
            f"{students} students: all served in {took_s:.1f} s, {len(times)} calls of squeue; "
            f"{len(forms)} forms in {forms[len(forms) // 2]:.2f} s (median), {forms[-1]:.2f} s (longest)"
        )
    finally:
        hub.stop()
