"""What is known of a device on one day: qubits, gates, times and errors, as they were measured.

A record keeps what the file said, dirty values included (T2 above 2 T1, an error larger than the value): what is
to be done about them is the emulation's business, and it says so in every result.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Qubit:
    """One physical qubit. None: not known, and then nothing is emulated for it.

    Attributes
    ----------
    t1_s, t2_s : float or None
        Relaxation and dephasing time, seconds.
    frequency_hz : float or None
        Drive frequency, hertz.
    readout_s : float or None
        Duration of a measurement, seconds.
    prob_meas1_prep0, prob_meas0_prep1 : float or None
        Readout error in each direction, probabilities.
    readout_hz : float or None
        Frequency of the readout resonator, hertz.
    t1_bar_s, t2_bar_s : float or None
        Error bars of the times, seconds, as given; may be larger than the values. Nothing is emulated from them.
    """

    t1_s: float | None = None
    t2_s: float | None = None
    frequency_hz: float | None = None
    readout_s: float | None = None
    prob_meas1_prep0: float | None = None
    prob_meas0_prep1: float | None = None
    readout_hz: float | None = None
    t1_bar_s: float | None = None
    t2_bar_s: float | None = None

    @property
    def readout_error(self) -> float | None:
        """The mean of both directions, None if one is not known."""
        if self.prob_meas1_prep0 is None or self.prob_meas0_prep1 is None:
            return None
        return (self.prob_meas1_prep0 + self.prob_meas0_prep1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A native operation on given qubits.

    Attributes
    ----------
    name : str
        Qiskit's name: ``sx``, ``x``, ``rz``, ``ecr``, ``cz``, ``id``, ``reset``, ``delay``.
        Measurements are in `Qubit`.
    qubits : tuple of int
        Physical qubits, in order (control first).
    duration_s : float or None
        Seconds; None: not known, no relaxation is emulated.
    error : float or None
        1 - average gate fidelity; None: not known, no gate error is emulated.
    error_bar : float or None
        Error bar of `error`, as given; may be larger than it. Nothing is emulated from it.
    """

    name: str
    qubits: tuple[int, ...]
    duration_s: float | None = None
    error: float | None = None
    error_bar: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRecord:
    """A device's calibration.

    Attributes
    ----------
    source : str
        Where it comes from, for people: format and name, never a path.
    taken_ms : int
        When it was measured, milliseconds since the Unix epoch.
    dt_s : float
        Length of one sample, seconds.
    qubits : tuple of Qubit
        By physical index.
    gates : tuple of Gate
        Sorted by name, then qubits; dead ones (error 1 or more) are kept here and left out of targets.
    control_flow : tuple of str
        Qiskit's names of the control-flow operations the device takes.
    """

    source: str
    taken_ms: int
    dt_s: float
    qubits: tuple[Qubit, ...]
    gates: tuple[Gate, ...]
    control_flow: tuple[str, ...] = ()

    @property
    def n_qubits(self) -> int:
        """Number of physical qubits."""
        return len(self.qubits)

    @property
    def couplings(self) -> tuple[tuple[int, int], ...]:
        """Directed pairs with a working two-qubit gate, sorted, each once."""
        return tuple(
            sorted({(g.qubits[0], g.qubits[1]) for g in self.gates if len(g.qubits) == 2 and not is_dead(g)})
        )

    @property
    def native_gates(self) -> tuple[str, ...]:
        """Names of native operations with ``measure``, sorted."""
        return tuple(sorted({gate.name for gate in self.gates} | {"measure"}))


def is_dead(gate: Gate) -> bool:
    """Return whether a gate does not work: its error is 1 or more."""
    return gate.error is not None and gate.error >= 1.0
