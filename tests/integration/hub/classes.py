"""A class that starts at once: everybody gets a node and a session, and Slurm is not asked more often for it."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm

#: Answers as a single-user server does when it is asked whether it is up, and needs next to no memory.
LIGHT = """
import http.server, os
from urllib.parse import urlsplit

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass

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


def start_class(
    students: int, site: Path, here: Path, cluster: MiniSlurm, centre: Centre, python: str, unix: str | None
) -> None:
    """Start a server for each student within some seconds, see them all served, and stop them."""
    names = [f"student{number}" for number in range(students)]
    light = here / "light.py"
    light.write_text(LIGHT)
    squeue, calls = counting(here, cluster.commands().squeue)
    (here / "hub").mkdir()
    hub = Hub(
        here / "hub",
        cluster,
        centre,
        python=python,
        users=None if unix is None else dict.fromkeys(names, unix),
        settings={
            "cmd": [python, str(light)],
            "slurm": {"config": cluster.commands().config, "squeue": squeue},
            "limits": {"cores": 1, "memory_mib": 100, "walltime_min": 30},
        },
    ).start()
    try:
        paths = [hub.user(name) for name in names]
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
        assert failures == dict.fromkeys(paths, "")
        jobs = cluster.slurm().jobs()
        assert len(jobs) == students
        assert len({job.name for job in jobs}) == students
        assert sum(job.licences.get("qpu_echo", 0) for job in jobs) == students
        assert len({saga["port"] for saga in hub.journal()}) == students
        times = [float(line) for line in calls.read_text().split()]
        assert len(times) <= took_s / 5 + 2, (len(times), took_s)
        assert all(later - earlier > 4.5 for earlier, later in itertools.pairwise(times)), times
        for path in paths:
            hub.api(f"users/{path}/server", "DELETE")
        wait_until(lambda: not hub.journal(), "nothing is left to undo", 120)
        assert cluster.slurm().jobs() == ()
        assert {one.used for one in cluster.slurm().licences()} == {0}
        print(f"{students} students: all served in {took_s:.1f} s, {len(times)} calls of squeue")
    finally:
        hub.stop()
