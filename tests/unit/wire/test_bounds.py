"""Numbers that would break the ledger or arithmetic stop where bytes become values."""

import math

import msgspec
import pytest

from qmio_jupyter.errors import ProtocolError
from qmio_jupyter.testing.messages import sample
from qmio_jupyter.wire import messages as m
from qmio_jupyter.wire.codec import MESSAGES, attach, decode, encode

FIELDS = [
    ("agent.announce", ("incarnation",)),
    ("agent.announce", ("sequence",)),
    ("agent.announce", ("snapshot", "taken_ms")),
    ("agent.announce", ("description", "max_shots")),
    ("agent.announce", ("description", "batch_shots")),
    ("booking.create", ("booking", "from_ms")),
    ("booking.create", ("booking", "until_ms")),
    ("grant.create", ("uid",)),
    ("key.enrol", ("uid",)),
    ("claim.held", ("ref", "epoch")),
    ("claim.held", ("ref", "attempt")),
    ("claim.progress", ("result", "revision")),
    ("claim.progress", ("result", "shots")),
    ("claim.progress", ("result", "shots_done")),
    ("claim.progress", ("result", "seed")),
]


def arrive(tag, path, value):
    """Decode a sample of `tag` with another value at `path`."""
    tree = msgspec.to_builtins(sample(MESSAGES[tag]), builtin_types=(bytes,))
    if path[0] == "snapshot":
        tree["snapshot"] = {"snapshot_id": "00" * 32, "device": "echo", "taken_ms": 1, "data": b"{}"}
    inner = tree
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    preamble, _ = encode(attach(m.Ping(), id=1))
    return decode([preamble, msgspec.msgpack.encode({"body": tree, "id": 1})], m.Limits())


@pytest.mark.parametrize(
    ("tag", "path"), FIELDS, ids=lambda part: part if isinstance(part, str) else part[-1]
)
@pytest.mark.parametrize("value", [-1, 2**63, 2**64 - 1])
def test_a_whole_number_beyond_its_bounds_is_malformed(tag, path, value):
    arrive(tag, path, 1)
    with pytest.raises(ProtocolError, match=path[-1]) as caught:
        arrive(tag, path, value)
    assert caught.value.request_id == 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 1e300])
@pytest.mark.parametrize("name", ["t0_s", "per_shot_s"])
def test_a_cost_beyond_its_bounds_is_malformed(name, value):
    arrive("agent.announce", ("description", "cost"), {name: 1.0})
    with pytest.raises(ProtocolError, match=name):
        arrive("agent.announce", ("description", "cost"), {name: value})
