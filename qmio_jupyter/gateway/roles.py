"""Who may send what: message tag -> roles, as data. Everything not in the table is refused."""

from __future__ import annotations

from qmio_jupyter.model.access import Role

_ALL = frozenset(Role)
_USER = frozenset({Role.USER})
_ISSUER = frozenset({Role.ISSUER})
_AGENT = frozenset({Role.AGENT})
_OPERATOR = frozenset({Role.OPERATOR})
_NODE = frozenset({Role.NODE})
_PROVING = frozenset({Role.NONE, Role.USER})
#: Those who look at tasks: their own (users), or everybody's (operators, monitors).
_WATCHING = frozenset({Role.USER, Role.OPERATOR, Role.MONITOR})
_LOOKING = frozenset({Role.USER, Role.ISSUER, Role.OPERATOR, Role.MONITOR})

#: Request tag -> roles that may send it. A task's result is its owner's alone.
ALLOWED: dict[str, frozenset[Role]] = {
    "hello": _ALL,
    "ping": _ALL,
    "session.challenge": _PROVING,
    "session.open": _PROVING,
    "session.show": _USER,
    "session.close": _USER,
    "allocation.admit": _NODE,
    "allocation.end": _NODE,
    "grant.create": _ISSUER,
    "grant.bind": _ISSUER,
    "grant.revoke": _ISSUER,
    "booking.create": _OPERATOR,
    "booking.cancel": _OPERATOR,
    "booking.list": _LOOKING,
    "program.query": _USER,
    "program.put": _USER,
    "program.get": _AGENT,
    "task.submit": _USER,
    "task.cancel": _USER,
    "task.show": _WATCHING,
    "task.watch": _WATCHING,
    "task.list": _WATCHING,
    "task.result": _USER,
    "task.forget": _USER,
    "task.estimate": _USER,
    "device.list": _LOOKING,
    "device.show": _LOOKING,
    "snapshot.get": _WATCHING | _AGENT,
    "gateway.show": _LOOKING,
    # A user may stop only an embedded gateway of her own uid: the desk checks that too.
    "gateway.stop": _OPERATOR | _USER,
    "agent.announce": _AGENT,
    "claim.held": _AGENT,
    "claim.started": _AGENT,
    "claim.renew": _AGENT,
    "claim.progress": _AGENT,
    "claim.finish": _AGENT,
    "claim.giveback": _AGENT,
    "estimate.answer": _AGENT,
    "key.enrol": _OPERATOR,
    "key.revoke": _OPERATOR,
}

#: What a user may send without an open session: getting one, and whether anybody is there.
SESSIONLESS = frozenset({"hello", "ping", "session.challenge", "session.open"})

#: Messages that get no reply.
UNANSWERED = frozenset({"claim.held", "claim.started", "claim.progress", "estimate.answer"})


def allows(role: Role, tag: str) -> bool:
    """Return whether `role` may send a message of `tag`."""
    return role in ALLOWED.get(tag, frozenset())
