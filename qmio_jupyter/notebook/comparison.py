"""Several finished tasks, laid over each other: what ``qmio_jupyter.compare`` returns and ``%qpu compare`` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qmio_jupyter.display import compare as pages
from qmio_jupyter.drawing.distances import hellinger_fidelity, tvd
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.notebook.ideal import ideal_of
from qmio_jupyter.notebook.known import KNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qmio_jupyter.client.sync_handle import TaskHandle
    from qmio_jupyter.display.compare import Compared, Ideal
    from qmio_jupyter.display.result_page import Bundle


class Comparison(tuple["TaskHandle", ...]):  # noqa: SLOT001 - a tuple with more can have no slots
    """The handles of the tasks, in order, and how far they are from the first, or from the ideal distribution.

    At the end of a cell it shows itself as ``%qpu compare`` does. Made by :func:`compare`.
    """

    #: Counts at each place, with the ideal distribution there if it was asked for.
    blocks: list[Compared]
    #: The places that are compared: (item, binding).
    where: list[tuple[int, int]]

    @property
    def tvd(self) -> list[list[float]]:
        """Total variation distances: for each of `where` a list with one for each task."""
        return self._distances(tvd)

    @property
    def hellinger_fidelity(self) -> list[list[float]]:
        """Hellinger fidelities, likewise."""
        return self._distances(hellinger_fidelity)

    def _distances(
        self, distance: Callable[[Mapping[str, float], Mapping[str, float]], float]
    ) -> list[list[float]]:
        found = []
        for block in self.blocks:
            shares = block.shares()
            reference = shares[-1] if block.ideal is not None else shares[0]
            found.append([distance(one, reference) for one in shares[: len(self)]])
        return found

    def bundle(self) -> Bundle:
        """Return what shows it, by media type."""
        return pages.compare_bundle([handle.view for handle in self], self.blocks)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002
        return self.bundle()

    def __repr__(self) -> str:
        """Say which tasks."""
        return f"<comparison of {', '.join(handle.task_id for handle in self)}>"


def compare(handles: Sequence[TaskHandle], *, ideal: bool) -> Comparison:
    """Compare finished tasks, at every circuit and binding that all of them have.

    Raises
    ------
    UsageError
        If there is none.
    ProgramError
        If the ideal distribution is asked for and cannot be computed here.
    """
    results = [handle.result() for handle in handles]
    made = Comparison(handles)
    made.where = pages.places(results)
    ideals = _ideals(handles, made.where) if ideal else [None] * len(made.where)
    made.blocks = pages.compared(results, made.where, ideals)
    return made


def _ideals(handles: Sequence[TaskHandle], where: Sequence[tuple[int, int]]) -> list[Ideal | None]:
    """Return the ideal distribution at each place, of the first task whose program this kernel knows."""
    for handle in handles:
        submitted = KNOWN.get(handle.task_id)
        if submitted is not None:
            items = handle.result().items
            return [ideal_of(submitted, items[item], item, binding) for item, binding in where]
    raise ProgramError(
        "the ideal distribution cannot be computed here: this kernel has submitted none of these tasks",
        hint="Run the program with --ideal, and compare with that task.",
        code="program.unsupported",
    )
