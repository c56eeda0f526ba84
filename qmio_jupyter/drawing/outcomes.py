"""Which outcomes are drawn, in which order, and how sure their shares are."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Literal

import msgspec

from qmio_jupyter.errors import UsageError

Sort = Literal["bits", "value"]
Pair = tuple[str, int]


class Selection(msgspec.Struct, frozen=True):
    """The outcomes that are drawn, in order of their bits, and what is known of the others."""

    pairs: tuple[Pair, ...]
    #: Position of each in the order by value.
    by_value: tuple[int, ...]
    shots: int
    #: Outcomes left out, and their shots.
    others: int
    other_shots: int


def select(pairs: Sequence[Pair], most: int) -> Selection:
    """Return the most frequent outcomes; of equal ones those whose bits come first.

    Where only one would be left out, it is kept: the rest would need as much room.

    Parameters
    ----------
    pairs : sequence of (str, int)
        Each outcome once, with its count, as of ``model.result.outcomes``.
    most : int
        How many may be drawn beside the rest, at least 1.

    Raises
    ------
    UsageError
        For a negative count, or a `most` below 1.
    """
    if most < 1:
        raise UsageError(f"a histogram of its top {most} outcomes", hint="Ask for at least one.")
    counts = [count for _, count in pairs]
    if counts and min(counts) < 0:
        raise UsageError("a histogram of a negative count", hint="Counts are 0 or more.")
    shots = sum(counts)
    kept = list(pairs) if len(pairs) <= most + 1 else _top(pairs, counts, most)
    kept.sort(key=_by_bits)
    order = sorted(range(len(kept)), key=lambda at: -kept[at][1])
    places = [0] * len(kept)
    for place, at in enumerate(order):
        places[at] = place
    return Selection(
        pairs=tuple(kept),
        by_value=tuple(places),
        shots=shots,
        others=len(pairs) - len(kept),
        other_shots=shots - sum(count for _, count in kept),
    )


def select_names(values: Mapping[str, float], most: int) -> tuple[list[str], list[int]]:
    """Return the outcomes with the largest values in order of their bits, and each one's position by value.

    As for `select`, never are all but one returned.

    Raises
    ------
    UsageError
        For a `most` below 1.
    """
    if most < 1:
        raise UsageError(f"a picture of its top {most} outcomes", hint="Ask for at least one.")
    most = most + 1 if len(values) == most + 1 else most
    kept = heapq.nsmallest(most, values, key=lambda bits: (-values[bits], len(bits), bits))
    places = {bits: place for place, bits in enumerate(kept)}
    kept.sort(key=lambda bits: (len(bits), bits))
    return kept, [places[bits] for bits in kept]


def standard_error(share: float, shots: int) -> float:
    """Return the binomial standard error of a share, ``sqrt(p (1 - p) / n)``.

    The normal approximation with the observed share in place of the true one (Wald): it is 0 at shares 0 and 1.
    """
    return math.sqrt(max(0.0, share * (1 - share)) / shots) if shots > 0 else 0.0


def _top(pairs: Sequence[Pair], counts: list[int], most: int) -> list[Pair]:
    # By the counts alone first: a key function over a million pairs takes longer than all the rest.
    least = heapq.nlargest(most, counts)[-1]
    above = [pair for pair in pairs if pair[1] > least]
    equal = [pair for pair in pairs if pair[1] == least]
    wanted = most - len(above)
    if len(equal) > wanted:
        equal = heapq.nsmallest(wanted, equal, key=_by_bits if _ragged(equal) else itemgetter(0))
    return above + equal


def _ragged(pairs: list[Pair]) -> bool:
    width = len(pairs[0][0])
    return any(len(bits) != width for bits, _ in pairs)


def _by_bits(pair: Pair) -> tuple[int, str]:
    return len(pair[0]), pair[0]
