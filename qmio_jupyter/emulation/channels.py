"""Closed forms of the channels that a calibration stands for, many gates at a time.

A channel on n qubits is its superoperator: a complex matrix of shape (4**n, 4**n) that acts on the density matrix
written column by column, first qubit least significant (as ``qiskit.quantum_info.SuperOp`` has it). Functions take
and give whole arrays, the gate's index first.

Formulas: thermal relaxation and depolarising noise as in Nielsen and Chuang, "Quantum Computation and Quantum
Information", 8.3; average gate fidelity from the process fidelity after Nielsen, Phys. Lett. A 303, 249 (2002).
How they are put together (relaxation after depolarisation, sized so that the whole has the measured error) is
Aer's ``NoiseModel.from_backend``; see docs/explanation/noise.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Channels = NDArray[np.complex128]


def decayed(times_s: Reals, constants_s: Reals) -> Reals:
    """Return 1 - exp(-t / T), exact for short times too; 0 for an infinite T.

    Parameters
    ----------
    times_s : ndarray
        Durations, seconds, not negative.
    constants_s : ndarray
        Time constants, seconds, positive or infinite; shapes broadcast.
    """
    made: Reals = -np.expm1(-times_s / constants_s)
    return made


def relaxations(lost: Reals, faded: Reals) -> Channels:
    """Return single-qubit thermal relaxation towards |0>.

    The part `lost` of rho_11 goes to rho_00; rho_01 and rho_10 lose the part `faded`.

    Parameters
    ----------
    lost : ndarray, shape (k,)
        1 - exp(-t / T1).
    faded : ndarray, shape (k,)
        1 - exp(-t / T2); a channel needs (1 - faded)**2 <= 1 - lost, that is T2 <= 2 T1.

    Returns
    -------
    ndarray, shape (k, 4, 4)
        Rows and columns in the order rho_00, rho_10, rho_01, rho_11.
    """
    made = np.zeros((*np.shape(lost), 4, 4), dtype=np.complex128)
    made[..., 0, 0] = 1.0
    made[..., 0, 3] = lost
    made[..., 1, 1] = made[..., 2, 2] = 1.0 - faded
    made[..., 3, 3] = 1.0 - lost
    return made


def side_by_side(first: Channels, second: Channels) -> Channels:
    """Return the two-qubit channels of `first` on the first qubit and `second` on the second.

    No plain Kronecker product: in column-stacked form the qubits' row and column indices interleave.

    Parameters
    ----------
    first, second : ndarray, shape (..., 4, 4)

    Returns
    -------
    ndarray, shape (..., 16, 16)
    """
    lead = first.shape[:-2]
    one = first.reshape(*lead, 2, 2, 2, 2)
    two = second.reshape(*lead, 2, 2, 2, 2)
    # a..d: column and row, out and in, of the first qubit; e..h of the second, which is more significant.
    made: Channels = np.einsum("...abcd,...efgh->...eafbgchd", one, two).reshape(*lead, 16, 16)
    return made


def process_fidelity(channels: Channels) -> Reals:
    """Return the process fidelity with the identity: trace / d**2.

    Parameters
    ----------
    channels : ndarray, shape (..., d**2, d**2)
    """
    made: Reals = np.real(np.trace(channels, axis1=-2, axis2=-1)) / channels.shape[-1]
    return made


def average_fidelity(channels: Channels) -> Reals:
    """Return the average gate fidelity with the identity: (d F_process + 1) / (d + 1).

    Parameters
    ----------
    channels : ndarray, shape (..., d**2, d**2)
    """
    dim = math.isqrt(channels.shape[-1])
    return (dim * process_fidelity(channels) + 1.0) / (dim + 1.0)


def depolarising_parts(errors: Reals, relaxed_fidelity: Reals, dim: int) -> Reals:
    """Return how much depolarisation makes each relaxation a gate of its measured error.

    With F the average fidelity of the relaxation and e the error, p solves
    1 - e = (1 - p) F + p / dim. An error not above 1 - F (the coherence limit) leaves nothing to depolarise; one
    above dim / (dim + 1), which no channel has, counts as that.

    Parameters
    ----------
    errors : ndarray
        1 - average gate fidelity, as measured; NaN where not known.
    relaxed_fidelity : ndarray
        Average gate fidelity of the relaxation alone.
    dim : int
        2 for one qubit, 4 for two.

    Returns
    -------
    ndarray
        p of rho -> (1 - p) rho + p I / dim, from 0 to dim**2 / (dim**2 - 1).
    """
    most = dim**2 / (dim**2 - 1)
    capped = np.minimum(errors, dim / (dim + 1))
    above = dim * (capped - (1.0 - relaxed_fidelity))
    room = dim * relaxed_fidelity - 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.minimum(above / room, most)
    # NaN compares false, as an unknown error must.
    is_worse = errors > 1.0 - relaxed_fidelity
    return np.where(is_worse, parts, 0.0)


def depolarised(channels: Channels, parts: Reals) -> Channels:
    """Return `channels` after depolarisation: first rho -> (1 - p) rho + p I / d, then the channel.

    Parameters
    ----------
    channels : ndarray, shape (k, d**2, d**2)
    parts : ndarray, shape (k,)
        p of each.
    """
    dim = math.isqrt(channels.shape[-1])
    mixed = np.eye(dim).reshape(-1)
    settled: Channels = channels @ (mixed / dim)
    p = parts[..., None, None]
    return (1.0 - p) * channels + p * settled[..., :, None] * mixed
