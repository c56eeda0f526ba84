"""Whether counts could have come from a distribution: bounds for tests whose seed, and so whose counts, are fixed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qmio_jupyter.model.result import ItemResult, key_width

#: Outcomes expected fewer times than this are pooled (the usual rule for Pearson's statistic).
_FEWEST = 5.0


def numbered_counts(item: ItemResult, binding: int = 0) -> dict[int, int]:
    """Return ``{outcome as a number: count}`` of one binding; bit 0 is the least significant."""
    entry = item.bindings[binding]
    width = key_width(item.n_bits)
    return {
        int.from_bytes(entry.keys[i * width : (i + 1) * width], "little"): int.from_bytes(
            entry.counts[i * 8 : (i + 1) * 8], "little"
        )
        for i in range(len(entry.counts) // 8)
    }


def chi_square(counts: Mapping[int, int], probabilities: Mapping[int, float]) -> tuple[float, int]:
    """Return Pearson's statistic and its degrees of freedom; rare outcomes are pooled.

    Parameters
    ----------
    counts : mapping of int to int
        How often each outcome was found.
    probabilities : mapping of int to float
        Of every outcome that is possible.
    """
    shots = sum(counts.values())
    pooled = [
        (counts.get(outcome, 0), p * shots) for outcome, p in probabilities.items() if p * shots >= _FEWEST
    ]
    rest = (shots - sum(n for n, _ in pooled), shots - sum(e for _, e in pooled))
    if rest[1] >= _FEWEST:
        pooled.append(rest)
    return sum((n - e) ** 2 / e for n, e in pooled), len(pooled) - 1


def above(statistic: float, freedom: int) -> float:
    """Return how often chi-square of so many degrees of freedom is above a value.

    E. B. Wilson and M. M. Hilferty, PNAS 17, 684 (1931): its cube root is nearly normal. A Poisson variable of mean
    m is n or more as often as chi-square of 2 n degrees of freedom is not above 2 m.
    """
    spread = 2 / (9 * freedom)
    z = ((statistic / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2)) / 2


def disagreement(counts: Mapping[int, int], probabilities: Mapping[int, float], chance: float = 1e-6) -> str:
    """Return what is wrong with `counts`; empty if they may be a sample of `probabilities`.

    Parameters
    ----------
    counts, probabilities
        As for :func:`chi_square`.
    chance : float
        How seldom a right sample may be called wrong, by Pearson's statistic and by the number of rare outcomes.
    """
    shots = sum(counts.values())
    impossible = {outcome: n for outcome, n in counts.items() if probabilities.get(outcome, 0.0) < 1e-12}
    if impossible:
        return f"impossible outcomes: {impossible}"
    statistic, freedom = chi_square(counts, probabilities)
    if freedom and (found := above(statistic, freedom)) < chance:
        seldom = 1 / max(found, 1e-300)
        return f"chi-square {statistic:.1f} with {freedom} degrees of freedom: one sample of {seldom:.2g}"
    rare = {outcome for outcome, p in probabilities.items() if p * shots < _FEWEST}
    seen = sum(n for outcome, n in counts.items() if outcome in rare)
    expected = shots * sum(probabilities[outcome] for outcome in rare)
    if seen and 1 - above(2 * expected, 2 * seen) < chance:
        return f"{seen} rare outcomes, {expected:.1f} expected"
    return ""
