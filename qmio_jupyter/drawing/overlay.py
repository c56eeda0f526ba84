"""Several results over each other: grouped bars, an ideal distribution as level marks, distances in the legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from qmio_jupyter.drawing import columns, marks
from qmio_jupyter.drawing.columns import LEFT, NO_BITS, REST, RIGHT, Frame
from qmio_jupyter.drawing.distances import hellinger_fidelity, tvd
from qmio_jupyter.drawing.outcomes import Pair, Sort, select_names, standard_error
from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.scale import end_of
from qmio_jupyter.drawing.style import SERIES, SMALL, style
from qmio_jupyter.drawing.svg import check_size, document, label, lines
from qmio_jupyter.drawing.text import (
    clean,
    percent,
    places,
    plural,
    said,
    shortened,
    tail_cut,
    thousands,
)
from qmio_jupyter.errors import UsageError

#: Height of one line of the legend, px.
_LINE: Final = 17
_WIDEST: Final = 96.0
#: What a column of figures in the legend needs, px.
_FIGURES: Final = 72
#: Width from which the legend gives the shots beside the distances, px.
_ROOMY: Final = 420
_STYLE: Final = style(columns.RULES + marks.RULES)


class Series(msgspec.Struct, frozen=True):
    """One distribution over outcomes: counts, or probabilities where there are no shots."""

    name: str
    #: Outcomes with counts, bit order as in ``model.result.outcomes``.
    pairs: Sequence[Pair] = ()
    #: Outcomes with probabilities, in place of counts.
    probabilities: Sequence[tuple[str, float]] = ()
    #: Drawn as level marks across the bars, not as bars.
    is_ideal: bool = False

    @property
    def shots(self) -> int:
        """Number of shots; 0 where there are only probabilities."""
        return sum(count for _, count in self.pairs)

    @property
    def shares(self) -> dict[str, float]:
        """Shares by outcome; empty without shots and probabilities."""
        values: Sequence[tuple[str, float]] = self.pairs or self.probabilities
        total = math.fsum(value for _, value in values)
        return {bits: value / total for bits, value in values} if total > 0 else {}


class _Drawn(msgspec.Struct, frozen=True):
    """A series with what is computed of it once."""

    name: str
    shots: int
    shares: dict[str, float]
    is_ideal: bool
    #: Counts the series that are drawn as bars, from 0.
    place: int
    figures: tuple[str, str]

    def share(self, bits: str) -> float:
        return self.shares.get(bits, 0.0)

    def others(self, shown: Sequence[str]) -> float:
        return max(0.0, 1.0 - math.fsum(self.share(bits) for bits in shown)) if self.shares else 0.0


def overlay(
    series: Sequence[Series],
    *,
    reference: int | None = None,
    top: int = 12,
    sort: Sort = "bits",
    width: int = 560,
    height: int = 260,
) -> Drawing:
    """Return several distributions over each other.

    Parameters
    ----------
    series : sequence of Series
        At least one; at most six that are not ideal.
    reference : int, optional
        Index of the series from which the legend gives the distances of the others: total variation distance and
        Hellinger fidelity.
    top : int
        Outcomes drawn at most: those whose largest share is largest. The others are summed for each series.
    sort : {"bits", "value"}
        The order at first; by value is by the largest share.
    width, height : int
        px.

    Returns
    -------
    Drawing
        Its spots are the columns; a spot's key is the outcome, ``columns.REST`` for the others.

    Raises
    ------
    UsageError
        Without series, with too many, for a negative value, or for a size or a `top` that cannot be drawn.
    """
    drawn = _checked(series, reference)
    legend = _LINE * (len(drawn) + 1)
    check_size(width, height)
    if height < legend + 100:
        raise UsageError(
            f"{len(drawn)} series in a picture of {height} px cannot be read",
            hint=f"Ask for a height of {legend + 100} px or more.",
        )
    largest: dict[str, float] = {}
    for one in drawn:
        for bits, share in one.shares.items():
            largest[bits] = max(largest.get(bits, 0.0), share)
    shown, by_value = select_names(largest, min(top, _most(width, drawn)))
    others = len(largest) - len(shown)
    names = [clean(bits) or NO_BITS for bits in shown]
    frame = columns.frame_of(
        width=width,
        height=height,
        top=legend + 16,
        names=names,
        others=others,
        end=_end(drawn, shown),
        widest=_WIDEST,
        filled=0.8,
    )
    body = [_legend(drawn, reference, width), columns.axis(frame)]
    spots: list[Spot] = []
    if shown:
        written = shortened(names, columns.letters(frame))
        body.append(columns.group(frame))
        for at, bits in enumerate(shown):
            place = at if sort == "bits" else by_value[at]
            key = clean(bits)
            body.append(columns.opening(frame, "qmio-bar", key, (place, at, by_value[at])))
            body.append(_group(frame, drawn, [one.share(bits) for one in drawn]))
            body.append(columns.name_under(frame, written[at]))
            body.append("</g>")
            spots.append(columns.spot_of(frame, place, _hover(said(names[at]), drawn, bits), key))
        if others:
            left = [one.others(shown) for one in drawn]
            last = len(shown)
            body.append(columns.opening(frame, "qmio-bar", REST, (last, last, last)))
            body.append(f'<g opacity="0.5">{_group(frame, drawn, left, is_rest=True)}</g>')
            body.append(columns.rest_under(frame, others))
            body.append("</g>")
            text = "; ".join(
                f"{said(one.name)} {percent(share)}" for one, share in zip(drawn, left, strict=True)
            )
            spots.append(
                columns.spot_of(frame, len(shown), f"{plural(others, 'other outcome')}: {text}", REST)
            )
        body.append("</g>")
        spots.sort(key=lambda spot: spot.x)
    body.append(columns.base_line(frame))
    return document(
        width=width,
        height=height,
        style=_STYLE,
        body=body,
        alt=_alt(drawn, reference),
        spots=spots,
        kind="overlay",
    )


def _checked(series: Sequence[Series], reference: int | None) -> list[_Drawn]:
    bars = sum(not one.is_ideal for one in series)
    if not series or bars > SERIES:
        raise UsageError(f"an overlay of {bars} series", hint=f"Give one to {SERIES}.")
    if reference is not None and not 0 <= reference < len(series):
        raise UsageError(f"there is no series {reference} to compare with", hint=f"There are {len(series)}.")
    shares = [one.shares for one in series]
    if any(value < 0 for one in shares for value in one.values()):
        raise UsageError("an overlay of a negative value", hint="Counts and probabilities are 0 or more.")
    found = []
    place = 0
    for at, one in enumerate(series):
        figures = ("", "")
        if reference is not None and at != reference and shares[at] and shares[reference]:
            figures = (
                f"{tvd(shares[at], shares[reference]):.3f}",
                f"{hellinger_fidelity(shares[at], shares[reference]):.3f}",
            )
        found.append(
            _Drawn(
                name=clean(one.name),
                shots=one.shots,
                shares=shares[at],
                is_ideal=one.is_ideal,
                place=place,
                figures=figures,
            )
        )
        place += not one.is_ideal
    return found


def _most(width: int, drawn: list[_Drawn]) -> int:
    """Return how many columns have room: a bar has at least 4 px."""
    bars = max(1, sum(not one.is_ideal for one in drawn))
    column = max(columns.NARROWEST, 4 * bars / 0.8)
    return max(1, int((width - LEFT - RIGHT) / column) - 1)


def _end(drawn: list[_Drawn], shown: Sequence[str]) -> float:
    highest = 0.0
    for one in drawn:
        for bits in shown:
            share = one.share(bits)
            highest = max(highest, share + standard_error(share, one.shots))
    return min(1.0, end_of(highest))


def _group(frame: Frame, drawn: list[_Drawn], shares: list[float], *, is_rest: bool = False) -> str:
    """Return the bars of one column, and the marks of the ideal ones across them."""
    bars = max(1, sum(not one.is_ideal for one in drawn))
    left = frame.column / 2 - frame.bar / 2
    each = frame.bar / bars
    gap = min(2.0, each * 0.12) if bars > 1 else 0.0
    parts: list[str] = []
    over: list[str] = []
    for one, share in zip(drawn, shares, strict=True):
        y = frame.y_of(share)
        if one.is_ideal:
            if share > 0:
                over.append(_level(left - 3, y, frame.bar + 6))
            continue
        x = left + one.place * each + gap / 2
        if share > 0:
            top = min(y, frame.base - 1)
            parts.append(marks.bar(one.place, x, top, each - gap, frame.base - top))
            if is_rest and share > frame.end:
                over.append(columns.broken(frame, x, x + each - gap))
        error = standard_error(share, one.shots)
        if error > 0 and not is_rest:
            over.append(columns.whisker(frame, x + (each - gap) / 2, share, error, min(3.5, each / 3)))
    return "".join(parts + over)


def _level(x: float, y: float, width: float) -> str:
    path = f"M{round(x, 1):g} {round(y, 1):g}h{round(width, 1):g}"
    return lines(path, "halo", width=4) + lines(path, "ideal", width=2)


def _legend(drawn: list[_Drawn], reference: int | None, width: int) -> str:
    has_figures = reference is not None
    right = width - RIGHT
    parts = [label(8, 15, "share of shots")]
    # Figures from the right: fidelity, distance, and shots where names have room all the same.
    heads: tuple[str, ...] = ("Hellinger F", "TVD", "shots") if has_figures else ("shots",)
    if has_figures and width < _ROOMY:
        heads = heads[:2]
    edges = [right - _FIGURES * at for at in range(len(heads))]
    room = edges[-1] - 0.8 * _FIGURES - 8
    parts += [label(x, 15, head, anchor="end") for x, head in zip(edges, heads, strict=True)]
    for at, one in enumerate(drawn):
        y = 15 + _LINE * (at + 1)
        if one.is_ideal:
            parts.append(_level(8, y - 4, 16))
        else:
            parts.append(marks.bar(one.place, 8, y - 9.5, 16, 10))
        fits = max(4, int((room - 22) / (SMALL * 0.56)))
        parts.append(label(31, y, tail_cut(one.name, fits), classes="qmio-ink"))
        shots = thousands(one.shots) if one.shots else "exact" if one.shares else "none yet"
        figures = (*reversed(one.figures), shots) if has_figures else (shots,)
        if has_figures and at == reference:
            figures = ("", "reference", shots)
        parts += [
            label(x, y, figure, anchor="end", classes="qmio-ink" if figure != "reference" else "")
            for x, figure in zip(edges, figures, strict=False)
            if figure
        ]
    return "".join(parts)


def _hover(name: str, drawn: list[_Drawn], bits: str) -> str:
    told = []
    for one in drawn:
        share = one.share(bits)
        error = standard_error(share, one.shots)
        decimals = max(places(share), places(error))
        sure = f" ± {percent(error, decimals)}" if one.shots else ""
        told.append(f"{said(one.name)} {percent(share, decimals)}{sure}")
    return f"{name}: {'; '.join(told)}"


def _alt(drawn: list[_Drawn], reference: int | None) -> str:
    told = [
        said(one.name)
        + (
            f" (total variation distance {one.figures[0]}, Hellinger fidelity {one.figures[1]})"
            if one.figures[0]
            else ""
        )
        for one in drawn
    ]
    against = f", compared with {said(drawn[reference].name)}" if reference is not None else ""
    return f"Shares of outcomes of {', '.join(told)}{against}."
