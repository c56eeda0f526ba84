"""Is the queue fair? Two tenants with full queues on one agent, and what each was given after every dispatch.

A random world hides an unfair queue: every task ends all the same. Here fairness is all that is looked at.
"""

from __future__ import annotations

from random import Random

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.effects import Dispatch, Step
from qmio_jupyter.core.inputs import Announce, Finish, OpenSession, Origin, PutPrograms, Submit
from qmio_jupyter.core.records import LiveState
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.device import CostModel, DeviceDescription, DeviceState
from qmio_jupyter.model.ids import digest, mint
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.result import Outcome
from qmio_jupyter.model.task import Item, TaskSpec, TaskState
from qmio_jupyter.testing.checks import Violation

_NOW_MS = 1_750_000_000_000
_AGENT_KEY = digest(b"agent")
_PER_SHOT_S = 0.01
_MOST_SHOTS = 400
_PROGRAM = Program(digest=digest(b"program"), media_type=OCTETS, data=b"program")


def check_fairness(seed: int, *, tasks: int = 15) -> int:
    """Queue `tasks` for each of two tenants, one after the other, and run them all; return how many ran.

    While both have tasks waiting, what they were given must not differ by more than two of the longest tasks.

    Raises
    ------
    Violation
        If it does.
    """
    rng = Random(seed)
    core = Core(CoreConfig(), LiveState(enrolments=_enrolments()), 1, _NOW_MS)
    description = DeviceDescription(
        name="device", title="", n_qubits=1, driver="sim", cost=CostModel(per_shot_s=_PER_SHOT_S)
    )
    agent = Origin(1, 1, _AGENT_KEY)
    core.handle(
        Announce(
            origin=agent,
            agent="agent",
            incarnation=_NOW_MS,
            sequence=1,
            description=description,
            state=DeviceState.IDLE,
            credit=1,
        ),
        _NOW_MS,
    )
    waiting: dict[str, int] = {}
    given: dict[str, float] = {}
    owner: dict[str, str] = {}
    dispatched: list[Dispatch] = []
    for number, tenant in enumerate(("physics/ana", "chemistry/carme")):
        user = Origin(2 + number, 1, digest(tenant.encode()))
        session_id = mint("s", _NOW_MS, rng.randbytes(10))
        core.handle(
            OpenSession(origin=user, session_id=session_id, uid=1, tenant=tenant, lease_s=None), _NOW_MS
        )
        core.handle(PutPrograms(origin=user, programs=(_PROGRAM,)), _NOW_MS)
        waiting[tenant], given[tenant] = tasks, 0.0
        for _ in range(tasks):
            shots = rng.randrange(1, _MOST_SHOTS)
            spec = TaskSpec(device="device", items=(Item(program=_PROGRAM.digest, shots=shots),))
            task_id = mint("t", _NOW_MS, rng.randbytes(10))
            owner[task_id] = tenant
            submit = Submit(origin=user, task_id=task_id, spec=spec, spec_digest=digest(task_id.encode()))
            dispatched += _dispatches(core.handle(submit, _NOW_MS))
    ran = 0
    while dispatched:
        dispatch = dispatched.pop()
        tenant = owner[dispatch.ref.task_id]
        waiting[tenant] -= 1
        given[tenant] += dispatch.spec.total_shots * _PER_SHOT_S
        ran += 1
        gap = abs(given["physics/ana"] - given["chemistry/carme"])
        if all(waiting.values()) and gap > 2 * _MOST_SHOTS * _PER_SHOT_S:
            raise Violation("fairness", f"seed {seed}: after {ran} dispatches the tenants were given {given}")
        ended = Outcome(state=TaskState.FAILED, error_code="program", error_message="it ends")
        dispatched += _dispatches(core.handle(Finish(origin=agent, ref=dispatch.ref, outcome=ended), _NOW_MS))
    return ran


def _dispatches(step: Step) -> list[Dispatch]:
    return [effect for effect in step.effects if isinstance(effect, Dispatch)]


def _enrolments() -> tuple[Enrolment, ...]:
    return (Enrolment(key=_AGENT_KEY, role=Role.AGENT, device="device"),)
