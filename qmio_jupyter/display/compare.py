"""Several results over each other, the ideal distribution with them, and how far apart they are. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from qmio_jupyter.display import html
from qmio_jupyter.display.result_page import Bundle
from qmio_jupyter.display.result_text import MOST_OUTCOMES, SHORT
from qmio_jupyter.display.text import align, plain
from qmio_jupyter.drawing.distances import hellinger_fidelity, sampling_tvd, tvd
from qmio_jupyter.drawing.html import figure
from qmio_jupyter.drawing.overlay import Series, overlay
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import SERIES
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.result import TaskResult, outcomes
from qmio_jupyter.model.task import TaskView

#: Circuits and bindings that are shown one by one.
MOST_BLOCKS = 8
#: Height of a picture, px: the legend has a line for each series.
_HEIGHT = 250
_LINE = 17

#: Outcomes with their probabilities.
Ideal = Sequence[tuple[str, float]]


class Compared(msgspec.Struct, frozen=True):
    """One circuit under one binding."""

    title: str
    #: By task, in order: ``[(bitstring, count), ...]``.
    pairs: tuple[list[tuple[str, int]], ...]
    ideal: Ideal | None

    def shares(self) -> list[dict[str, float]]:
        """Return the shares of each task, then those of the ideal distribution."""
        found = [{bits: float(count) for bits, count in pairs} for pairs in self.pairs]
        return [_normalised(one) for one in (*found, *([dict(self.ideal)] if self.ideal is not None else []))]


def places(results: Sequence[TaskResult]) -> list[tuple[int, int]]:
    """Return the (item, binding) that all results have, at most `MOST_BLOCKS`.

    Raises
    ------
    UsageError
        If there is none with as many classical bits everywhere.
    """
    found = [
        (item, binding)
        for item in range(min(len(result.items) for result in results))
        if len({result.items[item].n_bits for result in results}) == 1
        for binding in range(min(len(result.items[item].bindings) for result in results))
    ]
    if not found:
        raise UsageError(
            "the tasks measured different numbers of bits, so there is nothing to compare",
            hint="Compare tasks of the same program.",
        )
    return found[:MOST_BLOCKS]


def compared(
    results: Sequence[TaskResult], where: Sequence[tuple[int, int]], ideals: Sequence[Ideal | None]
) -> list[Compared]:
    """Return what is compared at each place."""
    many_items = len({item for item, _ in where}) > 1
    many_bindings = len({binding for _, binding in where}) > 1
    blocks = []
    for (item, binding), ideal in zip(where, ideals, strict=True):
        words = [f"circuit {item + 1}"] if many_items else []
        words += [f"binding {binding + 1}"] if many_bindings else []
        pairs = tuple(outcomes(result.items[item], binding) for result in results)
        blocks.append(Compared(", ".join(words), pairs, ideal))
    return blocks


def compare_bundle(views: Sequence[TaskView], blocks: Sequence[Compared]) -> Bundle:
    """Return the comparison as text, and as pictures with tables."""
    return {"text/plain": compare_text(views, blocks), "text/html": _page(views, blocks)}


def compare_text(views: Sequence[TaskView], blocks: Sequence[Compared]) -> str:
    """Return the tasks' names, then for each circuit and binding distances and shares side by side."""
    parts = [align(("", "task", "device", "snapshot", "label"), _tasks(views))]
    for block in blocks:
        header, rows = distances(views, block)
        title = f"{plain(block.title)}:\n" if block.title else ""
        parts.append(title + align(header, rows, right=range(1, len(header))))
        header, rows, more = shares(views, block)
        text = align(header, rows, right=range(1, len(header)))
        parts.append(text + (f"\n... and {more} more outcomes" if more else ""))
    return "\n\n".join(parts)


def names_of(views: Sequence[TaskView], block: Compared) -> list[str]:
    """Return what the series are called: A, B, ..., ideal."""
    letters = [chr(ord("A") + index % 26) for index in range(len(views))]
    return [*letters, *(["ideal"] if block.ideal is not None else [])]


def distances(views: Sequence[TaskView], block: Compared) -> tuple[list[str], list[list[str]]]:
    """Return the distances from the ideal distribution, or from the first task where there is none.

    Beside the total variation distance stands what the shots alone are expected to give, were both the same.
    """
    names, found = names_of(views, block), block.shares()
    reference = len(found) - 1 if block.ideal is not None else 0
    header = ["", "shots", f"TVD from {names[reference]}", "by shots alone", "Hellinger fidelity"]
    rows = []
    for index, name in enumerate(names[: len(views)]):
        shots = sum(count for _, count in block.pairs[index])
        row = [name, str(shots)]
        if index == reference or not found[index] or not found[reference]:
            rows.append([*row, "", "", ""])
            continue
        others = 0 if block.ideal is not None else sum(count for _, count in block.pairs[reference])
        rows.append(
            [
                *row,
                f"{tvd(found[index], found[reference]):.4f}",
                f"{sampling_tvd(found[reference], shots, others):.4f}",
                f"{hellinger_fidelity(found[index], found[reference]):.4f}",
            ]
        )
    return header, rows


def shares(views: Sequence[TaskView], block: Compared) -> tuple[list[str], list[list[str]], int]:
    """Return header and rows of the shares of outcomes that are frequent anywhere, and how many are left out."""
    found = block.shares()
    highest = {
        bits: max(one.get(bits, 0.0) for one in found) for bits in {bits for one in found for bits in one}
    }
    kept = sorted(sorted(highest), key=lambda bits: -highest[bits])[:MOST_OUTCOMES]
    rows = [
        [bits or "(no bits)", *(f"{100 * one[bits]:.1f} %" if bits in one else "-" for one in found)]
        for bits in sorted(kept)
    ]
    return ["outcome", *names_of(views, block)], rows, len(highest) - len(kept)


def _page(views: Sequence[TaskView], blocks: Sequence[Compared]) -> str:
    parts = [html.table(("", "task", "device", "snapshot", "label"), _tasks(views))]
    for block in blocks:
        if block.title:
            parts.append(html.line(f"<b>{html.esc(block.title)}</b>", kind="head"))
        if len(views) <= SERIES:
            parts.append(figure(_overlay(views, block)))
        header, rows = distances(views, block)
        parts.append(html.table(header, rows, right=range(1, len(header))))
        header, rows, more = shares(views, block)
        left_out = html.line(html.soft(f"and {more} more outcomes")) if more else ""
        parts.append(
            html.details("Outcomes", html.table(header, rows, right=range(1, len(header))) + left_out)
        )
    return html.page(*parts)


def _overlay(views: Sequence[TaskView], block: Compared) -> Drawing:
    names = names_of(views, block)
    series = [
        Series(name=f"{name} {view.label or view.device}".strip(), pairs=pairs)
        for name, view, pairs in zip(names, views, block.pairs, strict=False)
    ]
    if block.ideal is not None:
        series.append(Series(name="ideal", probabilities=block.ideal, is_ideal=True))
    reference = len(series) - 1 if block.ideal is not None else 0
    return overlay(series, reference=reference, height=_HEIGHT + _LINE * len(series))


def _tasks(views: Sequence[TaskView]) -> list[list[str]]:
    return [
        [chr(ord("A") + index % 26), view.task_id, view.device, (view.snapshot_id or "")[:SHORT], view.label]
        for index, view in enumerate(views)
    ]


def _normalised(values: dict[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {bits: value / total for bits, value in values.items()} if total else {}
