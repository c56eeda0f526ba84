"""What a run of the simulation has seen: edges of the task table, states hit by faults, and plain counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from qmio_jupyter.core.task import EDGES
from qmio_jupyter.model.task import TaskState

Edge = tuple[TaskState, TaskState]


@dataclass
class Coverage:
    """Counters of one world, or of many worlds added up."""

    #: Worlds, inputs, faults, commits, deliveries, tasks, runs, position checks, ...
    counts: Counter[str] = field(default_factory=Counter)
    edges: Counter[Edge] = field(default_factory=Counter)
    #: Tasks in a state when a fault struck.
    cells: Counter[tuple[TaskState, str]] = field(default_factory=Counter)
    #: Inputs of the core by type.
    inputs: Counter[str] = field(default_factory=Counter)

    def add(self, other: Coverage) -> None:
        """Add another's counters."""
        self.counts.update(other.counts)
        self.edges.update(other.edges)
        self.cells.update(other.cells)
        self.inputs.update(other.inputs)

    def missing_edges(self) -> list[Edge]:
        """Return the edges of the task table that no task went along."""
        return sorted(edge for edge in EDGES if not self.edges[edge])

    def missing_cells(self, faults: Iterable[str]) -> list[tuple[TaskState, str]]:
        """Return the (state, fault) pairs that never met."""
        return [(state, fault) for fault in faults for state in TaskState if not self.cells[state, fault]]

    def lines(self, faults: Iterable[str]) -> list[str]:
        """Return the report's tables as Markdown."""
        text = ["## Counts", "", "| what | number |", "|---|---:|"]
        text += [f"| {name} | {number:,} |" for name, number in sorted(self.counts.items())]
        text += ["", "## Edges of the task table", "", "| from | to | times |", "|---|---|---:|"]
        text += [f"| {a.value} | {b.value} | {self.edges[a, b]:,} |" for a, b in sorted(EDGES)]
        states = list(TaskState)
        text += ["", "## Tasks in each state when a fault struck", ""]
        text += ["| fault | " + " | ".join(state.value for state in states) + " |"]
        text += ["|---|" + "---:|" * len(states)]
        for fault in faults:
            text.append(f"| {fault} | " + " | ".join(f"{self.cells[s, fault]:,}" for s in states) + " |")
        text += ["", "## Inputs of the core", "", "| input | number |", "|---|---:|"]
        text += [f"| {name} | {number:,} |" for name, number in sorted(self.inputs.items())]
        return text
