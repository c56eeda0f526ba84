"""Aer's core without what `AerSimulator.run` does for every call: circuits assembled once, parameters as a table.

This is Aer's private interface. It is used only with versions whose core was looked at (`KNOWN`), after it gave the
same as the public one on circuits of every kind (`selfcheck.agrees`), and with exactly the circuits, options and
seeds that the public way would use: the same core runs the same instructions under the same limits of this process.
Anything else goes through `AerSimulator.run` (`PublicCircuit`), which takes several times as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import qiskit_aer
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit_aer.noise import NoiseModel

from qmio_jupyter.drivers.aer.compiling import simulator
from qmio_jupyter.drivers.aer.refusals import simulation_failed
from qmio_jupyter.drivers.aer.tables import Matrix, Table

#: Minor versions of Aer whose core this module was written against.
KNOWN: Final = ("0.17", "0.18")
#: What `SaveProbabilities` is called in a result.
_SAVED: Final = "probabilities"


class Counted(msgspec.Struct, frozen=True):
    """Shots as Aer gives them: counts by hexadecimal outcome and, if kept, every shot in order."""

    counts: Mapping[str, int]
    memory: Sequence[str]


class Assembled(Protocol):
    """A circuit ready to be run again and again, with other parameters each time."""

    def probabilities(self, matrix: Matrix) -> list[NDArray[np.float64]]:
        """Return what the circuit's `save_probabilities` saved, for each row of `matrix`.

        Raises
        ------
        ProgramError, AgentError
            What the simulator says of the circuit.
        """
        ...

    def count(self, row: Matrix, shots: int, seed: int, *, memory: bool) -> Counted:
        """Run `shots` shots with the parameters of `row`, shape (1, parameters); raises as above."""
        ...


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a circuit is run.

    Attributes
    ----------
    method : str
        Aer's name of the simulation method.
    noise_model : NoiseModel or None
        Noise drawn on the way.
    is_truncated : bool
        Whether Aer may leave out qubits, and what no measurement follows.
    extra : tuple of (str, object)
        Further run options of Aer's.
    """

    method: str
    noise_model: NoiseModel | None = None
    is_truncated: bool = True
    extra: tuple[tuple[str, Any], ...] = ()

    def keywords(self) -> dict[str, Any]:
        """Return them as `AerSimulator.run` takes them."""
        return {"enable_truncation": self.is_truncated, **dict(self.extra)}


class Engine:
    """Assembles circuits, the fast way where that is known to be right."""

    def __init__(self, *, is_direct: bool = False) -> None:
        self.is_direct = is_direct

    def assemble(self, circuit: QuantumCircuit, names: Sequence[str], options: Options) -> Assembled:
        """Return a circuit ready to be run; `names` are the columns its parameters are taken from.

        Raises
        ------
        ProgramError, AgentError
            If the simulator does not take it.
        """
        if self.is_direct and not _is_odd(circuit):
            return DirectCircuit(circuit, names, options)
        return PublicCircuit(circuit, names, options)


def is_known(version: str = qiskit_aer.__version__) -> bool:
    """Return whether this version's private interface is the one this module knows."""
    return ".".join(version.split(".")[:2]) in KNOWN


class PublicCircuit:
    """A circuit run by `AerSimulator.run`; see `Assembled`."""

    def __init__(self, circuit: QuantumCircuit, names: Sequence[str], options: Options) -> None:
        self._circuit = circuit
        self._column = {name: index for index, name in enumerate(names)}
        self._options = options

    def probabilities(self, matrix: Matrix) -> list[NDArray[np.float64]]:
        """Return saved probabilities, row by row."""
        return [np.asarray(self._run(row, shots=1).data(0)[_SAVED]) for row in matrix]

    def count(self, row: Matrix, shots: int, seed: int, *, memory: bool) -> Counted:
        """Run shots."""
        data = self._run(row[0], shots=shots, seed_simulator=seed, memory=memory).results[0].data
        return Counted(data.counts, data.memory if memory else ())

    def _run(self, row: NDArray[np.float64], **options: Any) -> Any:
        values = {p: float(row[self._column[p.name]]) for p in self._circuit.parameters}
        try:
            circuit = self._circuit.assign_parameters(values) if values else self._circuit
            result = (
                simulator(self._options.method)
                .run(circuit, noise_model=self._options.noise_model, **self._options.keywords(), **options)
                .result()
            )
        except MemoryError:
            raise
        except Exception as problem:
            raise simulation_failed(f"{type(problem).__name__}: {problem}") from problem
        if not result.success:
            raise simulation_failed(str(result.results[0].status if result.results else result.status))
        return result


