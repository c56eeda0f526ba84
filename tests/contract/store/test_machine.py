"""Memory and SQLite agree, whatever is committed in whatever order (the memory store is the model)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceSaved,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    GrantSaved,
    JobSecretDropped,
    JobSecretSaved,
    ProgramDropped,
    ProgramStored,
    Record,
    SessionSaved,
    SnapshotSaved,
    TaskForgotten,
    TaskInserted,
    UsageRow,
    UsageSaved,
)
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery, TaskStore
from qmio_jupyter.store.memory import MemoryStore, Tables
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers

NUMBERS = st.integers(0, 4)
TENANTS = st.sampled_from(["physics/ana", "physics/eva"])
NAMES = st.sampled_from(["one", "two"])

small_records: st.SearchStrategy[Record] = st.one_of(
    st.builds(EpochSaved, epoch=st.integers(1, 50)),
    st.builds(
        lambda number, tenant, label: TaskInserted(task=ledgers.new_task(number, tenant=tenant, label=label)),
        NUMBERS,
        TENANTS,
        st.sampled_from(["", "bell", "Ω \x00'"]),
    ),
    st.builds(lambda number: TaskForgotten(task_id=ledgers.task_id(number)), NUMBERS),
    st.builds(
        lambda number, ms: ForgottenIdSaved(
            forgotten=ForgottenId(task_id=ledgers.task_id(number), forgotten_ms=ms)
        ),
        NUMBERS,
        st.integers(0, 9),
    ),
    st.builds(lambda number: ForgottenIdDropped(task_id=ledgers.task_id(number)), NUMBERS),
    st.builds(
        lambda tenant, name: ProgramStored(tenant=tenant, program=ledgers.program(name), stored_ms=1),
        TENANTS,
        NAMES,
    ),
    st.builds(
        lambda tenant, name: ProgramDropped(tenant=tenant, digest=ledgers.program(name).digest),
        TENANTS,
        NAMES,
    ),
    st.builds(
        lambda name, closed: SessionSaved(
            session=msgspec.structs.replace(ledgers.session(name), closed_ms=1 if closed else None)
        ),
        NAMES,
        st.booleans(),
    ),
    st.builds(lambda name: GrantSaved(grant=ledgers.grant(name)), NAMES),
    st.builds(lambda name: JobSecretSaved(secret=ledgers.job_secret(name)), NAMES),
    st.builds(lambda name: JobSecretDropped(cluster="c", job_id="7", node=name), NAMES),
    st.builds(lambda name: BookingSaved(booking=ledgers.booking(name)), NAMES),
    st.builds(lambda name: EnrolmentSaved(enrolment=ledgers.enrolment(name)), NAMES),
    st.builds(lambda name: EnrolmentDropped(key=name), NAMES),
    st.builds(lambda name: SnapshotSaved(snapshot=ledgers.snapshot(name)), NAMES),
    st.builds(lambda name: DeviceSaved(device=ledgers.device(name)), NAMES),
    st.builds(
        lambda name, seconds: UsageSaved(
            rows=(UsageRow(device="echo", node=name, seconds=seconds, as_of_ms=1),)
        ),
        NAMES,
        st.floats(0, 1e12),
    ),
)


class LedgerMachine(RuleBasedStateMachine):
    """The same batches to both; the same answers from both."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="qmio-machine-"))
        self.tables = Tables()
        self.stores: tuple[TaskStore, TaskStore] = (MemoryStore(self.tables), self._open())

    def _open(self) -> SqliteStore:
        return SqliteStore(self.directory / "ledger.sqlite")

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.directory)

    def both(self, batch: list[Record]) -> None:
        memory, sqlite = (store.commit(batch).exception(60) for store in self.stores)
        assert type(memory) is type(sqlite)
        assert str(memory) == str(sqlite)

    @initialize()
    def begin(self) -> None:
        self.both([TaskInserted(task=ledgers.new_task(0)), TaskInserted(task=ledgers.new_task(1))])

    @rule(batch=st.lists(small_records, max_size=5))
    def commit(self, batch: list[Record]) -> None:
        self.both(batch)

    @rule(
        number=NUMBERS,
        state=st.sampled_from(TaskState),
        skew=st.sampled_from([{}] * 5 + [{"expect_revision": 1}, {"expect_attempt": 3}, {"expect_epoch": 7}]),
        result=st.sampled_from(["", "partial", "final"]),
        before=st.booleans(),
        epoch=st.integers(1, 2),
    )
    def move(
        self, number: int, state: TaskState, skew: dict[str, int], result: str, before: bool, epoch: int
    ) -> None:
        """Change a task as it is now, or as it is not; with a result of its claim before or after."""
        task = self.stores[0].task(ledgers.task_id(number), None) or ledgers.new_task(number)
        after = ledgers.moved(task, state, epoch=epoch)
        batch: list[Record] = [msgspec.structs.replace(ledgers.update(task, after, "moved"), **skew)]
        if result:
            stored = ledgers.result_of(after, revision=after.revision, is_final=result == "final")
            batch.insert(0 if before else 1, stored)
        self.both(batch)

    @rule(number=NUMBERS, is_final=st.booleans())
    def record(self, number: int, is_final: bool) -> None:
        """Store a result by itself."""
        task: Task = self.stores[0].task(ledgers.task_id(number), None) or ledgers.new_task(number)
        self.both([ledgers.result_of(task, revision=task.revision, is_final=is_final)])

    @rule()
    def resume(self) -> None:
        for store in self.stores:
            store.resume()

    @rule()
    def reopen(self) -> None:
        for store in self.stores:
            store.close()
        self.stores = (MemoryStore(self.tables), self._open())

    @rule(
        tenant=st.none() | TENANTS,
        limit=st.integers(1, 4),
        before=st.none() | NUMBERS.map(ledgers.task_id),
        states=st.lists(st.sampled_from(TaskState), max_size=2).map(tuple),
        label=st.sampled_from(["", "be", "Ω", "'", "\x00"]),
    )
    def list(
        self,
        tenant: str | None,
        limit: int,
        before: str | None,
        states: tuple[TaskState, ...],
        label: str,
    ) -> None:
        query = TaskQuery(tenant=tenant, limit=limit, before=before, states=states, label=label)
        pages = [store.tasks(query) for store in self.stores]
        assert pages[0] == pages[1]

    @invariant()
    def same_answers(self) -> None:
        memory, sqlite = self.stores
        state = memory.load_live()
        assert sqlite.load_live() == state
        for number in range(5):
            task_id = ledgers.task_id(number)
            assert sqlite.task(task_id, None) == memory.task(task_id, None)
            assert sqlite.transitions(task_id) == memory.transitions(task_id)
            for partial in (True, False):
                assert sqlite.result(task_id, partial=partial) == memory.result(task_id, partial=partial)
        for name in ("one", "two"):
            digest = ledgers.program(name).digest
            assert sqlite.program("physics/ana", digest) == memory.program("physics/ana", digest)
            assert sqlite.snapshot(digest) == memory.snapshot(digest)


LedgerMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLedgerMachine = LedgerMachine.TestCase
