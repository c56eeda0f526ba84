"""Expectation values of counts: what may be written, which bits it means, and the figures."""

from __future__ import annotations

import math
import random

import pytest

from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.parity import Parity, bits_of, expectation, parse
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, outcomes, pack_counts

REGISTERS = (
    Register(name="a", bits=(0, 1)),
    Register(name="", bits=(2,)),
    Register(name="b", bits=(3, 4)),
)


def item(
    pairs: list[tuple[int, int]], n_bits: int = 5, registers: tuple[Register, ...] = REGISTERS
) -> ItemResult:
    keys, counts = pack_counts(pairs, n_bits)
    entry = BindingCounts(shots=sum(c for _, c in pairs), keys=keys, counts=counts)
    return ItemResult(n_bits=n_bits, registers=registers, bindings=(entry,))


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("ZIIII", (4,)),
        ("IIIIZ", (0,)),
        ("ZI I ZZ", (4, 1, 0)),
        ("  ZZZZZ ", (4, 3, 2, 1, 0)),
        ("Z0", (0,)),
        ("Z0*Z3", (0, 3)),
        ("a[1] * b[0]", (1, 3)),
        ("Z2*b[1]", (2, 4)),
    ],
)
def test_the_bits_that_are_meant(text: str, bits: tuple[int, ...]) -> None:
    assert bits_of(parse(text), item([(0, 1)])) == bits


@pytest.mark.parametrize(
    "text", ["", "X", "ZX", "z0", "Z0 Z1", "Z0*", "a[", "a[x]", "Z-1", "0", "Z" * 401, "ZZ*Z0", "Z0;"]
)
def test_what_is_no_product_of_z_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.code == "usage.option"
    assert "\n" not in caught.value.one_line()
    assert "Z0*Z1" in caught.value.one_line()


def test_x_and_y_are_told_apart_from_nonsense() -> None:
    with pytest.raises(UsageError, match="turn the qubit"):
        parse("XX")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ZZ", "2 letters, and the program has 5 classical bits"),
        ("Z5", "no bit 5, the program has bits 0 to 4"),
        ("a[2]", r"no a\[2\]"),
        ("c[0]", r"Registers: a\[2\], b\[2\]"),
    ],
)
def test_bits_that_are_not_there_are_named(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        expectation(parse(text), item([(0, 1)]))


def test_words_follow_the_order_of_the_bitstring_not_of_the_bits() -> None:
    # A register may hold its bits in any order: the word is about what is written.
    odd = (Register(name="r", bits=(1, 0)),)
    found = item([(0b01, 10)], 2, odd)
    ((bits, _),) = outcomes(found)
    assert bits == "01"[::-1]
    assert expectation(parse("ZI"), found).value == -1
    assert expectation(parse("IZ"), found).value == 1


def test_the_value_and_its_error() -> None:
    found = expectation(
        parse("ZZ"), item([(0, 450), (1, 30), (2, 20), (3, 500)], 2, (Register(name="c", bits=(0, 1)),))
    )
    assert found.value == pytest.approx(0.9)
    assert found.error == pytest.approx(math.sqrt((1 - 0.81) / 1000))
    assert found.shots == 1000


def test_no_shots_and_a_bit_named_twice() -> None:
    assert expectation(parse("Z0"), item([])).shots == 0
    assert expectation(Parity("Z0*Z0"), item([(1, 5)])).value == 1


def test_against_the_definition_on_random_counts() -> None:
    rng = random.Random(5)
    for _ in range(50):
        n_bits = rng.randrange(1, 70)
        one = (Register(name="c", bits=tuple(range(n_bits))),)
        pairs = {rng.getrandbits(n_bits): rng.randrange(1, 50) for _ in range(20)}
        word = "".join(rng.choice("IZ") for _ in range(n_bits))
        found = item(sorted(pairs.items()), n_bits, one)
        signs = []
        for bits, count in outcomes(found):
            odd = sum(1 for letter, bit in zip(word, bits, strict=True) if letter == "Z" and bit == "1") % 2
            signs += [-1 if odd else 1] * count
        mean = sum(signs) / len(signs)
        value = expectation(parse(word), found)
        assert value.value == pytest.approx(mean)
        assert value.error == pytest.approx(math.sqrt(sum((s - mean) ** 2 for s in signs)) / len(signs))
