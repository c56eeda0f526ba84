"""Wire requests to core inputs, core effects to wire messages. Tables and plain functions, no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from qmio_jupyter.core import effects as fx
from qmio_jupyter.core import inputs as ins
from qmio_jupyter.model.access import Enrolment
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.task import ErrorInfo, Task, TaskSpec, TaskState
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import programs_of

_spec_encoder = msgspec.msgpack.Encoder()

#: Makes the core's input out of a request: (origin, body, packet) -> input.
_Maker = Callable[[ins.Origin, Any, m.Packet], ins.Input]


def spec_digest(spec: TaskSpec) -> str:
    """Return the SHA-256 of the encoded spec: equal specs, and only they, have equal digests."""
    return digest(_spec_encoder.encode(spec))


def parameter_bytes(spec: TaskSpec) -> int:
    """Return the bytes of a task's parameter values: nearly all there is to a spec's size."""
    return sum(len(item.parameters.data) for item in spec.items if item.parameters is not None)


def _submit(origin: ins.Origin, body: m.TaskSubmit, packet: m.Packet) -> ins.Input:
    return ins.Submit(
        origin=origin,
        task_id=body.task_id,
        spec=body.spec,
        spec_digest=spec_digest(body.spec),
        programs=programs_of(packet) if packet.attachments else (),
    )


def _announce(origin: ins.Origin, body: m.AgentAnnounce, packet: m.Packet) -> ins.Input:  # noqa: ARG001
    return ins.Announce(
        origin=origin,
        agent=body.agent,
        incarnation=body.incarnation,
        sequence=body.sequence,
        description=body.description,
        state=body.state,
        credit=body.credit,
        holding=body.holding,
        snapshot=body.snapshot,
    )


def _grant(origin: ins.Origin, body: m.GrantCreate, packet: m.Packet) -> ins.Input:  # noqa: ARG001
    return ins.CreateGrant(
        origin=origin,
        grant_id=body.grant_id,
        uid=body.uid,
        tenant=body.tenant,
        ttl_s=body.ttl_s,
        devices=body.devices,
        kind=body.kind,
        budget_s=body.budget_s,
    )


def _enrol(origin: ins.Origin, body: m.KeyEnrol, packet: m.Packet) -> ins.Input:  # noqa: ARG001
    return ins.EnrolKey(
        origin=origin,
        enrolment=Enrolment(
            key=body.key,
            role=body.role,
            device=body.device,
            uid=body.uid,
            tenant=body.tenant,
            note=body.note,
        ),
    )


_MAKERS: dict[type, _Maker] = {
    m.SessionClose: lambda o, b, p: ins.CloseSession(origin=o),  # noqa: ARG005
    m.GrantCreate: _grant,
    m.GrantBind: lambda o, b, p: ins.BindGrant(  # noqa: ARG005
        origin=o, grant_id=b.grant_id, cluster=b.cluster, job_id=b.job_id
    ),
    m.GrantRevoke: lambda o, b, p: ins.RevokeGrant(origin=o, grant_id=b.grant_id),  # noqa: ARG005
    m.BookingCreate: lambda o, b, p: ins.CreateBooking(origin=o, booking=b.booking),  # noqa: ARG005
    m.BookingCancel: lambda o, b, p: ins.CancelBooking(origin=o, booking_id=b.booking_id),  # noqa: ARG005
    m.ProgramQuery: lambda o, b, p: ins.QueryPrograms(origin=o, digests=b.digests),  # noqa: ARG005
    m.ProgramPut: lambda o, b, p: ins.PutPrograms(origin=o, programs=programs_of(p)),  # noqa: ARG005
    m.TaskSubmit: _submit,
    m.TaskCancel: lambda o, b, p: ins.Cancel(origin=o, task_id=b.task_id),  # noqa: ARG005
    m.TaskForget: lambda o, b, p: ins.Forget(origin=o, task_id=b.task_id),  # noqa: ARG005
    m.AgentAnnounce: _announce,
    m.ClaimHeld: lambda o, b, p: ins.Held(origin=o, ref=b.ref),  # noqa: ARG005
    m.ClaimStarted: lambda o, b, p: ins.Started(origin=o, ref=b.ref),  # noqa: ARG005
    m.ClaimRenew: lambda o, b, p: ins.Renew(origin=o, refs=b.refs, stages=b.stages),  # noqa: ARG005
    m.ClaimProgress: lambda o, b, p: ins.Progress(origin=o, ref=b.ref, result=b.result),  # noqa: ARG005
    m.ClaimFinish: lambda o, b, p: ins.Finish(origin=o, ref=b.ref, outcome=b.outcome),  # noqa: ARG005
    m.ClaimGiveBack: lambda o, b, p: ins.GiveBack(origin=o, ref=b.ref, reason=b.reason),  # noqa: ARG005
    m.KeyEnrol: _enrol,
    m.KeyRevoke: lambda o, b, p: ins.RevokeKey(origin=o, key=b.key),  # noqa: ARG005
}


def to_input(origin: ins.Origin, packet: m.Packet) -> ins.Input | None:
    """Return the core's input for a request; None for one that the core does not decide."""
    maker = _MAKERS.get(type(packet.envelope.body))
    return None if maker is None else maker(origin, packet.envelope.body, packet)


def to_reply(effect: fx.Reply, epoch: int) -> m.Message:
    """Return the message that answers a request.

    `SessionShown` gives the session's state; the desk makes a `Welcome` of it where hello was asked.
    """
    match effect:
        case fx.Accepted(view=view):
            return m.TaskAccepted(view=view)
        case fx.ClaimRecorded(ref=ref):
            return m.ClaimRecorded(ref=ref)
        case fx.Refused(error=error):
            return m.Failure(error=error)
        case fx.Renewed(abort=abort):
            return m.ClaimRenewed(abort=abort)
        case fx.Acknowledged():
            return m.Done()
        case fx.TaskShown(view=view):
            return m.TaskShown(view=view)
        case fx.ProgramsMissing(digests=digests):
            return m.ProgramMissing(digests=digests)
        case fx.AgentWelcomed(lease_s=lease_s, abort=abort):
            return m.AgentWelcome(epoch=epoch, lease_s=lease_s, abort=abort)
        case fx.SessionShown(session=session):
            return m.SessionState(session=session)
        case fx.GrantShown(grant=grant):
            return m.GrantState(grant=grant)
        case fx.BookingShown(booking=booking):
            return m.BookingList(bookings=(booking,))


def no_result(task: Task) -> ErrorInfo:
    """Return why a task has no (final) result to show."""
    if task.state is TaskState.FAILED and task.error is not None:
        return task.error
    if task.state is TaskState.CANCELLED:
        return ErrorInfo(
            code="task.cancelled", message=f"Task {task.task_id} was cancelled", hint="Submit it again."
        )
    return ErrorInfo(
        code="task.not_finished",
        message=f"Task {task.task_id} is {task.state.value}",
        hint="Wait for it, or ask for the partial result.",
        retryable=True,
    )
