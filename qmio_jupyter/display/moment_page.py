"""A moment of a task as HTML: the live view where no widget can be, and a handle that is still under way.

Its lines stand where those of the result's page will stand, and have the same height: nothing jumps when one takes the
place of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmio_jupyter.display import html
from qmio_jupyter.display.moment import Moment
from qmio_jupyter.drawing.html import figure
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import live_css

#: What an empty line is made of, so that it keeps its height.
_EMPTY = "&#8203;"


def moment_page(found: Moment, drawings: Sequence[Drawing], *, is_live: bool) -> str:
    """Return the page of a moment.

    Parameters
    ----------
    found : Moment
        Its words.
    drawings : sequence of Drawing
        Its pictures; part of the page while it is live (replacing an image would flicker), else images.
    is_live : bool
        Whether it will be replaced by the next moment.
    """
    if is_live:
        shown = f"<style>{live_css('.qmio-inline')}</style>" + "".join(
            f'<div class="qmio-inline" style="height:{one.height}px">{one.svg}</div>' for one in drawings
        )
    else:
        shown = "".join(map(figure, drawings))
    return html.page(
        html.line(
            _state(found),
            f"<b>{html.esc(found.label)}</b>" if found.label else "",
            html.esc(found.place),
            _eta(found),
            kind="head",
        ),
        html.line(html.soft(found.device), html.soft(found.snapshot), html.soft(found.calibrated)),
        shown,
        html.line(f"{_bar(found)} {html.esc(found.progress)}", html.esc(f"{found.percent} %")),
        html.line(html.esc(found.note) or _EMPTY),
        html.line(html.soft("task ") + html.code(found.task_id)),
    )


def _state(found: Moment) -> str:
    return (
        f'<span class="qmio-state qmio-{found.state}"><span class="qmio-mark" aria-hidden="true">{found.mark}</span> '
        f"{html.esc(found.word)}</span>"
    )


def _eta(found: Moment) -> str:
    if not found.eta:
        return ""
    return f'<span title="{html.esc(found.eta_hint)}">{html.esc(found.eta)}</span>'


def _bar(found: Moment) -> str:
    """Return the progress as a bar; the words beside it say the same."""
    return (
        f'<progress value="{found.done}" max="{max(found.asked, 1)}" aria-label="shots done" '
        'style="width:160px;vertical-align:middle"></progress>'
    )
