"""Who is connected: numbers, routing ids, keys, descriptors."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qmio_jupyter.ports import Peer
from qmio_jupyter.transport.connections import UNKNOWN, Connections, Descriptors

ANA, BO = "a" * 64, "b" * 64


def peer(key: str) -> Peer:
    return Peer(key=key, address="127.0.0.1")


def test_a_routing_id_under_another_key_is_another_connection():
    table = Connections()
    old = table.add(b"id", peer(ANA), 1, is_known=False)
    assert table.find(b"id", ANA) is old
    assert table.find(b"id", BO) is None
    new = table.add(b"id", peer(BO), 2, is_known=False)
    assert new.number != old.number
    assert table.get(old.number) is None
    assert table.find(b"id", ANA) is None
    assert table.find(b"id", BO) is new
    assert table.take_departed() == [old.number]
    assert table.take_departed() == []


def test_burying_the_old_one_late_does_not_touch_the_new_one():
    table = Connections()
    old = table.add(b"id", peer(ANA), 1, is_known=False)
    new = table.add(b"id", peer(BO), 2, is_known=False)
    table.remove(old)
    assert table.over(1) is None
    assert table.find(b"id", BO) is new
    assert table.take_departed() == [old.number]


def test_a_dropped_connection_stays_deaf_and_leaves_in_silence():
    table = Connections()
    nuisance = table.add(b"id", peer(ANA), 1, is_known=False)
    nuisance.is_dropped = True
    assert table.get(nuisance.number) is None
    assert table.find(b"id", ANA) is nuisance
    table.remove(nuisance)
    assert table.take_departed() == []
    assert len(table) == 0


def test_who_is_known_may_change():
    table = Connections()
    ana, bo = (table.add(key.encode(), peer(key), n, is_known=key == BO) for n, key in ((1, ANA), (2, BO)))
    assert table.known == 1
    table.recount(lambda _key: True)
    assert table.known == 2
    table.recount(lambda key: key == ANA)
    assert table.known == 1
    table.remove(bo)
    assert table.known == 1
    table.remove(ana)
    assert table.known == 0


def test_silence():
    table = Connections()
    for number, key in enumerate((ANA, BO)):
        table.add(bytes([number]), peer(key), number + 1, is_known=False).heard = float(number)
    table.forget_silent(0.5)
    assert table.take_departed() == [1]
    assert len(table) == 1


def test_a_descriptor_used_again_has_another_generation():
    descriptors = Descriptors()
    descriptors.accepted(20)
    first = descriptors.generation(20)
    assert descriptors.closed(20) == first
    assert descriptors.generation(20) == 0
    descriptors.accepted(20)
    assert descriptors.generation(20) not in (0, first)
    assert descriptors.closed(21) == 0
    assert len(descriptors) == 1


def test_an_unknown_descriptor_is_never_found_closed():
    table = Connections()
    table.add(b"1", peer(ANA), UNKNOWN, is_known=False)
    table.add(b"2", peer(BO), UNKNOWN, is_known=False)
    assert table.over(UNKNOWN) is None
    assert table.over(0) is None


class Table(RuleBasedStateMachine):
    """Against a plain model: numbers are never used twice, each departure is told once."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Connections()
        self.living: dict[int, tuple[bytes, str, bool]] = {}
        self.seen: set[int] = set()
        self.departed: list[int] = []
        self.generation = 0

    @rule(routing_id=st.binary(min_size=1, max_size=1), key=st.sampled_from([ANA, BO]), known=st.booleans())
    def speak(self, routing_id, key, known):
        found = self.table.find(routing_id, key)
        if found is not None:
            assert self.living[found.number][:2] == (routing_id, key)
            return
        self.departed += [n for n, (r, _, _) in self.living.items() if r == routing_id]
        self.living = {n: who for n, who in self.living.items() if who[0] != routing_id}
        self.generation += 1
        new = self.table.add(routing_id, peer(key), self.generation, is_known=known)
        assert new.number not in self.seen
        self.seen.add(new.number)
        self.living[new.number] = (routing_id, key, known)

    @rule(pick=st.integers(0, 9))
    def leave(self, pick):
        if self.living:
            number = sorted(self.living)[pick % len(self.living)]
            self.table.remove(self.table.get(number))
            del self.living[number]
            self.departed.append(number)

    @rule()
    def tell(self):
        assert self.table.take_departed() == self.departed
        self.departed = []

    @invariant()
    def agree(self):
        assert len(self.table) == len(self.living)
        assert self.table.known == sum(known for _, _, known in self.living.values())
        for number in self.seen:
            assert (self.table.get(number) is not None) == (number in self.living)


TestTable = Table.TestCase
TestTable.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
