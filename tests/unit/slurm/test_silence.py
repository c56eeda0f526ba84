"""A squeue that hangs, breaks off, dies or complains: nobody's job is gone for it, and it is asked no more often."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.model.allocation import JobRun
from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.jobs import FIELDS
from qmio_jupyter.slurm.verifier import SlurmVerifier

INTERVAL_S = 0.3
RUN = JobRun("east", "7", 1_700_000_000_000, 0)
_OF_JOB = {
    "JobID": "7", "ArrayJobID": "7", "ArrayTaskID": "N/A", "HetJobID": "0", "HetJobOffset": "N/A", "UserID": "1001",
    "UserName": "ana", "State": "RUNNING", "RestartCnt": "0", "SubmitTime": "2023-11-14T22:13:20", "NodeList": "n1",
}  # fmt: skip
_RECORD = "".join(f"{_OF_JOB.get(field, 'N/A')}\x00" for field in FIELDS) + "\n"
#: The separator is in the last argument, between the fields' names.
_PRINT = r"""
separator=$(printf %s "$last" | sed 's/^JobID:0\(~[0-9a-f]*~\),.*/\1/')
tr '\0' '\1' < RECORD | sed "s/$(printf '\001')/$separator/g" | PART
"""
HEALTHY = _PRINT.replace("PART", "cat")
SILENT = {
    "hangs": "sleep 60",
    "breaks off within a record": _PRINT.replace("PART", "head -c 100"),
    "breaks off and fails": "exit 1",
    "is killed": "kill -9 $$",
    "complains and does not fail": "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2",
    "says something else": "echo 'Segmentation fault (core dumped)'",
}


class Squeue:
    """A squeue that does what the test says."""

    def __init__(self, root: Path) -> None:
        self._path = root / "squeue"
        self._record = root / "record"
        self._record.write_text(_RECORD)
        self._calls = root / "calls"
        self.does(HEALTHY)

    def does(self, body: str) -> None:
        body = body.replace("RECORD", shlex.quote(str(self._record)))
        new = self._path.with_suffix(".new")
        new.write_text(f"#!/bin/sh\nfor last; do :; done\necho >> {shlex.quote(str(self._calls))}\n{body}\n")
        new.chmod(0o755)
        new.replace(self._path)

    @property
    def calls(self) -> int:
        return len(self._calls.read_text().splitlines()) if self._calls.exists() else 0

    def slurm(self) -> Slurm:
        return Slurm(SlurmCommands(squeue=str(self._path), timeout_s=1.0))


@pytest.fixture
def squeue(tmp_path: Path) -> Squeue:
    return Squeue(tmp_path)


@pytest.fixture
def cache(squeue: Squeue) -> Iterator[JobCache]:
    made = JobCache(squeue.slurm().jobs, interval_s=INTERVAL_S)
    yield made
    made.close()


@pytest.mark.parametrize("how", SILENT)
def test_a_job_that_slurm_does_not_speak_of_goes_on(squeue: Squeue, cache: JobCache, how: str) -> None:
    verifier = SlurmVerifier(lambda: "east", cache, list)
    assert verifier.ended((RUN,)) == ()
    known = cache.last
    assert known is not None
    assert known.by_id[7].submit_ms == RUN.submit_ms
    squeue.does(SILENT[how])
    with pytest.raises(SlurmError) as failed:
        cache.after(cache.now_s()).result(20)
    assert failed.value.code == "slurm.unreachable"
    assert failed.value.retryable
    assert cache.last is known, "what was known stays known, with its age"
    squeue.does(HEALTHY)
    assert cache.after(cache.now_s()).result(20).by_id[7] == known.by_id[7]


@pytest.mark.parametrize("how", ["hangs", "breaks off and fails"])
def test_however_many_ask_a_silent_slurm_it_is_called_once_per_interval(
    squeue: Squeue, cache: JobCache, how: str
) -> None:
    squeue.does(SILENT[how])
    began = time.monotonic()

    def insist(_: int) -> int:
        refused = 0
        while time.monotonic() - began < 2.0:
            with pytest.raises(SlurmError):
                cache.get(0.0, timeout_s=20)
            refused += 1
        return refused

    with ThreadPoolExecutor(30) as pool:
        refused = list(pool.map(insist, range(30)))
    took = time.monotonic() - began
    assert min(refused) >= 1
    assert 1 <= squeue.calls <= took / INTERVAL_S + 1
    assert squeue.calls == cache.queries


def test_an_empty_cluster_is_an_answer(squeue: Squeue, cache: JobCache) -> None:
    squeue.does(":")
    assert SlurmVerifier(lambda: "east", cache, list).ended((RUN,)) == (RUN,)
