"""No input, however hostile, raises out of `handle`: any value of any field of any input, in any order.

Values are made from the inputs' own type annotations; names are drawn from those in use, so that much gets past
the first check. The bench checks every invariant after each.
"""

from __future__ import annotations

import types
import typing
from enum import Enum

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmio_jupyter.core import inputs
from qmio_jupyter.core.effects import Refused
from qmio_jupyter.core.inputs import CreateGrant, OpenSession
from qmio_jupyter.errors import CODES
from qmio_jupyter.testing.cores import START_MS, Bench, program, snapshot


def lived() -> Bench:
    """A core in which something goes on (the same each time): names below are of what is in it."""
    bench = Bench()
    bench.user("ana")
    bench.user("bea", "chemistry/bea", lease_s=60.0)
    bench.agent(credit=2, snapshot=snapshot("dev"))
    bench.do(CreateGrant(origin=bench.origin("hub"), grant_id="g", uid=1, tenant="physics/ana", ttl_s=60))
    bench.do(
        OpenSession(
            origin=bench.origin("node"),
            session_id="s-g",
            uid=1,
            tenant="physics/ana",
            lease_s=60,
            job_id="7",
            grant_id="g",
        )
    )
    bench.finish(bench.ref(bench.submit("ana")))
    for user in ("ana", "bea", "node", "ana"):
        bench.submit(user)
    return bench


_known = lived().core.state
NAMES = [
    *_known.tasks,
    *_known.ended,
    *_known.sessions,
    *("ana", "bea", "node", "agent", "hub", "operator", "dev", "g", "7", "physics/ana", "chemistry", "k"),
    *("", "/", "dev2", "batch", "compiling", program().digest, snapshot("dev").snapshot_id),
    *("t-00000000000000000000000000", "x" * 5000, "\x00\n'\"/../é𝄞"),
]
NUMBERS = [0, 1, 2, 3, 7, -1, 100, 1000, START_MS, START_MS + 5_000, 2**31, 2**63 - 1, -(2**63)]

texts = st.sampled_from(NAMES)
numbers = st.sampled_from(NUMBERS)
reals = st.sampled_from([0.0, 1.0, -1.0, 60.0, 1e-300, 1e300, float("inf"), float("-inf"), float("nan")])


def of_type(kind) -> st.SearchStrategy:
    """A strategy for values of an annotation."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return of_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(one) for one in arguments])
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return st.lists(of_type(arguments[0]), max_size=3).map(tuple)
        return st.tuples(*map(of_type, arguments))
    if kind in PLAIN:
        return PLAIN[kind]
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = {name: of_type(hints[name]) for name in kind.__struct_fields__}
    return (
        st.fixed_dictionaries(fields)
        .map(lambda values: _make(kind, values))
        .filter(lambda made: made is not None)
    )


def _make(kind, values):
    try:
        return kind(**values)
    except ValueError:
        # What the wire would not decode either.
        return None


PLAIN = {
    str: texts,
    int: numbers,
    float: reals,
    bool: st.booleans(),
    bytes: st.sampled_from([b"", b"one", b"{}", bytes(8)]),
    type(None): st.none(),
}
#: Origins are those of connections and keys that exist, mostly.
ORIGIN = st.builds(
    inputs.Origin,
    numbers,
    numbers,
    st.sampled_from(["ana", "bea", "node", "agent", "hub", "operator", "stranger"]),
)
PLAIN[inputs.Origin] = ORIGIN

any_input = st.one_of([of_type(kind) for kind in typing.get_args(inputs.Input)])


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(given_inputs=st.lists(st.tuples(any_input, st.sampled_from([0, 1, 1_000, 20_000])), max_size=12))
def test_nothing_raises(given_inputs):
    bench = lived()
    for message, after_ms in given_inputs:
        step = bench.do(message, after_ms=after_ms)
        for effect in step.effects:
            if isinstance(effect, Refused):
                assert effect.error.code in CODES
                assert len(effect.error.message) <= 300
        assert msgspec.msgpack.encode(step.records)
        bench.core.next_deadline()
        bench.core.devices("physics/ana")
        bench.core.bookings(None)
