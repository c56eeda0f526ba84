"""A centre's gateway and hub under a class: sessions opened per second, and what asking Slurm costs for 1,000 users."""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes

from centre import Site, counting, site
from figures import Figure
from product import Product

from qmio_jupyter.auth import munge
from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub.check import Request
from qmio_jupyter.hub.journal import Entry
from qmio_jupyter.hub.names import Account
from qmio_jupyter.hub.office import Office
from qmio_jupyter.hub.saga import Mark, Saga
from qmio_jupyter.hub.starting import Start
from qmio_jupyter.model.allocation import JobRun
from qmio_jupyter.model.ids import mint
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.slurm.verifier import SlurmVerifier
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.door import Door
from qmio_jupyter.testing.slurm import until
from qmio_jupyter.wire import messages as m

USERS = 1_000
#: Seconds for which the simulated users wait.
WAIT_S = 30.0
_SLEEP = b"#!/bin/sh\nexec sleep 3600\n"


def _idle_job(here: Site) -> str:
    request = JobRequest(name="idle", output="/dev/null", directory="/tmp", memory_mb=100, limit_min=60)
    adapter = here.cluster.slurm()
    job_id = adapter.submit(_SLEEP, request).job_id
    until(lambda: any(job.is_running for job in adapter.job(job_id)), "the job runs")
    return str(job_id)


def sessions(product: Product, scale: float) -> list[Figure]:  # noqa: ARG001 - a centre of its own
    """Measure how many keys a second prove themselves: CURVE, question, MUNGE, Slurm's word, one durable commit."""
    if missing := slurm.missing():
        print(f"  left out, for {missing} is missing", file=sys.stderr)
        return []
    count = max(20, int(400 * scale))
    with site(users=False) as here:
        job = _idle_job(here)
        gateway = here.centre.address()

        def opened(_: int) -> None:
            door = Door(gateway, cluster=here.cluster.cluster)
            try:
                payload = door.payload(door.nonce(), job)
                made = munge.encode(payload, only_for=os.geteuid(), path=str(here.cluster.munge_socket))
                body = m.SessionOpen(cluster=here.cluster.cluster, job_id=job, credential=made)
                answer = door.ask(body)
                assert isinstance(answer, m.SessionState), answer
            finally:
                door.close()

        opened(0)
        with ThreadPoolExecutor(8) as pool:
            began = time.perf_counter()
            list(pool.map(opened, range(count)))
            took = time.perf_counter() - began
        calls = here.calls("gateway-squeue")
        here.cluster.cancel_all()
    detail = {"sessions": count, "seconds": took, "squeue": calls, "squeue_allowed": took / 5 + 2}
    name = "sessions opened and proved, 8 at once"
    return [Figure(name=name, value=count / took, unit="sessions/s", target=30, best="high", detail=detail)]


def _own_s() -> float:
    return time.process_time()


def _commands_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _median(work: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        began = _own_s()
        work()
        taken.append(_own_s() - began)
    return statistics.median(taken)


def scheduler(product: Product, scale: float) -> list[Figure]:  # noqa: ARG001 - a centre of its own
    """Measure one query of 1,000 jobs, the answers made of it, and a hub at which 1,000 users wait."""
    if missing := slurm.missing():
        print(f"  left out, for {missing} is missing", file=sys.stderr)
        return []
    users = max(50, int(USERS * scale))
    wait_s = max(11.0, WAIT_S * scale)
    with site(users=False) as here:
        adapter = here.cluster.slurm()
        grants = [mint("g", 1, token_bytes(10)) for _ in range(users)]

        def submitted(grant_id: str) -> int:
            # More than there is room for: nearly all of them wait, as a class does.
            wanted = JobRequest(
                name=s.JOB_NAME + grant_id, output="/dev/null", directory="/tmp",
                memory_mb=100, cpus_per_task=4, limit_min=60,
            )  # fmt: skip
            return adapter.submit(_SLEEP, wanted).job_id

        with ThreadPoolExecutor(4) as pool:
            numbers = list(pool.map(submitted, grants))
        commands_s = _commands_s()
        parse_s = _median(adapter.jobs)
        squeue_s = (_commands_s() - commands_s) / 5
        cache = JobCache(adapter.jobs)
        verifier = SlurmVerifier(lambda: here.cluster.cluster, cache, adapter.nodes)
        known = [JobRun(here.cluster.cluster, str(job.job_id), job.submit_ms, 0) for job in cache.get().jobs]
        ended_s = _median(lambda: verifier.ended(known))
        cache.close()
        hub_s, hub_squeue_s, calls, told = asyncio.run(_waiting(here, grants, numbers, wait_s))
    detail = {
        "users": users,
        "squeue_itself_ms": squeue_s * 1e3,
        "reading_its_answer_ms": parse_s * 1e3,
        "gateway_which_of_them_ended_ms": ended_s * 1e3,
        "hub_squeue_ms_per_s": hub_squeue_s / wait_s * 1e3,
        "looks_per_s": told / wait_s,
        "squeue_calls": calls,
        "squeue_allowed": wait_s / 5 + 1,
    }
    return [
        Figure(
            name=f"processor time of a hub at which {users} users wait",
            value=hub_s / wait_s * 100,
            unit="% of a core",
            target=10,
            detail=detail,
        ),
        Figure(
            name=f"squeue calls with {users} waiting / one in 5 s",
            value=calls / (wait_s / 5 + 1),
            unit="ratio",
            target=1.0,
            detail={"calls": calls, "seconds": wait_s},
        ),
    ]


async def _waiting(
    here: Site, grants: list[str], numbers: list[int], wait_s: float
) -> tuple[float, float, int, int]:
    """Have all of them wait as the hub's starts do.

    Returns
    -------
    tuple
        (processor seconds of this process, of its commands, calls of squeue, looks).
    """
    squeue = counting(here.root, here.notes, here.cluster.commands().squeue, "hub-squeue")
    journal = Path(here.root / "journal")
    office = Office(here.cluster.commands(squeue=squeue), [here.centre.address()], journal)
    account = Account(name="root", uid=os.geteuid(), gid=os.getegid(), home="/")
    request = Request(
        device="echo", kind="interactive", partition="all", cores=4, memory_mib=100, gpus=0, walltime_min=60
    )
    looks = 0

    async def is_ours(*_: object) -> bool:
        raise AssertionError("none of them starts")

    async def wait(grant_id: str, number: int) -> None:
        nonlocal looks
        saga = Saga(
            grant_id=grant_id, cluster=here.cluster.cluster, grant=Mark.YES, job=Mark.YES, job_id=str(number),
            bound=Mark.YES,
        )  # fmt: skip
        entry = Entry(saga=saga, user="student", owner=account.name)
        start = Start(office, entry, request, account, "hub/student", lambda _: None, is_ours)
        while True:
            await start.wait_for_news()
            looks += 1

    waiting = [asyncio.ensure_future(wait(*one)) for one in zip(grants, numbers, strict=True)]
    began_s, commands_s = _own_s(), _commands_s()
    done, _ = await asyncio.wait(waiting, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    used = _own_s() - began_s, _commands_s() - commands_s, here.calls("hub-squeue"), looks
    for one in done:
        one.result()
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    # What they share is still being asked for: let that end before the link does.
    await office.devices()
    office.cluster.close()
    await office.promises.close()
    return used