class DirectCircuit:
    """A circuit assembled once for Aer's core; see `Assembled`."""

    def __init__(self, circuit: QuantumCircuit, names: Sequence[str], options: Options) -> None:
        from qiskit_aer.backends.aer_compiler import assemble_circuits, generate_aer_config
        from qiskit_aer.backends.backend_utils import LIBRARY_DIR

        backend: Any = simulator(options.method)
        try:
            circuits, noise_model = backend._compile([circuit], noise_model=options.noise_model)
            self._circuits, index_maps = assemble_circuits(circuits)
            slots = _slots(circuits[0], index_maps[0])
            self._table = Table([expression for _, expression in slots], names)
            config = generate_aer_config(circuits, backend.options, **options.keywords())
        except MemoryError:
            raise
        except Exception as problem:
            raise simulation_failed(f"{type(problem).__name__}: {problem}") from problem
        self._circuits[0].circ_id = 0
        self._places = [place for place, _ in slots]
        self._noise = noise_model.to_dict(serializable=True) if noise_model else {}
        config.library_dir = LIBRARY_DIR
        self._config = config
        self._execute = backend._controller.execute

    def probabilities(self, matrix: Matrix) -> list[NDArray[np.float64]]:
        """Return saved probabilities, row by row, from one call."""
        config = self._config
        config.shots = 1
        config.seed_simulator = 0
        config.memory = False
        results = self._run(matrix)
        if not self._places:
            results *= len(matrix)
        return [result["data"][_SAVED] for result in results]

    def count(self, row: Matrix, shots: int, seed: int, *, memory: bool) -> Counted:
        """Run shots."""
        config = self._config
        config.shots = shots
        config.seed_simulator = seed
        config.memory = memory
        data = self._run(row)[0]["data"]
        return Counted(data.get("counts", {}), data.get("memory", ()) if memory else ())

    def _run(self, matrix: Matrix) -> list[Any]:
        columns = self._table.values(matrix).T.tolist()
        try:
            if self._places:
                self._config.parameterizations = [
                    [[place, values] for place, values in zip(self._places, columns, strict=True)]
                ]
            output = self._execute(self._circuits, self._noise, self._config)
        except MemoryError:
            raise
        except Exception as problem:
            raise simulation_failed(f"{type(problem).__name__}: {problem}") from problem
        if not isinstance(output, dict) or not output.get("success"):
            raise simulation_failed(_status(output))
        return output["results"]  # type: ignore[no-any-return]


def _slots(circuit: QuantumCircuit, index_map: Sequence[int]) -> list[tuple[tuple[int, int], Any]]:
    """Return ((operation, parameter), expression) of every free gate parameter, as Aer's core counts them.

    The circuit's global phase is left out: it changes no probability.
    """
    return [
        ((index_map[index], position), value)
        for index, instruction in enumerate(circuit.data)
        if instruction.is_parameterized()
        for position, value in enumerate(instruction.params)
        if getattr(value, "parameters", None)
    ]


def _is_odd(circuit: QuantumCircuit) -> bool:
    """Return whether Aer's own table would set the wrong operation: open controls become several operations."""
    for instruction in circuit.data:
        if instruction.is_control_flow():
            if any(_is_odd(block) for block in instruction.operation.blocks):
                return True
        elif "_o" in instruction.name and instruction.is_parameterized():
            return True
    return False


def _status(output: Any) -> str:
    if not isinstance(output, dict):
        return "the simulation ended without a result"
    failed = [str(r.get("status", "")) for r in output.get("results", ()) if not r.get("success")]
    return failed[0] if failed else str(output.get("status", "unknown"))
