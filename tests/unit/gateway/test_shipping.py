"""Programs go to agents in pieces that fit a message, each once."""

import pytest

from qmio_jupyter.core.records import ProgramStored
from qmio_jupyter.gateway.shipping import Shipping
from qmio_jupyter.gateway.turn import Ship
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, Program
from qmio_jupyter.model.task import ClaimRef, Contract, Item, ParameterMatrix, TaskSpec
from qmio_jupyter.store.memory import MemoryStore
from qmio_jupyter.wire import messages as m

TENANT = "physics/ana"


@pytest.fixture
def store():
    return MemoryStore()


def stored(store, *contents):
    programs = [Program(digest=digest(data), media_type=OCTETS, data=data) for data in contents]
    store.commit([ProgramStored(tenant=TENANT, program=one, stored_ms=0) for one in programs]).result(0)
    return [one.digest for one in programs]


def dispatch(digests, parameters=0, connection=1):
    matrix = (
        ParameterMatrix(names=("x",), bindings=parameters // 8, data=bytes(parameters))
        if parameters
        else None
    )
    spec = TaskSpec(device="echo", items=(Item(program=digests[0], shots=1, parameters=matrix),))
    contract = Contract(programs=tuple(digests), seed=0, snapshot_id=None, batch_shots=1)
    ref = ClaimRef(task_id="t", epoch=1, attempt=1)
    message = m.ClaimDispatch(ref=ref, spec=spec, contract=contract, lease_s=15)
    return Ship(connection=connection, message=message, tenant=TENANT, digests=tuple(digests))


def asked(digests):
    return Ship(connection=1, request=7, message=m.ProgramData(), tenant=TENANT, digests=tuple(digests))


def sizes(packet):
    return [len(data) for data in packet.attachments]


def test_a_dispatch_carries_what_fits_and_the_agent_asks_for_the_rest(store):
    shipping = Shipping(message_bytes=1000)
    digests = stored(store, b"a" * 300, b"b" * 150, b"c" * 200)
    assert sizes(shipping.fill(dispatch(digests), store)) == [300, 150]
    assert sizes(shipping.fill(asked(digests[2:]), store)) == [200]
    assert sizes(shipping.fill(dispatch(digests), store)) == []


def test_large_parameters_leave_no_room_in_a_dispatch(store):
    shipping = Shipping(message_bytes=1000)
    digests = stored(store, b"a" * 100)
    assert sizes(shipping.fill(dispatch(digests, parameters=720), store)) == []
    assert sizes(shipping.fill(asked(digests), store)) == [100]


def test_what_is_asked_for_comes_whatever_its_size_and_again(store):
    shipping = Shipping(message_bytes=1000)
    digests = stored(store, b"a" * 700, b"b" * 700)
    for _ in range(2):
        assert sizes(shipping.fill(asked(digests), store)) == [700]


def test_a_program_that_is_gone_is_said_to_be(store):
    shipping = Shipping()
    (known,) = stored(store, b"a")
    packet = shipping.fill(asked(["0" * 64]), store)
    assert (packet.envelope.body.error.code, packet.envelope.re) == ("program.missing", 7)
    assert sizes(shipping.fill(asked(["0" * 64, known]), store)) == [1]
    assert sizes(shipping.fill(dispatch(["0" * 64, known], connection=2), store)) == [1]


def test_another_connection_is_sent_everything(store):
    shipping = Shipping()
    digests = stored(store, b"a")
    assert sizes(shipping.fill(dispatch(digests), store)) == [1]
    assert sizes(shipping.fill(dispatch(digests, connection=2), store)) == [1]
    shipping.drop(1)
    assert sizes(shipping.fill(dispatch(digests), store)) == [1]
