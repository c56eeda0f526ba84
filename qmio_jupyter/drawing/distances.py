"""How far two distributions over outcomes are apart, and how much of that the number of shots alone explains."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qmio_jupyter.errors import UsageError


def tvd(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Return the total variation distance, ``1/2 sum |p_i - q_i|``: 0 for equal ones, 1 for disjoint ones.

    It is the largest difference between the probabilities that the two give to any one event (Levin and Peres,
    "Markov Chains and Mixing Times", 2nd ed., proposition 4.2).

    Parameters
    ----------
    p, q : mapping of str to float
        Shares, probabilities or counts by outcome; each is divided by its sum. An absent outcome has 0.

    Raises
    ------
    UsageError
        For a negative or infinite value, or a sum of 0.

    Examples
    --------
    >>> tvd({"0": 0.5, "1": 0.5}, {"0": 1.0})
    0.5
    """
    p, q = _normalised(p), _normalised(q)
    return min(1.0, math.fsum(abs(p.get(key, 0.0) - q.get(key, 0.0)) for key in p.keys() | q.keys()) / 2)


def hellinger_fidelity(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Return the Hellinger fidelity, ``(sum sqrt(p_i q_i))**2``: 1 for equal ones, 0 for disjoint ones.

    It is ``(1 - H**2)**2`` with the Hellinger distance H, the squared Bhattacharyya coefficient, and what Qiskit calls
    by this name. Equal to the fidelity of two quantum states that are diagonal in the same basis.

    Parameters
    ----------
    p, q : mapping of str to float
        As for `tvd`.

    Raises
    ------
    UsageError
        As `tvd` does.

    Examples
    --------
    >>> round(hellinger_fidelity({"0": 0.5, "1": 0.5}, {"0": 1.0}), 9)
    0.5
    """
    p, q = _normalised(p), _normalised(q)
    coefficient = math.fsum(math.sqrt(p[key] * q[key]) for key in p.keys() & q.keys())
    return min(1.0, coefficient * coefficient)


def sampling_tvd(p: Mapping[str, float], shots: int, other_shots: int = 0) -> float:
    """Return the total variation distance that shot noise alone is expected to give.

    Two samples of the same distribution `p`, of `shots` and `other_shots` shots, differ in each share by a nearly
    normal amount of variance ``p_i (1 - p_i) (1/n + 1/m)``, whose mean absolute value is ``sqrt(2/pi)`` standard
    deviations. Half the sum of these, an over-estimate where expected counts are below one.

    Parameters
    ----------
    p : mapping of str to float
        As for `tvd`.
    shots : int
        Shots of the sample, at least 1.
    other_shots : int
        Shots of the sample that it is compared with; 0 where that is exact.

    Raises
    ------
    UsageError
        As `tvd` does, and for less than one shot.
    """
    if shots < 1 or other_shots < 0:
        raise UsageError(f"a distance after {shots} shots", hint="Wait for the first one.")
    variance = 1 / shots + (1 / other_shots if other_shots else 0.0)
    expected = math.fsum(math.sqrt(share * (1 - share) * variance) for share in _normalised(p).values())
    return min(1.0, expected * math.sqrt(2 / math.pi) / 2)


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(values.values())
    if not (total > 0 and math.isfinite(total)) or min(values.values()) < 0:
        raise UsageError(
            "a distance between distributions, one of which has no shots or negative ones",
            hint="Give counts or probabilities that are 0 or more, and not all 0.",
        )
    return {key: min(1.0, value / total) for key, value in values.items()}
