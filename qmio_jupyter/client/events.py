"""What the client's protocol tells its shell. Pure values, no behaviour."""

from __future__ import annotations

import msgspec

from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskView
from qmio_jupyter.wire.messages import Message, SessionNonce, Welcome


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Answered(_Event, frozen=True, kw_only=True):
    """The reply to a request."""

    ticket: int
    body: Message
    #: The reply's raw attachments, in order.
    attachments: tuple[bytes, ...] = ()


class Refused(_Event, frozen=True, kw_only=True):
    """A request failed: refused by the gateway, over a limit, or past its deadline."""

    ticket: int
    error: QmioError


class TaskChanged(_Event, frozen=True, kw_only=True):
    """The newest view of a watched task. Views of one task never go back in revision."""

    view: TaskView
    #: The final result, if it came with the view.
    result: TaskResult | None = None


class PartialArrived(_Event, frozen=True, kw_only=True):
    """Newer cumulative counts of a watched task."""

    result: TaskResult


class TaskLost(_Event, frozen=True, kw_only=True):
    """A watched task is no longer known to the gateway (forgotten, or the session lost it)."""

    task_id: str
    error: QmioError


class GatewayChanged(_Event, frozen=True, kw_only=True):
    """The first welcome, and every welcome with another epoch."""

    epoch: int
    welcome: Welcome


class ProofWanted(_Event, frozen=True, kw_only=True):
    """The gateway asks who this is; answered with `ClientProtocol.prove`."""

    nonce: SessionNonce


ClientEvent = Answered | Refused | TaskChanged | PartialArrived | TaskLost | GatewayChanged | ProofWanted
