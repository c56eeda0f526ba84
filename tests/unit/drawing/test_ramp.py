"""The colour scale: even to the eye, in order for every kind of colour vision, readable when written on."""

from __future__ import annotations

import math
from itertools import pairwise

from qmio_jupyter.drawing.ramp import STEPS, on, ramp

COLOURS = [ramp(step / (STEPS - 1)) for step in range(STEPS)]


def linear(colour: str) -> list[float]:
    """Return linear sRGB."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def oklab(colour: str) -> tuple[float, float, float]:
    """Return Oklab, by the published matrices (the way there; the source has the way back)."""
    r, g, b = linear(colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def luminance(colour: str) -> float:
    r, g, b = linear(colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_every_step_is_seen_as_equally_large() -> None:
    steps = [math.dist(oklab(one), oklab(other)) for one, other in pairwise(COLOURS)]
    mean = sum(steps) / len(steps)
    assert all(0.75 * mean < step < 1.25 * mean for step in steps)


def test_lightness_alone_keeps_the_order() -> None:
    # What is left to a reader without colour vision, or of a grey print.
    lights = [oklab(colour)[0] for colour in COLOURS]
    assert all(later - earlier > 0.005 for earlier, later in pairwise(lights))


def test_what_is_written_on_a_colour_can_be_read() -> None:
    for step, colour in enumerate(COLOURS):
        ink = luminance(on(step / (STEPS - 1)))
        light, dark = sorted((luminance(colour), ink), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour


def test_beyond_the_ends_are_the_ends() -> None:
    assert ramp(-1) == ramp(0) == COLOURS[0]
    assert ramp(2) == ramp(1) == COLOURS[-1]
