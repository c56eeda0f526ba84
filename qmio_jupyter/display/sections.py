"""A result as sections, one per item: the counts of its one binding, or a table over several. Made once for a page."""

from __future__ import annotations

import heapq
from collections import Counter
from math import sqrt

import msgspec

from qmio_jupyter.display.about import NOTHING, About, values_of, varying
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.parity import Expectation, expectation
from qmio_jupyter.model.result import ItemResult, TaskResult, outcomes

#: Items that are shown.
MOST_SECTIONS = 8
#: Bindings of a table.
MOST_ROWS = 32
#: Outcomes that have a column of their own in it.
MOST_COLUMNS = 6
#: Bindings whose shares are computed, and outcomes whose shares are.
MOST_SHARES = 256
MOST_LINES = 4
#: Bindings whose expectation values are computed.
MOST_POINTS = 2000

Pairs = list[tuple[str, int]]


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """An item with one binding."""

    item: int
    #: What distinguishes it from the task's other items; empty for an only one.
    title: str
    n_bits: int
    #: ``[(bitstring, count), ...]`` ordered by bitstring value, all of them.
    pairs: Pairs
    shots: int
    warnings: tuple[str, ...] = ()
    #: ``(parity, value)`` of what was asked for.
    expect: tuple[tuple[str, Expectation], ...] = ()


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One binding of a table."""

    binding: int
    #: Of the parameters that vary.
    values: tuple[float, ...]
    shots: int
    #: By column, then all other outcomes together.
    counts: tuple[int, ...]
    others: int


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """An item with several bindings."""

    item: int
    title: str
    n_bits: int
    #: Bindings in all; `rows` holds the first ones.
    bindings: int
    #: Parameters that vary over the bindings, where they are known.
    parameters: tuple[str, ...]
    #: Outcomes that are frequent in any of the rows, ordered by bitstring value.
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()
    #: ``(parity, values by binding)`` of what was asked for, at most `MOST_POINTS` bindings.
    expect: tuple[tuple[str, tuple[Expectation, ...]], ...] = ()
    #: ``(outcome, (share, standard error) by binding)`` of the most frequent `columns`, at most `MOST_SHARES` bindings.
    shares: tuple[tuple[str, tuple[tuple[float | None, float | None], ...]], ...] = ()
    #: Where each binding, at most `MOST_POINTS` of them, stands on an axis: the value of the one parameter that
    #: varies, else its number.
    xs: tuple[float, ...] = ()


Section = Counted | Sweep


#: Stands for an item of which nothing has been recorded yet.
_NONE_YET = ItemResult(n_bits=0, registers=(), bindings=())


def sections(result: TaskResult | None, about: About = NOTHING) -> list[Section]:
    """Return the sections of the first `MOST_SECTIONS` items, those without counts yet included if they are known."""
    items = () if result is None else result.items
    number = number_of_items(result, about)
    found: list[Section] = []
    for index in range(min(number, MOST_SECTIONS)):
        item = items[index] if index < len(items) else _NONE_YET
        bindings = about.bindings[index] if index < len(about.bindings) else len(item.bindings)
        title = _title(number, about, index)
        is_sweep = bindings > 1
        found.append(
            _sweep(item, about, index, title, bindings) if is_sweep else _counted(item, about, index, title)
        )
    return found


def number_of_items(result: TaskResult | None, about: About = NOTHING) -> int:
    """Return how many items a task has: partial results hold only those that were begun."""
    return max(len(about.bindings), 0 if result is None else len(result.items))


def check_expect(result: TaskResult, about: About) -> None:
    """Refuse expectation values that an item of this result cannot have.

    Raises
    ------
    UsageError
        Naming the bit that is not there.
    """
    for item in result.items:
        for parity in about.expect:
            expectation(parity, item)


def most_frequent(pairs: Pairs, most: int) -> Pairs:
    """Return the most frequent outcomes, in the order given; of equal ones the first."""
    if len(pairs) <= most:
        return pairs
    kept = heapq.nsmallest(most, enumerate(pairs), key=lambda at: (-at[1][1], at[0]))
    return [pair for _, pair in sorted(kept)]


def _counted(item: ItemResult, about: About, index: int, title: str) -> Counted:
    pairs = outcomes(item) if item.bindings else []
    return Counted(
        item=index,
        title=title,
        n_bits=item.n_bits,
        pairs=pairs,
        shots=sum(count for _, count in pairs),
        warnings=_warnings(item),
        expect=tuple((text, values[0]) for text, values in _expect(item, about, 1) if values),
    )


def _sweep(item: ItemResult, about: About, index: int, title: str, bindings: int) -> Sweep:
    begun = len(item.bindings)
    # What is asked for is plotted instead of shares: then nobody looks beyond the table.
    most = MOST_ROWS if about.expect else MOST_SHARES
    found = [dict(outcomes(item, binding)) for binding in range(min(begun, most))]
    highest = _highest(found)
    columns = tuple(bits for bits, _ in most_frequent(highest, MOST_COLUMNS))
    names = varying(about, index)
    points = MOST_POINTS if about.expect else MOST_SHARES
    return Sweep(
        item=index,
        title=title,
        n_bits=item.n_bits,
        bindings=bindings,
        parameters=names,
        columns=columns,
        rows=tuple(
            _row(about, index, binding, names, columns, counts)
            for binding, counts in enumerate(found[:MOST_ROWS])
        ),
        warnings=_warnings(item),
        expect=tuple(_expect(item, about, min(begun, MOST_POINTS))),
        xs=tuple(_x(about, index, binding, names) for binding in range(min(bindings, points))),
        shares=tuple((bits, _shares(found, bits)) for bits, _ in most_frequent(highest, MOST_LINES)),
    )


def _highest(found: list[dict[str, int]]) -> Pairs:
    """Return the highest share of every outcome over the bindings, in millionths."""
    highest: Counter[str] = Counter()
    for counts in found:
        shots = sum(counts.values()) or 1
        for bits, count in counts.items():
            highest[bits] = max(highest[bits], 1_000_000 * count // shots)
    return sorted(highest.items())


def _shares(found: list[dict[str, int]], bits: str) -> tuple[tuple[float | None, float | None], ...]:
    shares: list[tuple[float | None, float | None]] = []
    for counts in found:
        shots = sum(counts.values())
        share = counts.get(bits, 0) / shots if shots else None
        shares.append((share, None if share is None else sqrt(share * (1 - share) / shots)))
    return tuple(shares)


def _row(
    about: About,
    index: int,
    binding: int,
    names: tuple[str, ...],
    columns: tuple[str, ...],
    counts: dict[str, int],
) -> Row:
    values = dict(values_of(about, index, binding))
    shown = tuple(counts.get(bits, 0) for bits in columns)
    shots = sum(counts.values())
    return Row(
        binding=binding,
        values=tuple(values[name] for name in names),
        shots=shots,
        counts=shown,
        others=shots - sum(shown),
    )


def _x(about: About, index: int, binding: int, names: tuple[str, ...]) -> float:
    return dict(values_of(about, index, binding))[names[0]] if len(names) == 1 else float(binding + 1)


def _expect(item: ItemResult, about: About, bindings: int) -> list[tuple[str, tuple[Expectation, ...]]]:
    """Return the values of every parity that this item can have, of its first bindings."""
    found = []
    for parity in about.expect:
        try:
            values = tuple(
                expectation(parity, item, binding) for binding in range(min(bindings, len(item.bindings)))
            )
        except UsageError:
            continue  # `check_expect` says so, once the rest has been shown.
        found.append((parity.text, values))
    return found


def _title(number: int, about: About, index: int) -> str:
    if number == 1:
        return ""
    name = about.names[index] if index < len(about.names) else ""
    return f"circuit {index + 1} of {number}" + (f" ({name})" if name else "")


def _warnings(item: ItemResult) -> tuple[str, ...]:
    return tuple(value for key, value in item.notes if key == "warning")
