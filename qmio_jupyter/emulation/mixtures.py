"""Writing a gate's noise as a mixture of events: exactly the same channel, drawn once per shot.

A trajectory is cheap where the events do not ask for the state: Paulis and resets. Depolarisation is a mixture of
Paulis. Relaxation with T2 <= T1 is one of {nothing, Z, reset}. With T1 < T2 <= 2 T1 it is none, for its coherence
outlives its excitation; but with a = 1 - exp(-t / T1) and b = 1 - exp(-t / T2)

    R = w 1 + (1 - w) A(s),   1 - w = b**2 / (2 b - a),   s = (a - b) / b

where A(s) is amplitude damping under which |1> keeps the amplitude s. That is the largest part in which nothing
happens, and a rest that does ask for the state but comes rarely. At T2 = T1 the rest is the reset (s = 0), at
T2 = 2 T1 it is everything (w = 0). To find it, subtract w times the identity's Choi matrix from the relaxation's:
the block of rho_00, rho_01, rho_11 that is left must stay positive, and at the largest w has rank one.

A gate that also depolarises has Z errors to give: they commute with relaxation, and each one taken over shortens
the coherence that must be made. Taken over until T2 no longer exceeds T1, or all are used, they mostly leave a
mixture without any rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from qmio_jupyter.emulation.noise import Terms

#: What can happen to one qubit: "I", "X", "Y", "Z" or "reset".
Event = str
RESET: Final = "reset"
#: Products of two Paulis, without phases.
_TIMES_Z: Final = {"I": "Z", "X": "Y", "Y": "X", "Z": "I"}
_PAULIS: Final = "IXYZ"


@dataclass(frozen=True, slots=True)
class Local:
    """One qubit's relaxation as a mixture.

    Attributes
    ----------
    nothing, flip, reset, damp : float
        Probabilities of doing nothing, Z, reset to |0>, and amplitude damping; they add up to 1.
    stay : float
        The amplitude that |1> keeps under that damping.
    """

    nothing: float
    flip: float
    reset: float
    damp: float
    stay: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """A gate's noise: an event drawn for all its qubits, then damping drawn for each.

    Attributes
    ----------
    events : dict
        Probability by combination: one event per qubit, in the gate's order.
    damping : tuple of (float, float)
        Per qubit: probability of amplitude damping, and the amplitude that |1> keeps under it; (0, 1) for none.
    """

    events: dict[tuple[Event, ...], float]
    damping: tuple[tuple[float, float], ...]


def relaxed(lost: float, faded: float) -> Local:
    """Return relaxation as a mixture.

    Parameters
    ----------
    lost : float
        a = 1 - exp(-t / T1).
    faded : float
        b = 1 - exp(-t / T2), with (1 - b)**2 <= 1 - a.
    """
    if faded >= lost:
        flip = (faded - lost) / 2
        return Local(nothing=1.0 - lost - flip, flip=flip, reset=lost, damp=0.0, stay=1.0)
    # At T2 = 2 T1 the denominator is b**2, and with rounding may be less, down to nothing at the shortest times.
    spare = 2 * faded - lost
    damp = 1.0 if spare <= faded**2 else faded**2 / spare
    stay = min(1.0, (lost - faded) / faded)
    return Local(nothing=1.0 - damp, flip=0.0, reset=0.0, damp=damp, stay=stay)


def mixture(terms: Terms, *, is_clifford: bool) -> Mixture:
    """Return a gate's noise as a mixture.

    Parameters
    ----------
    terms : Terms
        Of a gate on one or two qubits, or of a delay.
    is_clifford : bool
        True: no damping; where it would be needed T2 is cut to T1, populations staying as they are (see `is_cut`).
    """
    paulis, faded = _shared(terms)
    if is_clifford:
        faded = tuple(map(max, faded, terms.lost))
    local = [relaxed(one, two) for one, two in zip(terms.lost, faded, strict=True)]
    found: dict[tuple[Event, ...], float] = {}
    for index, probability in np.ndenumerate(paulis):
        _spread(found, tuple(_PAULIS[place] for place in index), float(probability), local)
    return Mixture(events=found, damping=tuple((one.damp, one.stay) for one in local))


def is_cut(terms: Terms) -> tuple[bool, ...]:
    """Return for each qubit whether a Clifford mixture departs from the channel.

    It does where T2 exceeds T1 by more than the gate's Z errors make up for.
    """
    _, faded = _shared(terms)
    return tuple(two < one for one, two in zip(terms.lost, faded, strict=True))


def _spread(
    found: dict[tuple[Event, ...], float], paulis: tuple[str, ...], probability: float, local: list[Local]
) -> None:
    """Add what becomes of one Pauli combination when each qubit relaxes after it; damping comes later."""
    combined: list[tuple[tuple[Event, ...], float]] = [((), probability)]
    for pauli, one in zip(paulis, local, strict=True):
        way = ((pauli, one.nothing + one.damp), (_TIMES_Z[pauli], one.flip), (RESET, one.reset))
        combined = [((*sofar, event), p * q) for sofar, p in combined for event, q in way]
    for what, p in combined:
        if p > 0.0:
            found[what] = found.get(what, 0.0) + p


def _shared(terms: Terms) -> tuple[NDArray[np.float64], tuple[float, ...]]:
    """Return the Paulis' probabilities and each qubit's 1 - exp(-t / T2), Z errors moved from the first to the second.

    With x = 1 / (1 - 2 z) for a qubit that takes Z errors of probability z, the Paulis left have eigenvalues
    (1 - p) times the x of each qubit on which they are X or Y. Their probability of Z on one qubit alone stays
    positive while 4 (1 - p) (x - 1) (1 + y) <= p, y being the other's x (2 in place of 4 and no y for a single
    qubit).
    """
    n = len(terms.lost)
    p = terms.depolarising
    kept = 1.0 - p
    # x - 1 that makes T2 equal T1: exp(-t / T2) / exp(-t / T1) - 1, where that is positive.
    wanted = [
        max(0.0, a - b) / (1.0 - a) if a < 1.0 else 0.0 for a, b in zip(terms.lost, terms.faded, strict=True)
    ]
    if kept <= 0.0 or p <= 0.0:
        excess = [0.0] * n
    elif n == 1:
        excess = [min(wanted[0], p / (2 * kept))]
    else:
        excess = _two_excesses(wanted, p / (4 * kept))
    eigenvalues = np.full((4,) * n, kept)
    eigenvalues[(0,) * n] = 1.0
    for axis, u in enumerate(excess):
        stretched = np.array([1.0, 1.0 + u, 1.0 + u, 1.0]).reshape((-1,) + (1,) * (n - 1 - axis))
        eigenvalues = eigenvalues * stretched
    paulis = eigenvalues
    for axis in range(n):
        paulis = np.moveaxis(np.tensordot(_SIGNS, paulis, axes=(1, axis)), 0, axis) / 4
    # Where all that was wanted was had, T2 is T1, and not by a rounding above it.
    faded = tuple(
        max(a, b) if u == want else (u + b) / (1.0 + u)
        for a, b, u, want in zip(terms.lost, terms.faded, excess, wanted, strict=True)
    )
    return np.maximum(paulis, 0.0), faded


def _two_excesses(wanted: list[float], room: float) -> list[float]:
    """Return u and v, at most those `wanted`, with u (2 + v) <= room and v (2 + u) <= room."""
    both = room / (1.0 + math.sqrt(1.0 + room))
    u, v = (min(want, both) for want in wanted)
    # Where one wants less than its share, the other may have more.
    if u < wanted[0]:
        u = _more(wanted[0], v, room)
    elif v < wanted[1]:
        v = _more(wanted[1], u, room)
    return [u, v]


def _more(wanted: float, other: float, room: float) -> float:
    most = room / (2.0 + other)
    if other > 0.0:
        most = min(most, room / other - 2.0)
    return min(wanted, most)


#: -1 where two Paulis anticommute.
_SIGNS: Final = np.array(
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0], [1.0, -1.0, -1.0, 1.0]]
)
