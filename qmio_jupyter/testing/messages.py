"""A full sample of every wire message: each field set, and set to something other than its default.

Built from the types themselves, so a message or field added later gets its sample without anybody thinking of
it. The samples are the same in every process: the frozen corpus and the property tests both start from here.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect

from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM3
from qmio_jupyter.model.task import ParameterMatrix
from qmio_jupyter.wire.codec import MESSAGES, attach
from qmio_jupyter.wire.messages import Packet

_DIGEST = digest(b"sample")
#: Fields whose text means more than text.
_TEXTS = {
    "task_id": "t-01jd7m3k5q8v2w4x6y9z0a1b2c",
    "session_id": "s-01jd7m3k5q8v2w4x6y9z0a1b2c",
    "grant_id": "g-01jd7m3k5q8v2w4x6y9z0a1b2c",
    "booking_id": "b-01jd7m3k5q8v2w4x6y9z0a1b2c",
    "device": "ideal",
    "tenant": "physics/ana",
    "key": _DIGEST,
    "issuer": _DIGEST,
    "program": _DIGEST,
    "digests": _DIGEST,
    "programs": _DIGEST,
    "snapshot_id": _DIGEST,
    "spec_digest": _DIGEST,
}


def sample(cls: type) -> Any:
    """Return an instance of the Struct `cls` with every field set."""
    return _struct(cls)


def samples() -> dict[str, Packet]:
    """Return a packet for every message type, by tag; those that carry programs carry two attachments."""
    packets = {}
    for number, (tag, cls) in enumerate(sorted(MESSAGES.items()), start=1):
        blobs = [(QASM3, b"OPENQASM 3.0;\n"), (QASM3, b"")] if tag in _WITH_PROGRAMS else []
        packets[tag] = attach(sample(cls), blobs, id=number, re=number + 1000)
    return packets


def to_file(frames: list[bytes]) -> bytes:
    """Return frames as the bytes of one corpus file: each behind its length (4 bytes, big-endian)."""
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


def from_file(data: bytes) -> list[bytes]:
    """Return the frames of a corpus file."""
    frames, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        frames.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return frames


_WITH_PROGRAMS = frozenset(
    {"program.put", "program.data", "task.submit", "task.estimate", "claim.dispatch", "estimate.ask"}
)


def _struct(cls: type) -> Any:
    if cls is ParameterMatrix:
        return ParameterMatrix(
            names=("theta", "phi"), bindings=2, data=struct.pack("<4d", 0.0, 0.5, -1.0, 3.25)
        )
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    return cls(**{field.name: _value(field.type, field.name) for field in info.fields})


def _value(kind: inspect.Type, name: str) -> Any:
    match kind:
        case inspect.UnionType():
            return _value(next(t for t in kind.types if not isinstance(t, inspect.NoneType)), name)
        case inspect.StructType():
            return _struct(kind.cls)
        case inspect.EnumType():
            return _member(kind.cls)
        case inspect.VarTupleType():
            return (_value(kind.item_type, name),) * max(1, kind.min_length or 1)
        case inspect.TupleType():
            return tuple(_value(item, name) for item in kind.item_types)
        case inspect.StrType():
            return _TEXTS.get(name, f"{name} é")
        case inspect.BytesType():
            return bytes(range(8))
        case inspect.BoolType():
            return True
        case inspect.IntType():
            return 7 if kind.ge is None else max(kind.ge, 3)
        case inspect.FloatType():
            return 0.125
    raise msgspec.ValidationError(f"no sample for {kind!r} of {name}")


def _member(cls: type[Enum]) -> Enum:
    return list(cls)[1]
