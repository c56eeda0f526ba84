"""Expectation values that counts can tell: products of Z over measured bits, with their standard error.

A shot in which an even number of the named bits is 1 counts +1, any other -1. Counts know nothing of X or Y: a circuit
that wants them turns its qubits before it measures.
"""

from __future__ import annotations

import re
from math import sqrt

import msgspec

from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.result import ItemResult, key_width

#: Characters of one parity as written.
LONGEST = 400
_WORD = re.compile(r"[IZ](?:[IZ ]*[IZ])?")
_FACTOR = re.compile(r"Z(?P<bit>[0-9]{1,6})|(?P<register>[A-Za-z_]\w*)\[(?P<index>[0-9]{1,6})\]")


class Parity(msgspec.Struct, frozen=True):
    """A product of Z, as it was written; which bits it means is known once the program's registers are."""

    text: str


class Expectation(msgspec.Struct, frozen=True):
    """A mean of +1 and -1 over `shots` shots, and its standard error."""

    value: float
    error: float
    shots: int


def parse(text: str) -> Parity:
    """Return the parity that is written in one of three ways.

    ``ZIZ``
        A letter per classical bit, in the order in which bitstrings are written: the leftmost is the highest bit.
        Blanks between registers may be left out.
    ``Z0*Z2``
        Bits by number, 0 the rightmost.
    ``c[0]*d[1]``
        Bits of registers by name; both kinds of factors may be mixed.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    written = " ".join(text.split())
    factors = [factor.strip() for factor in written.split("*")]
    is_good = _WORD.fullmatch(written) or all(_FACTOR.fullmatch(factor) for factor in factors)
    if not is_good or len(written) > LONGEST:
        turned = re.search(r"[XY]", written)
        raise UsageError(
            f"expect: {text[:40]!r} is no product of Z"
            + (
                f", and counts cannot tell {turned[0]}: turn the qubit before it is measured"
                if turned
                else ""
            ),
            hint="Write ZZ with a letter per bit, or Z0*Z1, or c[0]*c[1].",
            code="usage.option",
        )
    return Parity(written)


def bits_of(parity: Parity, item: ItemResult) -> tuple[int, ...]:
    """Return the indices of the classical bits that a parity names in an item, each as often as it is named.

    Raises
    ------
    UsageError
        If the item has no such bit, or a word has not one letter for each of its bits.
    """
    if _WORD.fullmatch(parity.text):
        word = parity.text.replace(" ", "")
        if len(word) != item.n_bits:
            raise UsageError(
                f"expect {parity.text}: {len(word)} letters, and the program has {item.n_bits} classical bits",
                hint="Write a letter I or Z for each of them, or name the bits: Z0*Z1.",
                code="usage.option",
            )
        # In the order of bitstrings: last register first, its highest bit first.
        written = [bit for register in reversed(item.registers) for bit in reversed(register.bits)]
        return tuple(bit for letter, bit in zip(word, written, strict=True) if letter == "Z")
    return tuple(_bit(parity, factor.strip(), item) for factor in parity.text.split("*"))


def _bit(parity: Parity, factor: str, item: ItemResult) -> int:
    found = _FACTOR.fullmatch(factor)
    assert found is not None  # `parse` has seen to it.
    if found["bit"] is not None:
        bit = int(found["bit"])
        if bit < item.n_bits:
            return bit
        has = f"bits 0 to {item.n_bits - 1}" if item.n_bits else "no classical bits"
        raise UsageError(
            f"expect {parity.text}: there is no bit {bit}, the program has {has}",
            hint="Bit 0 is the rightmost of a bitstring.",
            code="usage.option",
        )
    name, index = found["register"], int(found["index"])
    register = next((one for one in item.registers if one.name == name), None)
    if register is None or index >= len(register.bits):
        known = ", ".join(f"{one.name}[{len(one.bits)}]" for one in item.registers if one.name)
        raise UsageError(
            f"expect {parity.text}: there is no {factor}",
            hint=f"Registers: {known}." if known else "Name bits by number: Z0*Z1.",
            code="usage.option",
        )
    return register.bits[index]


def expectation(parity: Parity, item: ItemResult, binding: int = 0) -> Expectation:
    """Return the mean of a parity over the shots of one binding, and its standard error.

    With n shots, of which n+ are even: value = (2 n+ - n) / n, error = sqrt((1 - value^2) / n), the standard error of
    the mean of n independent signs with that mean. Without shots both are 0.

    Raises
    ------
    UsageError
        As :func:`bits_of`.
    """
    mask = 0
    for bit in bits_of(parity, item):
        mask ^= 1 << bit
    entry = item.bindings[binding]
    width = key_width(item.n_bits)
    total = shots = 0
    for i in range(len(entry.counts) // 8):
        key = int.from_bytes(entry.keys[i * width : (i + 1) * width], "little")
        count = int.from_bytes(entry.counts[i * 8 : (i + 1) * 8], "little")
        shots += count
        total += -count if (key & mask).bit_count() & 1 else count
    if not shots:
        return Expectation(0.0, 0.0, 0)
    value = total / shots
    return Expectation(value, sqrt(max(0.0, 1 - value * value) / shots), shots)
