"""Core effects to outputs: replies, dispatches, aborts, and events for those who watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qmio_jupyter.core import effects as fx
from qmio_jupyter.core.records import Record, ResultStored
from qmio_jupyter.gateway.links import Links
from qmio_jupyter.gateway.metrics import Figures
from qmio_jupyter.gateway.translate import to_reply
from qmio_jupyter.gateway.turn import Output, Read, Send, Ship, Turn, packet, reply
from qmio_jupyter.gateway.watchers import Watchers
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.ids import KeyId, TaskId, Tenant
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskState, TaskView
from qmio_jupyter.wire import messages as m

#: Largest result, by its columns, that is delivered with the event of a task's end; others are asked for.
DELIVER_BYTES = 2**16

#: Makes another reply of a reply (`Welcome` of a session's state).
Change = Callable[[m.Message], m.Message]


class Outgoing:
    """Makes turns of steps.

    Parameters
    ----------
    links : Links
        Which connections a key has.
    watchers : Watchers
        Who is told of which task; a submission's sender is added here.
    figures : Figures
        Counters.
    session_of : callable
        The open session of a key, None if it has none.
    """

    def __init__(
        self,
        links: Links,
        watchers: Watchers,
        figures: Figures,
        session_of: Callable[[KeyId], Session | None],
    ) -> None:
        self._session_of = session_of
        self._links = links
        self._watchers = watchers
        self._figures = figures

    def turn(
        self, step: fx.Step, epoch: int, tenant: Tenant | None = None, change: Change | None = None
    ) -> Turn:
        """Return the step's records and, in their order, what its effects send.

        Parameters
        ----------
        tenant : str, optional
            Whose request this was: what the core knows only from its index of ended tasks is read from the
            store as hers.
        change : callable, optional
            Makes another reply of the reply.
        """
        outputs: list[Output] = []
        for effect in step.effects:
            match effect:
                case fx.Publish(view=view):
                    self._publish(view, step.records, outputs)
                case fx.Dispatch():
                    outputs.append(self._dispatch(effect))
                case fx.PublishPartial(result=result, tenant=owner):
                    # Counts are their owner's alone: who merely looks on (operator, monitor) gets no results.
                    owners = tuple(c for c in self._watchers.of(result.task_id) if self._is_of(c, owner))
                    self._tell(owners, m.TaskPartial(result=result), outputs)
                case fx.AbortClaim(connection=connection, ref=ref):
                    outputs.append(Send(connection, packet(m.ClaimAbort(ref=ref))))
                case fx.CloseConnections(key=key):
                    for connection in self._links.of_key(key):
                        self._watchers.drop(connection)
                case _:
                    outputs += self._answer(effect, epoch, tenant, change)
        return Turn(tuple(step.records), _in_order_of_hurry(outputs))

    def _answer(
        self, effect: fx.Reply, epoch: int, tenant: Tenant | None, change: Change | None
    ) -> tuple[Output, ...]:
        origin = effect.origin
        match effect:
            case fx.Accepted(view=view):
                self._figures.accepted += 1
                if not view.state.is_final:
                    self._watchers.add(origin.connection, view.task_id)
            case fx.ClaimRecorded():
                self._figures.recorded += 1
            case fx.Refused():
                self._figures.refused += 1
        if not origin.request:
            return ()
        if isinstance(effect, fx.Accepted | fx.TaskShown) and effect.from_index:
            return (
                Read(
                    connection=origin.connection,
                    request=origin.request,
                    body=m.TaskShow(task_id=effect.view.task_id),
                    tenant=tenant,
                    as_accepted=isinstance(effect, fx.Accepted),
                ),
            )
        body = to_reply(effect, epoch)
        return (reply(origin.connection, origin.request, change(body) if change else body),)

    def _publish(self, view: TaskView, records: Sequence[Record], outputs: list[Output]) -> None:
        watching = self._watchers.of(view.task_id)
        if view.state is TaskState.COMPLETED:
            takers = tuple(c for c in watching if self._gets_result(c, view))
            result = _final_result(records, view.task_id) if takers else None
            if result is not None and _column_bytes(result) <= DELIVER_BYTES:
                self._tell(takers, m.TaskEvent(view=view, result=result), outputs)
                watching = tuple(c for c in watching if c not in takers)
        self._tell(watching, m.TaskEvent(view=view), outputs)
        if view.state.is_final:
            self._watchers.end(view.task_id)

    def _gets_result(self, connection: int, view: TaskView) -> bool:
        """Return whether a connection asked for the result with the end, and the task is hers."""
        wants = self._watchers.wants_result(connection, view.task_id)
        return wants and self._is_of(connection, view.tenant)

    def _is_of(self, connection: int, tenant: Tenant) -> bool:
        """Return whether a connection's key has an open session of `tenant`."""
        key = self._links.key(connection)
        session = None if key is None else self._session_of(key)
        return session is not None and session.is_open and session.tenant == tenant

    def _tell(self, watching: tuple[int, ...], body: m.Message, outputs: list[Output]) -> None:
        if watching:
            event = packet(body)
            outputs += [Send(connection, event) for connection in watching]
            self._figures.events += len(watching)

    def _dispatch(self, effect: fx.Dispatch) -> Output:
        self._figures.dispatched += 1
        return Ship(
            connection=effect.connection,
            message=m.ClaimDispatch(
                ref=effect.ref, spec=effect.spec, contract=effect.contract, lease_s=effect.lease_s
            ),
            tenant=effect.tenant,
            digests=effect.contract.programs,
            snapshot_id=effect.contract.snapshot_id,
            is_repeatable=effect.is_repeatable,
        )


def _in_order_of_hurry(outputs: Sequence[Output]) -> tuple[Output, ...]:
    """Return outputs with dispatches first and word that a claim is recorded last: nobody waits for that one.

    What one connection is to hear keeps its order.
    """
    first: list[Output] = []
    rest: list[Output] = []
    last: list[Output] = []
    for output in outputs:
        is_first = isinstance(output, Ship) and all(o.connection != output.connection for o in (*rest, *last))
        is_last = isinstance(output, Send) and isinstance(output.packet.envelope.body, m.ClaimRecorded)
        is_after = any(o.connection == output.connection for o in last)
        (first if is_first else last if is_last or is_after else rest).append(output)
    return (*first, *rest, *last)


def _final_result(records: Sequence[Record], task_id: TaskId) -> TaskResult | None:
    """Return the final result of a task among the records of one step."""
    for record in records:
        if isinstance(record, ResultStored) and record.task_id == task_id and record.result.is_final:
            return record.result
    return None


def _column_bytes(result: TaskResult) -> int:
    """Return the bytes of a result's columns: nearly all there is to its size."""
    return sum(
        len(counts.keys) + len(counts.counts) + len(counts.memory or b"")
        for item in result.items
        for counts in item.bindings
    )
