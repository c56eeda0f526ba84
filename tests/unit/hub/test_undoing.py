"""Undoing goes on until nothing is left, whoever is away meanwhile; a Slurm that cannot be asked is no answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.errors import GatewayError, SlurmError
from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub import undoing
from qmio_jupyter.hub.journal import Entry, Journal
from qmio_jupyter.hub.saga import Saga, Step
from qmio_jupyter.hub.undoing import SETTLE_MS, Undoer
from qmio_jupyter.model.ids import mint
from qmio_jupyter.slurm.cache import Answer
from qmio_jupyter.slurm.jobs import Job

GRANT = mint("g", 5, bytes(10))


class Away:
    """A gateway and a cluster that are away for their first calls."""

    def __init__(self, times: int, *, job: bool = True) -> None:
        self.times = {"revoke": times, "cancel": times, "jobs": times}
        self.grant, self.job = True, job
        self.calls: list[str] = []

    def _call(self, what: str, error: Exception) -> None:
        self.calls.append(what)
        if self.times[what]:
            self.times[what] -= 1
            raise error

    async def revoke(self, grant_id: str) -> None:
        assert grant_id == GRANT
        self._call("revoke", GatewayError("away", retryable=True))
        self.grant = False

    async def cancel(self, name: str, *, owner: str) -> None:
        assert (name, owner) == (f"qmio-{GRANT}", "alice")
        self._call("cancel", SlurmError("away", code="slurm.unreachable", retryable=True))
        self.job = False

    async def jobs(self, *, after_s: float | None = None) -> Answer:
        assert after_s == 3.0
        self._call("jobs", SlurmError("away", code="slurm.unreachable", retryable=True))
        job = Job(job_id=7, uid=1, user="alice", state="COMPLETING", submit_ms=0, name=f"qmio-{GRANT}")
        return Answer(3.0, (job,) if self.job else (), {})

    def now_s(self) -> float:
        return 3.0


def run(world: Any, saga: Saga, journal: Journal, now_ms: int = 10**9) -> None:
    async def through() -> None:
        undoer = Undoer(world, world, journal, lambda: now_ms)
        entry = Entry(saga=saga, user="alice", owner="alice")
        assert undoer.undo(entry) is undoer.undo(entry)
        assert undoer.busy == (GRANT,)
        await asyncio.wait_for(undoer.undo(entry), 20)
        assert undoer.busy == ()

    asyncio.run(through())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undoing, "PAUSES_S", (0.0,))


def submitted() -> Saga:
    return s.submitted(s.begun(s.granted(Saga(grant_id=GRANT)), Step.SUBMIT, 10**9), "7", "mini")


@pytest.mark.parametrize("times", [0, 1, 3])
def test_nothing_is_left_however_often_they_are_away(tmp_path: Path, times: int) -> None:
    world = Away(times)
    journal = Journal(tmp_path)
    run(world, submitted(), journal)
    assert (world.grant, world.job, journal.entries()) == (False, False, [])
    assert world.calls.count("revoke") == times + 1


def test_a_gateway_that_is_away_keeps_no_job(tmp_path: Path) -> None:
    class Gone(Away):
        async def revoke(self, grant_id: str) -> None:
            if self.job:
                self.calls.append("revoke")
                raise GatewayError("away", retryable=True)
            await super().revoke(grant_id)

    world = Gone(0)
    run(world, submitted(), Journal(tmp_path))
    assert world.calls == ["revoke", "cancel", "jobs", "revoke"]


def test_a_job_that_is_still_ending_is_waited_for(tmp_path: Path) -> None:
    class Slow(Away):
        async def cancel(self, name: str, *, owner: str) -> None:
            self.calls.append("cancel")
            self.job = self.calls.count("cancel") < 3

    world = Slow(0)
    run(world, submitted(), Journal(tmp_path))
    assert world.calls.count("cancel") == 3


def test_an_sbatch_without_an_answer_is_given_its_time(tmp_path: Path) -> None:
    saga = s.begun(s.granted(Saga(grant_id=GRANT)), Step.SUBMIT, 10**9)
    journal = Journal(tmp_path)

    async def early() -> None:
        undoer = Undoer(Away(0, job=False), Away(0), journal, lambda: 10**9 + SETTLE_MS - 1)  # type: ignore[arg-type]
        task = undoer.undo(Entry(saga=saga, user="alice", owner="alice"))
        done, _ = await asyncio.wait({task}, timeout=0.3)
        assert not done
        assert len(journal.entries()) == 1
        task.cancel()

    asyncio.run(early())
    run(Away(0, job=False), saga, journal, 10**9 + SETTLE_MS)
    assert journal.entries() == []
