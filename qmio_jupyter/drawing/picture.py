"""What a drawing is: an SVG, its size, what may be hovered or focused in it, and a sentence that replaces it."""

from __future__ import annotations

import msgspec


class Spot(msgspec.Struct, frozen=True):
    """Something to hover or focus: a rectangle in the drawing's px, origin top left."""

    x: float
    y: float
    width: float
    height: float
    #: What it says, plain text: ``0110: 523 of 1000 (52.3 % ± 1.6 %)``.
    text: str
    #: What it is about, stable over updates: the outcome, the qubit, ``q3-q4``.
    key: str = ""


class Drawing(msgspec.Struct, frozen=True):
    """A picture that is complete in itself."""

    #: One ``<svg>`` element without script or external reference; classes begin with ``qmio-``.
    svg: str
    #: px
    width: int
    #: px
    height: int
    spots: tuple[Spot, ...]
    #: One sentence that says what the picture shows, plain text, for screen readers.
    alt: str
