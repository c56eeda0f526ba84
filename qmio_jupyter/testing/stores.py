"""The contract of `ports.TaskStore` as a test suite: every store subclasses it and passes it whole.

A subclass overrides the fixture `opened`: a callable that opens the same ledger each time it is called (the
store before it is closed by then). Nothing here waits longer than :data:`SOON_S`. The file is long because it
is one contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import msgspec
import pytest

from qmio_jupyter.core.records import (
    BookingSaved,
    DeviceSaved,
    EndedTask,
    EnrolmentDropped,
    EnrolmentSaved,
    EpochSaved,
    ForgottenId,
    ForgottenIdDropped,
    ForgottenIdSaved,
    GrantSaved,
    JobSecretDropped,
    JobSecretSaved,
    KnownProgram,
    LiveState,
    ProgramDropped,
    ProgramStored,
    Record,
    SessionSaved,
    SnapshotSaved,
    TaskForgotten,
    TaskInserted,
    TaskUpdated,
    UsageRow,
    UsageSaved,
)
from qmio_jupyter.errors import StoreError
from qmio_jupyter.model.ids import mint
from qmio_jupyter.model.task import Task, TaskState
from qmio_jupyter.ports import TaskQuery, TaskStore
from qmio_jupyter.testing import ledgers

#: Deadline of every single wait, s.
SOON_S = 60.0

Opened = Callable[[], TaskStore]


def commit(store: TaskStore, *records: Record) -> None:
    """Commit one batch and wait for it."""
    store.commit(records).result(SOON_S)


def refused(future: Future[None]) -> StoreError:
    """Return the `StoreError` that `future` ends with."""
    with pytest.raises(StoreError) as caught:
        future.result(SOON_S)
    assert caught.value.retryable
    return caught.value


def live(store: TaskStore, batches: Sequence[Sequence[Record]]) -> None:
    """Commit each batch in turn."""
    for batch in batches:
        commit(store, *batch)


class StoreConformance:
    """What every store does. Override `opened`."""

    @pytest.fixture
    def opened(self) -> Opened:
        """Return a callable that opens one and the same ledger."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, opened: Opened) -> Iterator[TaskStore]:
        """Return an open store over an empty ledger."""
        store = opened()
        yield store
        store.close()

    # ------------------------------------------------------------ what is committed is there

    def test_an_empty_ledger_is_an_empty_live_state(self, store: TaskStore) -> None:
        """A new gateway starts from nothing."""
        assert store.load_live() == LiveState()

    def test_a_task_comes_back_whole(self, store: TaskStore) -> None:
        """Every field of a task, spec and contract included, survives each of its states."""
        batches, done = ledgers.life(ledgers.new_task(1, label="bell"))
        for batch in batches:
            commit(store, *batch)
            written = [record.task for record in batch if isinstance(record, TaskInserted | TaskUpdated)]
            assert [store.task(done.task_id, None)] == written

    def test_everything_survives_a_reopen(self, store: TaskStore, opened: Opened) -> None:
        """What `load_live` and the reads say does not change by closing and opening."""
        batches, done = ledgers.life(ledgers.new_task(1))
        waiting = ledgers.new_task(2)
        live(store, batches)
        commit(
            store,
            EpochSaved(epoch=4),
            TaskInserted(task=waiting),
            ProgramStored(tenant="physics/ana", program=ledgers.program("one"), stored_ms=5),
            SessionSaved(session=ledgers.session()),
            GrantSaved(grant=ledgers.grant()),
            JobSecretSaved(secret=ledgers.job_secret()),
            BookingSaved(booking=ledgers.booking()),
            EnrolmentSaved(enrolment=ledgers.enrolment()),
            SnapshotSaved(snapshot=ledgers.snapshot("{}")),
            DeviceSaved(device=ledgers.device()),
            UsageSaved(rows=(UsageRow(device="echo", node="physics", seconds=0.1, as_of_ms=9),)),
        )
        before = store.load_live()
        store.close()
        store = opened()
        try:
            assert store.load_live() == before
            assert before == LiveState(
                epoch=4,
                tasks=(waiting,),
                ended=(
                    EndedTask(
                        task_id=done.task_id,
                        tenant="physics/ana",
                        spec_digest=done.spec_digest,
                        state=TaskState.COMPLETED,
                        revision=done.revision,
                        epoch=1,
                        attempt=1,
                        updated_ms=done.updated_ms,
                        programs=tuple(ledgers.program(name).digest for name in ("one", "two")),
                    ),
                ),
                programs=(
                    KnownProgram(
                        tenant="physics/ana",
                        digest=ledgers.program("one").digest,
                        media_type=ledgers.program("one").media_type,
                        size=3,
                    ),
                ),
                sessions=(ledgers.session(),),
                grants=(ledgers.grant(),),
                job_secrets=(ledgers.job_secret(),),
                bookings=(ledgers.booking(),),
                enrolments=(ledgers.enrolment(),),
                devices=(ledgers.device(),),
                usage=(UsageRow(device="echo", node="physics", seconds=0.1, as_of_ms=9),),
            )
            assert store.task(done.task_id, None) == done
            assert store.result(done.task_id, partial=False) == ledgers.result_of(done).result
            assert len(store.transitions(done.task_id)) == 3
            assert store.program("physics/ana", ledgers.program("one").digest) == ledgers.program("one")
            assert store.snapshot(ledgers.snapshot("{}").snapshot_id) == ledgers.snapshot("{}")
        finally:
            store.close()

    def test_a_second_value_replaces_the_first(self, store: TaskStore) -> None:
        """Sessions, grants, bookings, enrolments, devices and usage are kept in their newest form only."""
        session = ledgers.session("s-2")
        grant = msgspec.structs.replace(ledgers.grant(), revoked_ms=8)
        booking = msgspec.structs.replace(ledgers.booking(), cancelled_ms=8)
        enrolment = msgspec.structs.replace(ledgers.enrolment(), note="new")
        device = msgspec.structs.replace(ledgers.device(), snapshot_id="f" * 64)
        usage = UsageRow(device="echo", node="physics", seconds=2.5, as_of_ms=10)
        commit(
            store,
            SessionSaved(session=ledgers.session("s-1")),
            SessionSaved(session=session),
            GrantSaved(grant=ledgers.grant()),
            JobSecretSaved(secret=ledgers.job_secret()),
            BookingSaved(booking=ledgers.booking()),
            EnrolmentSaved(enrolment=ledgers.enrolment()),
            DeviceSaved(device=ledgers.device()),
            UsageSaved(rows=(msgspec.structs.replace(usage, seconds=1.0), usage)),
        )
        commit(
            store,
            SessionSaved(session=msgspec.structs.replace(ledgers.session("s-1"), closed_ms=7)),
            GrantSaved(grant=grant),
            JobSecretSaved(secret=ledgers.job_secret(check=b"d" * 32)),
            BookingSaved(booking=booking),
            EnrolmentSaved(enrolment=enrolment),
            DeviceSaved(device=device),
        )
        assert store.load_live() == LiveState(
            sessions=(session,),
            grants=(grant,),
            job_secrets=(ledgers.job_secret(check=b"d" * 32),),
            bookings=(booking,),
            enrolments=(enrolment,),
            devices=(device,),
            usage=(usage,),
        )

    def test_a_key_without_a_role_is_gone(self, store: TaskStore) -> None:
        """Dropping an enrolment, or one that is not there, leaves none."""
        commit(store, EnrolmentSaved(enrolment=ledgers.enrolment("1" * 64)))
        commit(store, EnrolmentDropped(key="1" * 64), EnrolmentDropped(key="2" * 64))
        assert store.load_live().enrolments == ()

    def test_a_job_on_a_node_has_one_secret_or_none(self, store: TaskStore) -> None:
        """Dropping one, or one that is not there, leaves those of the job's other nodes and of other jobs."""
        for node, job_id in (("n1", "7"), ("n2", "7"), ("n1", "8")):
            commit(store, JobSecretSaved(secret=ledgers.job_secret(node, job_id)))
        gone = JobSecretDropped(cluster="c", job_id="7", node="n1")
        commit(store, gone, gone, JobSecretDropped(cluster="d", job_id="8", node="n1"))
        left = [(secret.node, secret.job_id) for secret in store.load_live().job_secrets]
        assert left == [("n2", "7"), ("n1", "8")]

    def test_programs_belong_to_a_tenant(self, store: TaskStore) -> None:
        """Another tenant's is not found; storing again is harmless; dropping takes one tenant's only."""
        one = ledgers.program("OPENQASM 3.0;")
        for tenant in ("physics/ana", "physics/ana", "physics/eva"):
            commit(store, ProgramStored(tenant=tenant, program=one, stored_ms=1))
        assert store.program("chemistry/ana", one.digest) is None
        commit(store, ProgramDropped(tenant="physics/ana", digest=one.digest))
        commit(store, ProgramDropped(tenant="physics/ana", digest=one.digest))
        assert store.program("physics/ana", one.digest) is None
        assert store.program("physics/eva", one.digest) == one
        assert [known.tenant for known in store.load_live().programs] == ["physics/eva"]

    def test_a_snapshot_never_changes(self, store: TaskStore) -> None:
        """Saving the same id again changes nothing."""
        first = ledgers.snapshot("{}")
        commit(store, SnapshotSaved(snapshot=first))
        commit(store, SnapshotSaved(snapshot=msgspec.structs.replace(first, taken_ms=1)))
        assert store.snapshot(first.snapshot_id) == first
        assert store.snapshot("0" * 64) is None

    def test_the_log_has_every_change_of_state(self, store: TaskStore) -> None:
        """One entry per move, none for an update inside a state, oldest first, with its cause."""
        task = ledgers.new_task(1)
        claimed = ledgers.moved(task, TaskState.CLAIMED)
        renewed = ledgers.moved(claimed, TaskState.RUNNING)
        again = ledgers.moved(renewed, TaskState.RUNNING)
        commit(store, TaskInserted(task=task))
        assert store.transitions(task.task_id) == []
        commit(store, ledgers.update(task, claimed, "dispatched"))
        commit(store, ledgers.update(claimed, renewed, "started"))
        commit(store, ledgers.update(renewed, again, "renewed"))
        assert store.transitions(task.task_id) == [
            (2, TaskState.QUEUED, TaskState.CLAIMED, claimed.updated_ms, "dispatched"),
            (3, TaskState.CLAIMED, TaskState.RUNNING, renewed.updated_ms, "started"),
        ]
        assert store.transitions(ledgers.task_id(9)) == []

    # ------------------------------------------------------------ results

    def test_partial_results_replace_each_other_until_the_final_one(self, store: TaskStore) -> None:
        """Asking without `partial` gives nothing until the end; asking with it gives the newest."""
        task = ledgers.moved(ledgers.new_task(1), TaskState.CLAIMED)
        commit(store, TaskInserted(task=task))
        assert store.result(task.task_id, partial=True) is None
        for revision in (1, 2):
            partial = ledgers.result_of(task, revision=revision, is_final=False)
            commit(store, partial)
            assert store.result(task.task_id, partial=True) == partial.result
            assert store.result(task.task_id, partial=False) is None
        final = ledgers.result_of(task, revision=3)
        commit(store, final)
        assert store.result(task.task_id, partial=True) == final.result
        assert store.result(task.task_id, partial=False) == final.result

    @pytest.mark.parametrize("is_final", [True, False])
    def test_nothing_comes_after_a_final_result(self, store: TaskStore, is_final: bool) -> None:
        """A result is recorded exactly once."""
        batches, done = ledgers.life(ledgers.new_task(1))
        live(store, batches)
        refused(store.commit([ledgers.result_of(done, revision=9, is_final=is_final)]))
        assert store.result(done.task_id, partial=True) == ledgers.result_of(done).result

    @pytest.mark.parametrize("is_final", [True, False])
    @pytest.mark.parametrize("change", [{"epoch": 2}, {"attempt": 2}, {"task_id": ledgers.task_id(5)}])
    def test_a_result_of_another_claim_is_refused(
        self, store: TaskStore, change: dict[str, int | str], is_final: bool
    ) -> None:
        """Late and foreign results are fenced in the ledger, too."""
        task = ledgers.moved(ledgers.new_task(1), TaskState.CLAIMED)
        commit(store, TaskInserted(task=task))
        stale = msgspec.structs.replace(ledgers.result_of(task, is_final=is_final), **change)
        refused(store.commit([stale]))
        assert store.result(task.task_id, partial=True) is None

    # ------------------------------------------------------------ guards

    def test_a_second_task_of_an_id_is_refused(self, store: TaskStore) -> None:
        """Also when both are in one batch, and nothing of that batch stays."""
        one, two = ledgers.new_task(1), ledgers.new_task(2)
        refused(store.commit([TaskInserted(task=two), TaskInserted(task=one), TaskInserted(task=one)]))
        assert store.load_live() == LiveState()
        store.resume()
        commit(store, TaskInserted(task=one))
        refused(store.commit([TaskInserted(task=ledgers.new_task(1, device="other"))]))
        assert store.task(one.task_id, None) == one

    @pytest.mark.parametrize(
        "change",
        [
            {"expect_state": TaskState.RUNNING},
            {"expect_revision": 1},
            {"expect_epoch": 2},
            {"expect_attempt": 2},
        ],
    )
    def test_an_update_needs_all_four_guards(
        self, store: TaskStore, change: dict[str, int | TaskState]
    ) -> None:
        """An update of a task that is not what the writer thought is a failed commit."""
        task = ledgers.new_task(1)
        claimed = ledgers.moved(task, TaskState.CLAIMED)
        commit(store, TaskInserted(task=task))
        commit(store, ledgers.update(task, claimed))
        good = ledgers.update(claimed, ledgers.moved(claimed, TaskState.RUNNING))
        refused(store.commit([msgspec.structs.replace(good, **change)]))
        assert store.task(task.task_id, None) == claimed
        assert len(store.transitions(task.task_id)) == 1
        store.resume()
        commit(store, good)
        assert store.task(task.task_id, None) == good.task

    def test_an_update_of_no_task_is_refused(self, store: TaskStore) -> None:
        """There is no update-or-insert."""
        task = ledgers.new_task(1)
        refused(store.commit([ledgers.update(task, ledgers.moved(task, TaskState.CLAIMED))]))

    @pytest.mark.parametrize("epoch", [2, 3])
    def test_the_epoch_only_rises(self, store: TaskStore, epoch: int) -> None:
        """Two gateways never have the same one."""
        commit(store, EpochSaved(epoch=3))
        refused(store.commit([EpochSaved(epoch=epoch)]))
        assert store.load_live().epoch == 3
        store.resume()
        commit(store, EpochSaved(epoch=4))
        assert store.load_live().epoch == 4

    def test_forgetting_takes_everything_of_a_final_task(self, store: TaskStore) -> None:
        """Task, log and results go; a live or absent task cannot be forgotten."""
        batches, done = ledgers.life(ledgers.new_task(1))
        waiting = ledgers.new_task(2)
        live(store, batches)
        commit(store, TaskInserted(task=waiting))
        commit(store, TaskForgotten(task_id=done.task_id))
        assert store.task(done.task_id, None) is None
        assert store.transitions(done.task_id) == []
        assert store.result(done.task_id, partial=True) is None
        assert store.load_live().ended == ()
        for task_id in (done.task_id, waiting.task_id):
            refused(store.commit([TaskForgotten(task_id=task_id)]))
            store.resume()
        assert store.load_live().tasks == (waiting,)
        live(store, batches)
        assert store.task(done.task_id, None) == done

    def test_forgotten_ids_are_kept_until_they_are_dropped(self, store: TaskStore) -> None:
        """In their order; saved once more, one keeps its place."""
        first, second = (ForgottenId(task_id=ledgers.task_id(n), forgotten_ms=n) for n in (5, 3))
        commit(store, ForgottenIdSaved(forgotten=first), ForgottenIdSaved(forgotten=second))
        assert store.load_live().forgotten == (first, second)
        later = msgspec.structs.replace(first, forgotten_ms=9)
        commit(store, ForgottenIdSaved(forgotten=later))
        assert store.load_live().forgotten == (later, second)
        commit(store, ForgottenIdDropped(task_id=first.task_id), ForgottenIdDropped(task_id="t-none"))
        assert store.load_live().forgotten == (second,)

    # ------------------------------------------------------------ failed commits

    def test_a_failed_batch_leaves_nothing(self, store: TaskStore) -> None:
        """Whatever stands before the record that fails is undone, of every kind of record."""
        batches, done = ledgers.life(ledgers.new_task(1))
        running = ledgers.moved(ledgers.moved(ledgers.new_task(2), TaskState.CLAIMED), TaskState.RUNNING)
        live(store, batches)
        commit(
            store,
            TaskInserted(task=running),
            ledgers.result_of(running, is_final=False),
            EnrolmentSaved(enrolment=ledgers.enrolment("1" * 64)),
            EnrolmentSaved(enrolment=ledgers.enrolment("2" * 64)),
            ProgramStored(tenant="physics/ana", program=ledgers.program("one"), stored_ms=1),
            ProgramStored(tenant="physics/ana", program=ledgers.program("two"), stored_ms=1),
            SessionSaved(session=ledgers.session()),
            JobSecretSaved(secret=ledgers.job_secret()),
            ForgottenIdSaved(forgotten=ForgottenId(task_id=ledgers.task_id(9), forgotten_ms=1)),
        )
        before = store.load_live()
        ended = ledgers.moved(running, TaskState.COMPLETED)
        refused(
            store.commit(
                [
                    EpochSaved(epoch=9),
                    TaskInserted(task=ledgers.new_task(3)),
                    ledgers.update(running, ended),
                    ledgers.result_of(ended),
                    TaskForgotten(task_id=done.task_id),
                    ForgottenIdSaved(forgotten=ForgottenId(task_id=done.task_id, forgotten_ms=1)),
                    ForgottenIdDropped(task_id=ledgers.task_id(9)),
                    ProgramStored(tenant="physics/eva", program=ledgers.program("one"), stored_ms=1),
                    ProgramDropped(tenant="physics/ana", digest=ledgers.program("one").digest),
                    SessionSaved(session=msgspec.structs.replace(ledgers.session(), closed_ms=1)),
                    GrantSaved(grant=ledgers.grant()),
                    JobSecretSaved(secret=ledgers.job_secret("n2")),
                    JobSecretDropped(cluster="c", job_id="7", node="n1"),
                    BookingSaved(booking=ledgers.booking()),
                    EnrolmentDropped(key="1" * 64),
                    SnapshotSaved(snapshot=ledgers.snapshot("{}")),
                    DeviceSaved(device=ledgers.device()),
                    UsageSaved(rows=(UsageRow(device="echo", node="physics", seconds=1.0, as_of_ms=1),)),
                    EpochSaved(epoch=9),
                ]
            )
        )
        assert store.load_live() == before
        assert store.task(running.task_id, None) == running
        assert store.result(running.task_id, partial=False) is None
        assert store.result(running.task_id, partial=True) is not None
        assert store.result(done.task_id, partial=False) == ledgers.result_of(done).result
        assert len(store.transitions(done.task_id)) == 3
        assert store.transitions(running.task_id) == []
        assert store.snapshot(ledgers.snapshot("{}").snapshot_id) is None

    def test_after_a_failure_all_fail_until_resume(self, store: TaskStore) -> None:
        """Those before it are kept, those behind it refused in order, and `resume` opens the line again."""
        first = [store.commit([TaskInserted(task=ledgers.new_task(number))]) for number in range(3)]
        bad = store.commit([TaskInserted(task=ledgers.new_task(0))])
        behind = [store.commit([TaskInserted(task=ledgers.new_task(number))]) for number in range(3, 6)]
        behind.append(store.commit([]))
        for future in first:
            future.result(SOON_S)
        assert "exists already" in refused(bad).message
        for future in behind:
            assert "resume" in refused(future).message
        assert "resume" in refused(store.commit([TaskInserted(task=ledgers.new_task(7))])).message
        assert [task.task_id for task in store.load_live().tasks] == [ledgers.task_id(n) for n in range(3)]
        store.resume()
        commit(store, TaskInserted(task=ledgers.new_task(8)))
        assert len(store.load_live().tasks) == 4

    def test_what_was_queued_before_resume_stays_refused(self, store: TaskStore) -> None:
        """A batch of a discarded core never lands after the reload, however slow the writer is."""
        bad = store.commit([TaskInserted(task=ledgers.new_task(0)), TaskInserted(task=ledgers.new_task(0))])
        stale = [store.commit([TaskInserted(task=ledgers.new_task(number))]) for number in range(1, 50)]
        store.resume()
        fresh = store.commit([TaskInserted(task=ledgers.new_task(100))])
        refused(bad)
        for future in stale:
            refused(future)
        fresh.result(SOON_S)
        assert [task.task_id for task in store.load_live().tasks] == [ledgers.task_id(100)]

    def test_resume_without_a_failure_changes_nothing(self, store: TaskStore) -> None:
        """It may be called at any time."""
        store.resume()
        commit(store, TaskInserted(task=ledgers.new_task(1)))
        store.resume()
        commit(store, TaskInserted(task=ledgers.new_task(2)))
        assert len(store.load_live().tasks) == 2

    def test_futures_end_in_order(self, store: TaskStore) -> None:
        """Effects are released by them; a failed one keeps its place."""
        order: list[int] = []
        futures = []
        for number in range(300):
            batch: list[Record] = [TaskInserted(task=ledgers.new_task(min(number, 200)))]
            future = store.commit(batch if number % 7 else [])
            future.add_done_callback(lambda _, number=number: order.append(number))  # type: ignore[misc]
            futures.append(future)
        outcomes = [future.exception(SOON_S) is None for future in futures]
        store.close()
        assert order == list(range(300))
        assert outcomes == [number <= 200 for number in range(300)]

    def test_a_commit_cannot_be_cancelled(self, store: TaskStore) -> None:
        """Whoever gives up waiting for it does not change what becomes of it."""
        future = store.commit([TaskInserted(task=ledgers.new_task(1))])
        assert not future.cancel()
        future.result(SOON_S)

    def test_closing_finishes_what_is_queued(self, store: TaskStore, opened: Opened) -> None:
        """Then nothing more is accepted; closing twice is harmless."""
        futures = [store.commit([TaskInserted(task=ledgers.new_task(number))]) for number in range(100)]
        store.close()
        assert all(future.done() and future.exception() is None for future in futures)
        refused(store.commit([TaskInserted(task=ledgers.new_task(100))]))
        store.close()
        again = opened()
        try:
            assert len(again.load_live().tasks) == 100
        finally:
            again.close()

    # ------------------------------------------------------------ reading

    def test_another_tenants_task_is_an_absent_one(self, store: TaskStore) -> None:
        """None is everybody: operators and monitors."""
        task = ledgers.new_task(1, tenant="physics/ana")
        commit(store, TaskInserted(task=task))
        assert store.task(task.task_id, "physics/ana") == task
        assert store.task(task.task_id, None) == task
        for tenant in ("physics/eva", "physics", "physics/ana/x", ""):
            assert store.task(task.task_id, tenant) is None
            assert store.tasks(TaskQuery(tenant=tenant)) == []
        assert store.task(ledgers.task_id(2), "physics/ana") is None

    @pytest.fixture
    def listed(self, store: TaskStore) -> list[Task]:
        """Twelve tasks of two tenants on two devices, newest first; pairs share an instant."""
        tasks = []
        for number in range(12):
            task = ledgers.new_task(
                number,
                tenant=("physics/ana", "physics/eva")[number % 2],
                device=("echo", "ideal")[number // 2 % 2],
                label=("", "Bell 50%", "GHZ_3")[number % 3],
                submitted_ms=ledgers.EPOCH_MS + 1000 - number // 4,
            )
            tasks.append(task)
        # Not inserted in the order they are listed in.
        commit(store, *(TaskInserted(task=task) for task in tasks))
        for number in (3, 4, 8):
            claimed = ledgers.moved(tasks[number], TaskState.CLAIMED)
            commit(store, ledgers.update(tasks[number], claimed))
            tasks[number] = claimed
        return sorted(tasks, key=lambda task: (task.submitted_ms, task.task_id), reverse=True)

    def test_tasks_are_listed_newest_first(self, store: TaskStore, listed: list[Task]) -> None:
        """By submission on the gateway's clock, then by id."""
        assert store.tasks(TaskQuery(tenant=None)) == listed
        assert store.tasks(TaskQuery(tenant=None, limit=5)) == listed[:5]
        mine = [task for task in listed if task.owner.tenant == "physics/ana"]
        assert store.tasks(TaskQuery(tenant="physics/ana")) == mine

    @pytest.mark.parametrize("tenant", [None, "physics/ana"])
    @pytest.mark.parametrize("limit", [1, 3])
    def test_pages_follow_each_other(
        self, store: TaskStore, listed: list[Task], tenant: str | None, limit: int
    ) -> None:
        """Without gap or repetition, over tasks of one instant, too."""
        expected = [task for task in listed if tenant in (None, task.owner.tenant)]
        found: list[Task] = []
        while page := store.tasks(
            TaskQuery(tenant=tenant, limit=limit, before=found[-1].task_id if found else None)
        ):
            found += page
        assert found == expected

    def test_a_page_may_begin_after_a_forgotten_task(self, store: TaskStore) -> None:
        """Its id says when it was made, so listing goes on; another tenant's looks the same."""
        lives = [ledgers.life(ledgers.new_task(number)) for number in range(4)]
        for batches, _ in lives:
            live(store, batches)
        commit(store, TaskForgotten(task_id=ledgers.task_id(2)))
        page = store.tasks(TaskQuery(tenant="physics/ana", before=ledgers.task_id(2)))
        assert page == [lives[1][1], lives[0][1]]
        foreign = mint("t", ledgers.EPOCH_MS + 1, b"\xff" * 10)
        commit(store, TaskInserted(task=_of(ledgers.new_task(9, tenant="physics/eva"), foreign)))
        page = store.tasks(TaskQuery(tenant="physics/ana", before=foreign))
        assert page == [lives[1][1], lives[0][1]]
        assert store.tasks(TaskQuery(tenant="physics/ana", before="no id")) == []

    @pytest.mark.parametrize(
        "query",
        [
            TaskQuery(tenant=None, states=(TaskState.CLAIMED,)),
            TaskQuery(tenant="physics/ana", states=(TaskState.CLAIMED, TaskState.RUNNING)),
            TaskQuery(tenant=None, states=(TaskState.FAILED,)),
            TaskQuery(tenant=None, device="ideal"),
            TaskQuery(tenant="physics/eva", device="ideal", states=(TaskState.QUEUED,)),
            TaskQuery(tenant=None, label="Bell"),
            TaskQuery(tenant=None, label="bell"),
            TaskQuery(tenant=None, label="%"),
            TaskQuery(tenant=None, label="_"),
            TaskQuery(tenant="physics/ana", label="3", limit=1),
            TaskQuery(tenant=None, device="ideal", label="l 5", before=ledgers.task_id(6)),
        ],
    )
    def test_filters_add_up(self, store: TaskStore, listed: list[Task], query: TaskQuery) -> None:
        """A label's text is plain: no wildcard, capitals count."""
        ids = [task.task_id for task in listed]
        behind = listed if query.before is None else listed[ids.index(query.before) + 1 :]
        expected = [
            task
            for task in behind
            if query.tenant in (None, task.owner.tenant)
            and (not query.states or task.state in query.states)
            and query.device in (None, task.spec.device)
            and query.label in task.spec.label
        ]
        assert store.tasks(query) == expected[: query.limit]

    def test_what_is_absent_is_none(self, store: TaskStore) -> None:
        """No read of an unknown name raises."""
        assert store.task("x", None) is None
        assert store.result("x", partial=True) is None
        assert store.program("physics/ana", "x") is None
        assert store.snapshot("x") is None


def _of(task: Task, task_id: str) -> Task:
    """Return `task` under another id."""
    return msgspec.structs.replace(task, task_id=task_id)
