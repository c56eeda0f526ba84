"""From the click to ready, minus Slurm's own start: our spawner, QPU session included, against batchspawner.

Both hubs serve the same user on the same cluster in one run, in turns. Slurm's own part is from the beginning of
``sbatch`` to the beginning of the job on its node (a TaskProlog notes it), and is subtracted from both alike.
"""

from __future__ import annotations

import statistics
import sys
import time
import urllib.error
from typing import NamedTuple

from centre import Site, counting, lacking, noting, site
from figures import Figure
from product import Product
from rival import RivalHub, environment

from qmio_jupyter.testing import hub as hubs
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub


class Taken(NamedTuple):
    """Seconds of one start."""

    whole: float
    slurm: float

    @property
    def ours(self) -> float:
        """Without Slurm's part: the spawner's, the hub's and the server's own."""
        return self.whole - self.slurm


def _noted(site: Site, name: str) -> dict[str, float]:
    lines = [line.split() for line in (site.notes / name).read_text().splitlines()]
    return {job.split(";")[0]: float(moment) for job, moment in lines}


def _stop(site: Site, hub: Hub, user: str) -> None:
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.api(f"users/{user}")["servers"], "the server is stopped", 60)
    wait_until(lambda: not site.cluster.slurm().jobs(), "its job is gone", 60)
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)


def one(site: Site, hub: Hub, user: str, **options: object) -> Taken:
    """Start a server and stop it; return what the start took."""
    known = set(_noted(site, "began"))
    clicked = time.time()
    why = hub.ask_for_server(user, **options)
    ready = time.time()
    if why:
        raise RuntimeError(f"{why}: {hub.log()[-3000:]}")
    (job,) = set(_noted(site, "began")) - known
    slurm = _noted(site, "began")[job] - _noted(site, "submitted")[job]
    _stop(site, hub, user)
    return Taken(ready - clicked, slurm)


def starts(product: Product, scale: float) -> list[Figure]:  # noqa: ARG001 - a centre of its own
    """Measure both; the median of the ratios of neighbours."""
    if missing := lacking():
        print(f"  left out, for {missing} is missing", file=sys.stderr)
        return []
    times = max(2, int(9 * scale))
    with site() as here:
        commands = here.cluster.commands()
        for name in ("ours", "theirs"):
            (here.root / name).mkdir()
        ours = Hub(
            here.root / "ours",
            here.cluster,
            here.centre,
            python=hubs.twin_python(here.root / "twin"),
            users=here.users,
            settings={
                "slurm": {
                    "config": commands.config,
                    "sbatch": noting(here.root, here.notes, commands.sbatch, "ours"),
                    "squeue": counting(here.root, here.notes, commands.squeue, "ours-squeue"),
                },
                "limits": {"cores": 1, "memory_mib": 500, "walltime_min": 30},
            },
        )
        theirs = RivalHub(here.root / "theirs", here, environment(here.root), users=here.users)
        try:
            ours.start()
            theirs.start()
            name = next(iter(here.users or {"user": ""}))
            users = {hub: hub.user(name) for hub in (ours, theirs)}
            pairs: list[tuple[Taken, Taken]] = []
            # The first of each reads everything from the disk.
            for number in range(times + 1):
                taken = {}
                for hub in (ours, theirs) if number % 2 else (theirs, ours):
                    taken[hub] = one(here, hub, users[hub], **({"device": "echo"} if hub is ours else {}))
                if number:
                    pairs.append((taken[ours], taken[theirs]))
                print(
                    f"    {taken[ours].ours:.2f} s, {taken[theirs].ours:.2f} s", file=sys.stderr, flush=True
                )
        finally:
            for hub in (ours, theirs):
                try:
                    hub.stop()
                except (OSError, urllib.error.URLError):
                    continue
        detail = {
            "ours_s": statistics.median(a.ours for a, _ in pairs),
            "batchspawner_s": statistics.median(b.ours for _, b in pairs),
            "ours_with_slurm_s": statistics.median(a.whole for a, _ in pairs),
            "batchspawner_with_slurm_s": statistics.median(b.whole for _, b in pairs),
            "pairs": len(pairs),
            "squeue_hub": here.calls("ours-squeue"),
            "squeue_gateway": here.calls("gateway-squeue"),
            "squeue_batchspawner": here.calls("rival-squeue"),
        }
    value = statistics.median(a.ours / b.ours for a, b in pairs)
    name = "click to ready without Slurm's part, session included / batchspawner"
    return [Figure(name=name, value=value, unit="ratio", target=1.0, detail=detail)]
