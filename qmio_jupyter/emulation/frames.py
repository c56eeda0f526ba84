"""Noisy Clifford circuits, many shots at once, at the cost of what goes wrong in them and not of their gates.

The circuit's gates are the same for every shot, so they are done once, on Pauli operators: an event (a Pauli, a
reset) after the gates U does to U|s> what its image U^ P U does to |s>. A shot is then a basis state |s>, and
a Pauli event flips bits of it. A reset, or a measurement, whose image R flips bits leaves the even or the odd
superposition of |s> and R|s>; with j a bit that R flips, this is V|s'> with V = (Z_j + R) / sqrt(2), Hermitian and
Clifford like the gates, and what comes later is imaged by V as well: each shot keeps its own few V, and stays a
basis state. (The images are the tableau of Aaronson and Gottesman, Phys. Rev. A 70, 052328 (2004), inverted;
following errors through a fixed circuit is the Pauli frame of Knill, Nature 434, 39 (2005), and of Gidney's Stim,
Quantum 5, 497 (2021); the V extend it to resets that happen in some shots only.)

Noise is that of `unravelling.clifford`: exact unless its remarks say that some T2 is cut to T1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Instruction, ParameterExpression

from qmio_jupyter.emulation import compacting
from qmio_jupyter.emulation.compacting import Step
from qmio_jupyter.emulation.mixtures import RESET, is_cut, mixture
from qmio_jupyter.emulation.noise import NoiseBook, Place, Terms
from qmio_jupyter.emulation.paulis import IDENTITY, Frame, NotCliffordError
from qmio_jupyter.emulation.survey import DIAGONAL
from qmio_jupyter.errors import ProgramError

Words = NDArray[np.uint64]
Rows = NDArray[np.intp]
_WORD: Final = 64
_ALL: Final = np.uint64(2**64 - 1)
_NONE: Final = np.uint64(0)


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place in the circuit where something may happen.

    Attributes
    ----------
    cumulative : ndarray, shape (events,)
        Probabilities of the events, added up; the rest is nothing.
    flips, signs : ndarray, shape (events, words)
        Masks x and z of the Paulis' images.
    resets : tuple of (ndarray of bool, Images)
        Which events reset a qubit, and the images of its operators.
    """

    cumulative: NDArray[np.float64]
    flips: Words
    signs: Words
    resets: tuple[tuple[NDArray[np.bool_], _Images], ...]


@dataclass(frozen=True, slots=True)
class _Images:
    """U^ X U and U^ Z U of one qubit, masks in words."""

    x_flips: Words
    x_signs: Words
    z_phase: int
    z_flips: Words
    z_signs: Words


@dataclass(frozen=True, slots=True)
class _Turns:
    """One V of each shot: the operators R, and the masks of the bits j that stand for them; zeros are no V."""

    phases: NDArray[np.int8]
    flips: Words
    signs: Words
    bits: Words


@dataclass(frozen=True, slots=True)
class _Measure:
    """A measurement at the end."""

    clbit: int
    images: _Images
    #: P(1 is read | 0 is there), P(0 is read | 1 is there).
    errors: tuple[float, float]


