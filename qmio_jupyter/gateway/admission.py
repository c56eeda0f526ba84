"""Who may come in: a frame's key to its caller, and why a request is not looked at."""

from __future__ import annotations

from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway import refusals
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.gateway.roles import ALLOWED, SESSIONLESS, allows
from qmio_jupyter.gateway.translate import parameter_bytes
from qmio_jupyter.model.access import Role
from qmio_jupyter.model.program import MEDIA_TYPES
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.limits import UNKNOWN_PEER, check_request

#: Still taken while the gateway stops: what ends claims, so that agents can give theirs back.
_WHILE_STOPPING = frozenset(
    {
        "ping",
        "gateway.show",
        "gateway.stop",
        "estimate.answer",
        *(tag for tag in ALLOWED if tag.startswith("claim.")),
    }
)

#: Needs no ledger.
_WITHOUT_LEDGER = m.Ping | m.GatewayShow | m.GatewayStop | m.EstimateAnswer


def refusal(
    caller: Caller,
    packet: m.Packet,
    limits: m.Limits,
    *,
    is_greeted: bool,
    is_suspended: bool,
    is_stopping: bool,
) -> m.Failure | None:
    """Return why a request is not looked at, None if it is.

    Parameters
    ----------
    limits : Limits
        Of keys that have a role; those without get `UNKNOWN_PEER`.
    is_greeted : bool
        The connection has said hello to this epoch. Users must, so that none goes on as if nothing had
        happened after a restart.
    is_suspended : bool
        A commit failed and the ledger cannot be written.
    is_stopping : bool
        The gateway takes nothing new.
    """
    body = packet.envelope.body
    tag = str(body.__struct_config__.tag)
    if tag not in ALLOWED:
        return refusals.failure("wire.unsupported", f"{tag} is not a request", "Update the sender.")
    if not allows(caller.role, tag):
        return refusals.wrong_role(caller.role, tag)
    if is_suspended and not isinstance(body, _WITHOUT_LEDGER):
        return refusals.not_stored()
    if is_stopping and tag not in _WHILE_STOPPING:
        return refusals.stopping()
    if caller.role is Role.USER and tag not in SESSIONLESS and not (is_greeted and caller.session):
        return refusals.no_session()
    if isinstance(body, m.AgentAnnounce):
        device = None if caller.enrolment is None else caller.enrolment.device
        if device != body.description.name:
            return refusals.failure(
                "auth.role", f"This key is enrolled for device {device!r}", "Announce that one."
            )
    return _over_limits(packet, UNKNOWN_PEER if caller.role is Role.NONE else limits)


def _over_limits(packet: m.Packet, limits: m.Limits) -> m.Failure | None:
    """Return the refusal of a request over `limits`, or with a program of no known kind."""
    body = packet.envelope.body
    if not isinstance(body, m.TaskSubmit | m.TaskEstimate | m.ProgramPut):
        return None
    try:
        check_request(packet, limits)
    except QmioError as error:
        return refusals.as_failure(error)
    if (
        isinstance(body, m.TaskSubmit | m.TaskEstimate)
        and parameter_bytes(body.spec) > limits.message_bytes * 3 // 4
    ):
        # The agent is sent more beside them: contract, snapshot, programs.
        return refusals.failure(
            "limit.size", "The task's parameter values are too large", "Submit several tasks."
        )
    for info in packet.envelope.attachments:
        if info.media_type not in MEDIA_TYPES:
            return refusals.failure(
                "program.format",
                f"Programs of type {info.media_type[:64]!r} are not known here",
                "Use OpenQASM 2, OpenQASM 3 or QPY 13+.",
            )
    return None
