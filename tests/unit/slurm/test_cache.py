"""One query for everybody: however many ask, however slow Slurm is, whatever it answers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qmio_jupyter.errors import SlurmError
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.complaints import unreachable
from qmio_jupyter.slurm.jobs import Job

JOB = Job(job_id=7, uid=1, user="a", state="RUNNING", submit_ms=1, name="q")


class Source:
    """A query that can be held up and made to fail."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.error: SlurmError | None = None
        self.began: list[float] = []
        self.jobs: list[Job] = [JOB]
        self.running = 0
        self.most = 0

    def __call__(self) -> list[Job]:
        self.began.append(time.monotonic())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            assert self.open.wait(20)
            if self.error is not None:
                raise self.error
            return list(self.jobs)
        finally:
            self.running -= 1


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source) -> Iterator[JobCache]:
    made = JobCache(source, interval_s=0.2)
    yield made
    source.open.set()
    made.close()


def test_many_threads_share_one_query(cache: JobCache, source: Source) -> None:
    source.open.clear()
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(cache.get, 60.0) for _ in range(50)]
        source.open.set()
        answers = {id(one.result(20)) for one in waiting}
    assert len(answers) == 1
    assert len(source.began) == 1


def test_a_thousand_coroutines_share_one_query(cache: JobCache, source: Source) -> None:
    async def all_of_them() -> set[int]:
        return {id(answer) for answer in await asyncio.gather(*(cache.wait(60.0) for _ in range(1000)))}

    assert len(asyncio.run(all_of_them())) == 1
    assert len(source.began) == 1


def test_queries_are_never_closer_than_the_interval_and_never_two_at_once(
    cache: JobCache, source: Source
) -> None:
    for _ in range(4):
        cache.get(0.0)
    gaps = [later - earlier for earlier, later in zip(source.began, source.began[1:], strict=False)]
    assert len(gaps) == 3
    assert min(gaps) >= 0.19
    assert source.most == 1


def test_an_answer_is_used_again_while_it_is_young_enough(cache: JobCache, source: Source) -> None:
    assert cache.get(60.0) is cache.get(60.0)
    assert len(source.began) == 1


def test_what_is_asked_after_a_moment_began_after_it(cache: JobCache, source: Source) -> None:
    source.open.clear()
    early = cache.fresh(60.0)
    while not source.began:
        time.sleep(0.001)
    moment = cache.now_s()
    late = cache.after(moment)
    assert late is not early
    assert cache.fresh(60.0) is early
    source.open.set()
    assert late.result(20).asked_s >= moment
    assert early.result(20).asked_s < moment


def test_a_failure_is_told_and_takes_nothing_away(cache: JobCache, source: Source) -> None:
    first = cache.get()
    source.error = unreachable("squeue", "down")
    with pytest.raises(SlurmError) as failed:
        cache.get(0.0)
    assert failed.value.code == "slurm.unreachable"
    assert cache.last is first
    assert first.by_id[7] is JOB
    source.error = None
    assert cache.get(0.0) is not first


def test_a_defect_in_the_query_is_no_answer(source: Source) -> None:
    def broken() -> list[Job]:
        raise ZeroDivisionError

    with pytest.raises(SlurmError) as failed:
        JobCache(broken).get()
    assert failed.value.code == "slurm.unreachable"


def test_cancelling_one_who_waits_disturbs_nobody(cache: JobCache, source: Source) -> None:
    async def both() -> int:
        source.open.clear()
        impatient = asyncio.ensure_future(cache.wait(60.0))
        patient = asyncio.ensure_future(cache.wait(60.0))
        await asyncio.sleep(0)
        impatient.cancel()
        source.open.set()
        answer = await patient
        assert impatient.cancelled()
        return len(answer.jobs)

    assert asyncio.run(both()) == 1


def test_closing_ends_the_wait(cache: JobCache, source: Source) -> None:
    cache.get()
    waiting = cache.fresh(0.0)
    cache.close()
    with pytest.raises(SlurmError):
        waiting.result(20)
    with pytest.raises(SlurmError):
        cache.fresh(0.0).result(20)


def test_closing_does_not_wait_for_a_query_that_hangs(cache: JobCache, source: Source) -> None:
    source.open.clear()
    waiting = cache.fresh(0.0)
    while not source.began:
        time.sleep(0.001)
    cache.close()
    with pytest.raises(SlurmError):
        waiting.result(0)
    source.open.set()
