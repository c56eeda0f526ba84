"""The gateway's log: one JSON line per request and per transition, in a file of bounded size with mode 0600.

Keys, tokens and secrets are struck out whatever the event; bytes of programs and results never come near it.
"""

from __future__ import annotations

import contextlib
import os
import re
import traceback
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from qmio_jupyter.core.records import Record, TaskInserted, TaskUpdated
from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway.proofs import Proof
from qmio_jupyter.gateway.turn import Send, Turn, request_of
from qmio_jupyter.gateway.verifying import Admitted
from qmio_jupyter.ports import Clock, Peer
from qmio_jupyter.wire.messages import Failure, Packet

#: Size at which the file becomes ``.1`` (and the old ``.1`` is gone).
MAX_BYTES = 16 * 2**20
#: What is said often and tells little: at level debug.
_ROUTINE = frozenset({"ping", "claim.held", "claim.started", "claim.renew", "claim.progress"})
_SECRET = re.compile(r"key|token|secret|credential|password|cookie|nonce", re.IGNORECASE)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
#: Characters of a key's id that are enough to tell peers apart.
_PEER = 12


class BoundedFile:
    """Appends lines to a 0600 file and moves it aside when it has grown too large.

    A line that the disk does not take is dropped: the log never stops the gateway.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._descriptor = -1
        self._size = 0
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, line: bytes) -> None:
        """Append whole lines."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            if self._size + len(line) > self._max_bytes:
                os.close(self._descriptor)
                self._descriptor = -1
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                self._open()
            self._size += os.write(self._descriptor, line)

    def close(self) -> None:
        """Close the file; later lines are dropped."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _struck(name: str, value: Any) -> Any:
    if _is_secret(name):
        return "<hidden>"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {str(inner): _struck(str(inner), item) for inner, item in value.items()}
    return value


class GatewayLog:
    """What the gateway writes down.

    Parameters
    ----------
    path : Path
        The file, in a directory that is ours alone.
    clock : Clock
        The gateway's time, in ``at_ms`` of every line.
    level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    max_bytes : int
        Size of the file at which it is moved aside.
    """

    def __init__(self, path: Path, clock: Clock, level: str = "info", max_bytes: int = MAX_BYTES) -> None:
        self._file = BoundedFile(path, max_bytes)
        self._clock = clock
        self._level = _LEVELS[level]
        self._encoder = msgspec.json.Encoder(enc_hook=str)
        # Lines of a `together`, which are written as one; None outside of it.
        self._held: list[bytes] | None = None

    def event(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Write down something that happened."""
        if _LEVELS[level] >= self._level:
            self._write(level, event, {name: _struck(name, value) for name, value in fields.items()})

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write all lines of the block with one call of the system at its end."""
        self._held = []
        try:
            yield
        finally:
            lines, self._held = self._held, None
            if lines:
                self._file.write(b"".join(lines))

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Write a line whose fields hold no secret."""
        said = {"at_ms": self._clock.now_ms(), "level": level, **fields, "event": event}
        line = self._encoder.encode(said) + b"\n"
        if self._held is None:
            self._file.write(line)
        else:
            self._held.append(line)

    def request(self, connection: int, peer: Peer, packet: Packet, turn: Turn) -> None:
        """Write the line of one request: who asked what, and what was decided."""
        tag = str(packet.envelope.body.__struct_config__.tag)
        level = 10 if tag in _ROUTINE else 20
        if level < self._level:
            return
        number = packet.envelope.id
        fields: dict[str, Any] = {
            "tag": tag,
            "peer": peer.key[:_PEER],
            "connection": connection,
            "request": number,
            "records": len(turn.records),
        }
        task_id = getattr(packet.envelope.body, "task_id", None)
        if task_id is not None:
            fields["task_id"] = task_id[:40]
        for output in turn.outputs:
            if number and output.connection == connection and request_of(output) == number:
                if isinstance(output, Send):
                    answer = output.packet.envelope.body
                    fields["answer"] = str(answer.__struct_config__.tag)
                    if isinstance(answer, Failure):
                        fields["code"] = answer.error.code
                break
        self._write("debug" if level < 20 else "info", "request", fields)

    def proof(self, proof: Proof, outcome: Admitted | QmioError) -> None:
        """Write down what a proof was worth: whose job, or why not; never what proves it."""
        fields: dict[str, Any] = {"peer": proof.key[:_PEER], "job": proof.job_id[:40]}
        if isinstance(outcome, QmioError):
            self.event("proof refused", level="warning", code=outcome.code, error=outcome.message, **fields)
        else:
            facts = outcome.facts
            self.event("proof taken", uid=facts.uid, own_job=facts.job_id, tenant=facts.tenant, **fields)

    def defect(self, error: BaseException) -> None:
        """Write down an exception that nobody foresaw, and where it came from; its values stay out."""
        frames = traceback.extract_tb(error.__traceback__)[-8:]
        where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        self._write("error", "defect", {"error": type(error).__name__, "where": where})

    def malformed(self, peer: Peer, error: QmioError) -> None:
        """Write down a message that could not be read."""
        if self._level <= _LEVELS["warning"]:
            said = {"peer": peer.key[:_PEER], "code": error.code, "error": error.message[:200]}
            self._write("warning", "malformed", said)

    def committed(self, records: tuple[Record, ...]) -> None:
        """Write the line of each transition among records that are on disk."""
        if self._level > 20:
            return
        for record in records:
            if isinstance(record, TaskInserted):
                self._transition("", record.task.state.value, record.task.task_id, 1, 0, "")
            elif isinstance(record, TaskUpdated) and record.task.state is not record.expect_state:
                task = record.task
                self._transition(
                    record.expect_state.value,
                    task.state.value,
                    task.task_id,
                    task.revision,
                    task.attempt,
                    record.cause,
                )

    def _transition(
        self, before: str, after: str, task_id: str, revision: int, attempt: int, cause: str
    ) -> None:
        said = {
            "task_id": task_id,
            "before": before,
            "after": after,
            "revision": revision,
            "attempt": attempt,
            "cause": cause,
        }
        self._write("info", "transition", said)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
