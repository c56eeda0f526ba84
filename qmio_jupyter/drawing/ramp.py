"""A colour scale for quantities: even steps are seen as even, by every kind of colour vision.

Lightness rises in equal steps from the first colour to the last in Oklab (Ottosson, "A perceptual color space for
image processing", 2020), so the order survives colour blindness and grey printing; hue goes from indigo through green
to yellow, with as much chroma as sRGB has room for, up to a bound.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

#: Number of colours; neighbours cannot be told apart.
STEPS: Final = 64
_LIGHTNESS: Final = (0.36, 0.92)
_HUE: Final = (285.0, 98.0)
_CHROMA: Final = 0.115


def ramp(part: float) -> str:
    """Return the colour at `part` of the scale, 0 (dark) to 1 (light), as ``#rrggbb``."""
    return _colours()[max(0, min(STEPS - 1, round(part * (STEPS - 1))))]


def on(part: float) -> str:
    """Return black or white: what is written on the colour at `part` with a contrast of at least 4.5."""
    return _inks()[max(0, min(STEPS - 1, round(part * (STEPS - 1))))]


@cache
def _colours() -> tuple[str, ...]:
    found = []
    for step in range(STEPS):
        part = step / (STEPS - 1)
        lightness = _LIGHTNESS[0] + part * (_LIGHTNESS[1] - _LIGHTNESS[0])
        hue = math.radians(_HUE[0] + part * (_HUE[1] - _HUE[0]))
        chroma = _CHROMA
        while not _fits(rgb := _linear_srgb(lightness, chroma * math.cos(hue), chroma * math.sin(hue))):
            chroma *= 0.98
        found.append("#" + "".join(f"{round(255 * _encoded(value)):02x}" for value in rgb))
    return tuple(found)


@cache
def _inks() -> tuple[str, ...]:
    inks = []
    for colour in _colours():
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        # Relative luminance of WCAG 2.1; from 0.18 on, black has the higher contrast.
        inks.append("#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff")
    return tuple(inks)


def _linear_srgb(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )


def _fits(rgb: tuple[float, float, float]) -> bool:
    return all(0 <= value <= 1 for value in rgb)


def _encoded(value: float) -> float:
    return 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
