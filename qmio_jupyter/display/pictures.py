"""Which picture shows what of a task: the same for the live view, the static page and a handle.

One circuit is a histogram, several are small multiples; a circuit with several bindings is a plot over them, of what
was asked for (``--expect``), else of the shares of its most frequent outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from math import pi

from qmio_jupyter.display.sections import Counted, Section, Sweep
from qmio_jupyter.drawing.histogram import axis_end, histogram
from qmio_jupyter.drawing.lines import Line, line_plot
from qmio_jupyter.drawing.multiples import PANELS, Panel, histograms, small_multiples
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import SERIES

#: Size of the one picture of a task with one circuit, px; that of a plot over bindings.
WIDTH = 560
HEIGHT = 220
PLOT_HEIGHT = 280


class Scale:
    """Where the axis ended so far: that of one view that goes on never shrinks."""

    def __init__(self) -> None:
        self._end = 0.0

    def end_of(self, counted: Sequence[Counted]) -> float:
        """Return where the axis of these ends now."""
        for section in counted:
            if section.shots:
                self._end = max(self._end, axis_end(section.pairs))
        return self._end


def pictures(
    found: Sequence[Section], *, asked: int | None = None, scale: Scale | None = None
) -> list[Drawing]:
    """Return the pictures of a result, always of the same size for the same circuits.

    Parameters
    ----------
    found : sequence of Section
        What `display.sections.sections` returned; empty where nothing is known of the task's circuits.
    asked : int, optional
        Shots asked for, of a task with one circuit.
    scale : Scale, optional
        Of a view that shows one task again and again.
    """
    if not found:
        return [histogram((), asked=asked, width=WIDTH, height=HEIGHT)]
    if len(found) == 1 and isinstance(found[0], Counted):
        least = 0.0 if scale is None else scale.end_of([found[0]])
        return [histogram(found[0].pairs, asked=asked, width=WIDTH, height=HEIGHT, least_end=least)]
    drawn: list[Drawing] = []
    for is_sweep, group in groupby(found, lambda section: isinstance(section, Sweep)):
        if is_sweep:
            drawn += [_plot(section) for section in group if isinstance(section, Sweep)]
        else:
            counted = [section for section in group if isinstance(section, Counted)][:PANELS]
            least = 0.0 if scale is None else scale.end_of(counted)
            panels = [(section.title, section.pairs) for section in counted]
            drawn.append(histograms(panels, width=WIDTH, least_end=least))
    return drawn


def _plot(sweep: Sweep) -> Drawing:
    missing = [None] * len(sweep.xs)
    if sweep.expect:
        lines = [
            Line(
                name=f"⟨{text}⟩",
                ys=[*(value.value if value.shots else None for value in values), *missing][: len(sweep.xs)],
                errors=[*(value.error for value in values), *missing][: len(sweep.xs)],
            )
            for text, values in sweep.expect[:SERIES]
        ]
        what = "mean over the shots"
    else:
        lines = [
            Line(
                name=bits or "(no bits)",
                ys=[*(share for share, _ in shares), *missing][: len(sweep.xs)],
                errors=[*(error for _, error in shares), *missing][: len(sweep.xs)],
            )
            for bits, shares in sweep.shares
        ] or [Line(name="no shots yet", ys=missing)]
        what = "share of shots"
    drawn = line_plot(
        sweep.xs,
        lines,
        x_label=sweep.parameters[0] if len(sweep.parameters) == 1 else "binding",
        y_label=what,
        is_angle=_are_angles(sweep),
        width=WIDTH,
        height=PLOT_HEIGHT,
    )
    return small_multiples([Panel(sweep.title, drawn)], columns=1, width=WIDTH) if sweep.title else drawn


def _are_angles(sweep: Sweep) -> bool:
    """Return whether the one parameter goes from one fraction of pi to another: then it is told in them."""
    if len(sweep.parameters) != 1 or len(sweep.xs) < 2:
        return False
    twelfths = [12 * end / pi for end in (min(sweep.xs), max(sweep.xs))]
    return any(twelfths) and all(abs(number - round(number)) < 1e-6 for number in twelfths)
