"""Both or neither: whoever dies, and wherever, what is written down is enough to leave nothing behind."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub.saga import Mark, Saga, Step

GRANT = "g-0123456789abcdefghjkmnpqrs"
FORWARD = [Step.GRANT, Step.SUBMIT, Step.BIND, Step.AWAIT_RUNNING, Step.AWAIT_SERVER]


class KilledError(Exception):
    """The hub was killed here."""


class World:
    """A gateway, a cluster and a hub's database; the hub can be killed before and after each of its acts."""

    def __init__(self, kill_at: int = 10**9) -> None:
        self.grants: dict[str, str] = {}
        self.jobs: dict[str, str] = {}
        self.disk: object = None
        self.acts: list[Step] = []
        self.kill_at = kill_at
        self.moments = 0

    def moment(self) -> None:
        self.moments += 1
        if self.moments == self.kill_at:
            raise KilledError

    def write(self, saga: Saga) -> Saga:
        self.moment()
        self.disk = s.encode(saga)
        self.moment()
        return saga

    def act(self, saga: Saga, step: Step) -> Saga:
        """Do what the step says, as the shell does; each effect is a moment of its own."""
        self.moment()
        self.acts.append(step)
        after = getattr(self, "_" + step.value)(saga)
        self.moment()
        return self.write(after)

    def _grant(self, saga: Saga) -> Saga:
        self.grants.setdefault(saga.grant_id, "")
        return s.granted(saga)

    def _submit(self, saga: Saga) -> Saga:
        self.jobs[str(len(self.jobs) + 1)] = saga.job_name
        return s.submitted(saga, str(len(self.jobs)))

    def _find(self, saga: Saga) -> Saga:
        for job_id, name in self.jobs.items():
            if name == saga.job_name:
                return s.submitted(saga, job_id)
        return s.refused(saga)

    def _bind(self, saga: Saga) -> Saga:
        assert self.grants[saga.grant_id] in ("", saga.job_id)
        self.grants[saga.grant_id] = saga.job_id
        return s.bound(saga)

    def _await_running(self, saga: Saga) -> Saga:
        return s.running(saga, "ilk1")

    def _await_server(self, saga: Saga) -> Saga:
        return s.reported(saga, "127.0.0.1", 4711)

    def _revoke(self, saga: Saga) -> Saga:
        self.grants.pop(saga.grant_id, None)
        return s.revoked(saga)

    def _cancel(self, saga: Saga) -> Saga:
        self.jobs = {
            job_id: name
            for job_id, name in self.jobs.items()
            if name != saga.job_name and job_id != saga.job_id
        }
        return s.cancelled(saga)

    def start(self) -> Saga:
        saga = self.write(Saga(grant_id=GRANT))
        while (step := s.next_step(saga)) is not Step.READY:
            saga = self.act(self.write(s.begun(saga, step)), step)
        return saga

    def undo(self) -> Saga:
        saga = s.decode(self.disk)
        assert saga is not None
        saga = self.write(s.undoing(saga))
        while (step := s.next_step(saga)) is not Step.CLEAN:
            saga = self.act(saga, step)
        return saga


def moments() -> list[int]:
    whole = World()
    whole.start()
    return list(range(1, whole.moments + 1))


def test_a_start_takes_its_steps_in_order() -> None:
    world = World()
    saga = world.start()
    assert world.acts == FORWARD
    assert world.grants == {GRANT: "1"}
    assert world.jobs == {"1": f"qmio-{GRANT}"}
    assert (saga.address, saga.port, saga.node) == ("127.0.0.1", 4711, "ilk1")


@pytest.mark.parametrize("moment", moments())
def test_killed_at_any_moment_nothing_is_left(moment: int) -> None:
    world = World(kill_at=moment)
    with pytest.raises(KilledError):
        world.start()
    world.kill_at = 10**9
    if world.disk is None:
        assert not world.grants
        assert not world.jobs
        return
    world.undo()
    assert not world.grants
    assert not world.jobs


@pytest.mark.parametrize("moment", moments())
def test_killed_at_any_moment_another_hub_can_also_go_on(moment: int) -> None:
    world = World(kill_at=moment)
    with pytest.raises(KilledError):
        world.start()
    world.kill_at = 10**9
    saga = s.decode(world.disk) or world.write(Saga(grant_id=GRANT))
    for _ in range(20):
        if (step := s.next_step(saga)) is Step.READY:
            break
        if step is Step.FIND and not world.jobs:
            return  # Slurm has none: the shell undoes.
        saga = world.act(world.write(s.begun(saga, step)), step)
    assert len(world.jobs) == 1
    assert world.grants == {GRANT: "1"}


def test_killed_while_undoing_at_any_moment() -> None:
    whole = World()
    whole.start()
    before = whole.moments
    whole.undo()
    for moment in range(before + 1, whole.moments + 1):
        world = World(kill_at=moment)
        world.start()
        with pytest.raises(KilledError):
            world.undo()
        world.kill_at = 10**9
        world.undo()
        assert not world.grants
        assert not world.jobs


def test_undoing_ends_the_grant_before_the_job() -> None:
    world = World()
    world.start()
    world.acts.clear()
    world.undo()
    assert world.acts == [Step.REVOKE, Step.CANCEL]


def test_a_refused_job_leaves_only_the_grant_to_undo() -> None:
    saga = s.undoing(s.refused(s.begun(s.granted(Saga(grant_id=GRANT)), Step.SUBMIT)))
    assert s.next_step(saga) is Step.REVOKE
    assert s.next_step(s.revoked(saga)) is Step.CLEAN


def test_an_unknown_outcome_is_looked_for_by_name() -> None:
    saga = s.begun(s.granted(Saga(grant_id=GRANT)), Step.SUBMIT, 17)
    assert (saga.job, saga.submitted_ms) == (Mark.MAYBE, 17)
    assert s.next_step(saga) is Step.FIND
    assert s.undo_step(s.revoked(saga)) is Step.CANCEL


def test_what_cannot_be_read_is_none() -> None:
    for values in (None, {}, {"grant_id": 3}, {"grant_id": GRANT, "job": "perhaps"}, "x"):
        assert s.decode(values) is None
    saga = replace(Saga(grant_id=GRANT), port=3)
    assert s.decode(s.encode(saga)) == saga