class Frames:
    """A Clifford circuit with noise, ready to be sampled.

    Parameters
    ----------
    isa : QuantumCircuit
        Compiled for the device; all parameters bound, measurements last, no control flow.
    book : NoiseBook or None
        The device's noise; None: none.

    Attributes
    ----------
    physical : tuple of int
        Which of the device's qubits are used.
    spots : int
        Places where something may happen.
    remarks : tuple of (str, str)
        For the result.

    Raises
    ------
    ProgramError
        ``program.unsupported`` if it is no such circuit, or has a gate that the device lacks.
    """

    def __init__(self, isa: QuantumCircuit, book: NoiseBook | None) -> None:
        self.physical = compacting.places(isa, None)
        self._width = max(1, (isa.num_clbits + 7) // 8)
        self._words = max(1, -(-len(self.physical) // _WORD))
        reading = _Reading(isa, book, len(self.physical), self._words)
        compacting.walk(isa, self.physical, book.record.dt_s if book else 1.0, reading)
        self._spots = reading.spots
        self._measures = reading.measures
        self.spots = len(self._spots)
        self.remarks = reading.remarks(self.physical)

    def sample(self, shots: int, random: np.random.Generator) -> NDArray[np.uint8]:
        """Return the outcomes of `shots` shots as they are read.

        Parameters
        ----------
        shots : int
            At least 1; memory is some hundred bytes per shot and measured qubit at the most.
        random : Generator
            Where chance comes from; the same state gives the same outcomes.

        Returns
        -------
        ndarray, shape (shots, ceil(bits / 8))
            Classical bit 0 is bit 0 of byte 0.
        """
        run = _Shots(shots, self._words, random)
        for spot in self._spots:
            run.happen(spot)
        keys = np.zeros((shots, self._width), dtype=np.uint8)
        every = np.arange(shots)
        for measure in self._measures:
            found = run.measure(every, measure.images)
            found ^= random.random(shots) < np.where(found, measure.errors[1], measure.errors[0])
            byte, bit = measure.clbit >> 3, np.uint8(1 << (measure.clbit & 7))
            keys[:, byte] &= ~bit
            keys[:, byte] |= found * bit
        return keys


class _Shots:
    """Basis states of all shots, and each one's own V: operators R with the bit j of theirs that stands for them."""

    def __init__(self, shots: int, words: int, random: np.random.Generator) -> None:
        self._random = random
        self._shots = shots
        self._words = words
        self._states: Words = np.zeros((shots, words), dtype=np.uint64)
        self._depth = np.zeros(shots, dtype=np.intp)
        self._turns: list[_Turns] = []

    def happen(self, spot: _Spot) -> None:
        """Draw what happens at a spot, in each shot, and do it."""
        drawn = self._random.random(self._shots)
        rows = np.flatnonzero(drawn < spot.cumulative[-1])
        if not len(rows):
            return
        which = spot.cumulative.searchsorted(drawn[rows], side="right")
        # Overlooking the phases: they are a whole state's, and nobody sees them.
        flips, _, _ = self._seen(rows, spot.flips[which], spot.signs[which])
        self._states[rows] ^= flips
        for has_reset, images in spot.resets:
            hit = rows[has_reset[which]]
            if len(hit):
                self._reset(hit, images)

    def measure(self, rows: Rows, images: _Images) -> NDArray[np.bool_]:
        """Measure a qubit in some shots; return what was found."""
        flips, signs, phases = self._seen(
            rows, np.tile(images.z_flips, (len(rows), 1)), np.tile(images.z_signs, (len(rows), 1))
        )
        phases = phases + images.z_phase
        is_open = flips.any(axis=1)
        found = (_parity(signs & self._states[rows]) ^ (phases >> 1 & 1)).astype(np.bool_)
        if is_open.any():
            split = rows[is_open]
            drawn = self._random.random(len(split)) < 0.5
            self._turn(split, flips[is_open], signs[is_open], phases[is_open], drawn)
            found[is_open] = drawn
        return found

    def _reset(self, rows: Rows, images: _Images) -> None:
        up = rows[self.measure(rows, images)]
        if len(up):
            flips, _, _ = self._seen(
                up, np.tile(images.x_flips, (len(up), 1)), np.tile(images.x_signs, (len(up), 1))
            )
            self._states[up] ^= flips

    def _seen(self, rows: Rows, flips: Words, signs: Words) -> tuple[Words, Words, NDArray[np.int8]]:
        """Return operators as they are behind each shot's own V, and the phases that this adds."""
        phases = np.zeros(len(rows), dtype=np.int8)
        for turns in self._turns[: int(self._depth[rows].max(initial=0))]:
            r_flips, r_signs, r_bits = turns.flips[rows], turns.signs[rows], turns.bits[rows]
            # V P V is P, -P, or P R Z_j up to a sign, as P anticommutes with neither, both, or one of Z_j and R.
            with_bit = _parity(flips & r_bits)
            swaps = _parity(signs & r_flips)
            with_r = _parity(flips & r_signs) ^ swaps
            changes = with_bit ^ with_r
            phases += np.where(changes, turns.phases[rows] + 2 * (swaps ^ with_r), 2 * with_bit).astype(
                np.int8
            )
            mask = np.where(changes, _ALL, _NONE)[:, None]
            flips = np.bitwise_xor(flips, r_flips & mask)
            signs = np.bitwise_xor(signs, (r_signs ^ r_bits) & mask)
        return flips, signs, np.bitwise_and(phases, np.int8(3))

    def _turn(
        self,
        rows: Rows,
        flips: Words,
        signs: Words,
        phases: NDArray[np.int8],
        found: NDArray[np.bool_],
    ) -> None:
        """Leave shots in the state where operators R were measured with the given outcomes."""
        bits = _lowest(flips)
        is_there = (bits & self._states[rows]).any(axis=1)
        moved = is_there != found
        self._states[rows[moved]] ^= flips[moved]
        depths = self._depth[rows]
        for depth in range(int(depths.max()) + 1):
            if depth == len(self._turns):
                self._turns.append(self._no_turns())
            here = depths == depth
            turns, there = self._turns[depth], rows[here]
            turns.phases[there] = phases[here]
            turns.flips[there] = flips[here]
            turns.signs[there] = signs[here]
            turns.bits[there] = bits[here]
        self._depth[rows] += 1

    def _no_turns(self) -> _Turns:
        shape = (self._shots, self._words)
        return _Turns(
            phases=np.zeros(self._shots, dtype=np.int8),
            flips=np.zeros(shape, dtype=np.uint64),
            signs=np.zeros(shape, dtype=np.uint64),
            bits=np.zeros(shape, dtype=np.uint64),
        )


def _parity(words: Words) -> NDArray[np.uint8]:
    """Return the parity of the bits of each row."""
    counts = np.bitwise_count(words)
    return (counts[:, 0] if words.shape[1] == 1 else counts.sum(axis=1, dtype=np.uint8)) & np.uint8(1)


def _lowest(words: Words) -> Words:
    """Return a mask of the lowest bit of each row, none of which is zero."""
    made = np.zeros_like(words)
    column = (words != 0).argmax(axis=1)
    rows = np.arange(len(words))
    value = words[rows, column]
    made[rows, column] = value & (~value + np.uint64(1))
    return made


class _Reading:
    """Reads a circuit into spots and measurements; see `compacting.Writer`."""

    def __init__(self, isa: QuantumCircuit, book: NoiseBook | None, n_qubits: int, words: int) -> None:
        self._book = book
        self._words = words
        self._frame = Frame(n_qubits)
        self._clbits = {bit: index for index, bit in enumerate(isa.clbits)}
        self._events: dict[tuple[str, tuple[int, ...]], list[tuple[tuple[str, ...], float]]] = {}
        self._gates: set[Place] = set()
        self._cut: set[int] = set()
        self._measured: set[int] = set()
        #: Qubits with a rotation that was left out.
        self._turned: set[int] = set()
        self.spots: list[_Spot] = []
        self.measures: list[_Measure] = []

    def gate(self, step: Step) -> None:
        """Take a gate and what may happen after it."""
        self._check_last(step.compact)
        name = step.operation.name
        if name not in DIAGONAL and not self._turned.isdisjoint(step.compact):
            raise _refused(f"{name} follows a rotation that is no Clifford gate")
        try:
            self._frame.apply(name, _numbers(step.operation), step.compact)
        except NotCliffordError as problem:
            if name not in DIAGONAL:
                raise _refused(str(problem)) from problem
            # Only a measurement may come, and does not see it.
            self._turned.update(step.compact)
        if self._book is not None:
            self._gates.add((name, step.physical))
            self._spot(name, step, self._book.terms(name, step.physical))

    def wait(self, step: Step, seconds: float) -> None:
        """Take a delay."""
        if self._book is not None and self._measured.isdisjoint(step.compact):
            self._spot(f"wait:{seconds!r}", step, self._book.waiting(step.physical[0], seconds))

    def reset(self, step: Step) -> None:
        """Take a reset: something that always happens."""
        self._check_last(step.compact)
        self._turned.difference_update(step.compact)
        self._add(step.compact, [((RESET,), 1.0)])

    def measure(self, step: Step) -> None:
        """Take a measurement."""
        self._check_last(step.compact)
        self._measured.update(step.compact)
        matrix = self._book.readout(step.physical[0]) if self._book is not None else None
        errors = (0.0, 0.0) if matrix is None else (float(matrix[0, 1]), float(matrix[1, 0]))
        clbit = self._clbits[step.clbits[0]]
        self.measures.append(_Measure(clbit, self._images(step.compact[0]), errors))

    def block(self, circuit: QuantumCircuit) -> _Reading:  # noqa: ARG002 - it is refused whatever it is
        """Refuse control flow."""
        raise _refused("it has control flow")

    def control(self, step: Step) -> None:
        """Refuse what depends on classical bits."""
        raise _refused(f"it has {step.operation.name}")

    def done(self) -> None:
        """Nothing is held back."""

    def remarks(self, physical: Sequence[int]) -> tuple[tuple[str, str], ...]:
        """Return where the emulation departs from the measured values."""
        if self._book is None:
            return ()
        remarks = self._book.remarks(self._gates, physical)
        if not self._cut:
            return remarks
        named = ", ".join(f"qubit {qubit}" for qubit in sorted(self._cut))
        return (*remarks, ("t2_cut", f"T2 is above T1, emulated with T1 by stabilizers: {named}"))

    def _check_last(self, compact: Sequence[int]) -> None:
        if not self._measured.isdisjoint(compact):
            raise _refused("something follows a measurement")

    def _spot(self, label: str, step: Step, terms: Terms) -> None:
        key = (label, step.physical)
        found = self._events.get(key)
        if found is None:
            found = self._events[key] = [] if terms.is_ideal else self._listed(terms, step.physical)
        if found:
            self._add(step.compact, found)

    def _listed(self, terms: Terms, physical: tuple[int, ...]) -> list[tuple[tuple[str, ...], float]]:
        self._cut.update(qubit for qubit, cut in zip(physical, is_cut(terms), strict=True) if cut)
        found = mixture(terms, is_clifford=True).events
        return [(what, p) for what, p in found.items() if set(what) != {"I"}]

    def _add(self, compact: tuple[int, ...], listed: Sequence[tuple[tuple[str, ...], float]]) -> None:
        paulis = []
        for what, _ in listed:
            image = IDENTITY
            for qubit, name in zip(compact, what, strict=True):
                if name != RESET:
                    image = image.times(self._frame.named(name, qubit))
            paulis.append(image)
        resets = []
        for place, qubit in enumerate(compact):
            has_reset = np.array([what[place] == RESET for what, _ in listed])
            if has_reset.any():
                resets.append((has_reset, self._images(qubit)))
        self.spots.append(
            _Spot(
                np.cumsum([p for _, p in listed]),
                self._masks(image.x for image in paulis),
                self._masks(image.z for image in paulis),
                tuple(resets),
            )
        )

    def _images(self, compact: int) -> _Images:
        x, z = self._frame.x(compact), self._frame.z(compact)
        flips, signs = self._masks((x.x, z.x)), self._masks((x.z, z.z))
        return _Images(flips[0], signs[0], z.phase, flips[1], signs[1])

    def _masks(self, values: Iterable[int]) -> Words:
        """Return integers as rows of words."""
        data = b"".join(value.to_bytes(8 * self._words, "little") for value in values)
        return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(-1, self._words)


def _numbers(operation: Instruction) -> tuple[float, ...]:
    """Return a gate's angles; multiples of a quarter turn to the last bit, so that tables are shared."""
    made = []
    for value in operation.params:
        if isinstance(value, ParameterExpression):
            if value.parameters:
                raise _refused(f"{value} is not bound")
            value = value.numeric()
        quarters = float(value) / (math.pi / 2)
        made.append(
            round(quarters) % 8 * (math.pi / 2) if abs(quarters - round(quarters)) < 1e-9 else float(value)
        )
    return tuple(made)


def _refused(what: str) -> ProgramError:
    return ProgramError(
        f"a stabilizer simulation cannot take the circuit: {what}",
        hint="Leave the method to the device.",
        code="program.unsupported",
    )
