"""SVG, written as text: the document around a picture, and the few elements that all pictures use.

Presentation attributes repeat what the style says in the light tones, so that software which does not know CSS custom
properties (Inkscape, librsvg) shows the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.style import SMALL, TONES
from qmio_jupyter.drawing.text import escape, number
from qmio_jupyter.errors import UsageError

#: Smallest and largest picture, px.
LEAST_WIDTH: Final = 200
LEAST_HEIGHT: Final = 120
MOST: Final = 8192


def check_size(width: int, height: int) -> None:
    """Refuse a size in which nothing could be drawn.

    Raises
    ------
    UsageError
        Outside 200 x 120 to 8192 x 8192 px.
    """
    if not (LEAST_WIDTH <= width <= MOST and LEAST_HEIGHT <= height <= MOST):
        raise UsageError(
            f"a picture of {width} x {height} px cannot be drawn",
            hint=f"Ask for {LEAST_WIDTH} x {LEAST_HEIGHT} to {MOST} x {MOST} px.",
        )


def document(
    *, width: int, height: int, style: str, body: Iterable[str], alt: str, spots: Iterable[Spot], kind: str
) -> Drawing:
    """Return the drawing whose elements are `body`.

    Parameters
    ----------
    width, height : int
        px.
    style : str
        Its ``<style>``, of `style.style`.
    body : iterable of str
        Elements, in painting order.
    alt : str
        One sentence, plain text.
    spots : iterable of Spot
        What may be hovered.
    kind : str
        ``histogram``, ``chip``, ...: becomes the class ``qmio-histogram``.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="qmio-svg qmio-{kind}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(alt)}">{style}'
        f'<rect class="qmio-paper" width="{width}" height="{height}" rx="4" fill="{TONES["paper"].light}"/>'
        f'<g fill="{TONES["soft"].light}" font-size="{SMALL}" font-family="sans-serif">'
    )
    return Drawing(
        svg=f"{head}{''.join(body)}</g></svg>", width=width, height=height, spots=tuple(spots), alt=alt
    )


def label(
    x: float, y: float, content: str, *, anchor: str = "", classes: str = "", fill: str = "", turn: int = 0
) -> str:
    """Return a ``<text>``; `content` must be cleaned, and is escaped here.

    Parameters
    ----------
    x, y : float
        Where its base line begins (or ends, or has its middle), px.
    content : str
        The text.
    anchor : str
        ``middle``, ``end``, or empty for the start.
    classes : str
        Classes, ``qmio-ink`` and the like.
    fill : str
        Name of its tone where it is not ``soft``.
    turn : int
        Degrees, clockwise, about (x, y).
    """
    place = f'x="{number(x)}" y="{number(y)}"'
    said = f' class="{classes}"' if classes else ""
    said += f' text-anchor="{anchor}"' if anchor else ""
    said += f' fill="{TONES[fill].light}"' if fill else ""
    said += f' transform="rotate({turn} {number(x)} {number(y)})"' if turn else ""
    return f"<text {place}{said}>{escape(content)}</text>"


#: Kinds of strokes that take the tone of another name.
_AS: Final = {"ideal": "ink"}


def lines(path: str, kind: str, *, width: float = 1, extra: str = "") -> str:
    """Return a stroked ``<path>`` of the class ``qmio-kind``, in the tone of that name."""
    return (
        f'<path class="qmio-{kind}" d="{path}" fill="none" stroke="{TONES[_AS.get(kind, kind)].light}" '
        f'stroke-width="{number(width)}"{extra}/>'
    )
