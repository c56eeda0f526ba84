"""Colours: contrast on their own paper, light and dark, and what the page may set."""

from __future__ import annotations

import re

import pytest

from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.style import SERIES, TONES, live_css, style


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2.1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.1."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("guise", [0, 1])
@pytest.mark.parametrize("name", ["ink", "soft"])
def test_text_reads_well_on_the_paper(name: str, guise: int) -> None:
    assert contrast(TONES[name][guise], TONES["paper"][guise]) >= 4.5


@pytest.mark.parametrize("guise", [0, 1])
@pytest.mark.parametrize("name", ["axis", "bar", *(f"series-{at + 1}" for at in range(SERIES))])
def test_marks_stand_out_from_the_paper(name: str, guise: int) -> None:
    assert contrast(TONES[name][guise], TONES["paper"][guise]) >= 3


@pytest.mark.parametrize("guise", [0, 1])
def test_error_bars_stand_out_from_their_bar(guise: int) -> None:
    assert contrast(TONES["error"][guise], TONES["bar"][guise]) >= 3


def test_no_colour_reads_well_on_white_and_on_near_black_at_once() -> None:
    # Why pictures bring their own paper.
    greys = [f"#{level:02x}{level:02x}{level:02x}" for level in range(256)]
    best = max(min(contrast(grey, "#ffffff"), contrast(grey, "#111111")) for grey in greys)
    assert 4.2 < best < 4.5


def test_a_page_may_set_every_colour_that_a_picture_uses() -> None:
    css = live_css(".here")
    used = set(re.findall(r"var\(--qmio-(?!own-)([a-z0-9-]+),", histogram([("0", 1)]).svg + style()))
    assert used
    for name in used:
        assert f"--qmio-{name}:" in css
        assert name == "font" or name in TONES


def test_a_picture_defines_every_fall_back_that_it_uses() -> None:
    svg = histogram([("0", 1)]).svg
    used = set(re.findall(r"var\(--qmio-own-([a-z0-9-]+)\)", svg))
    assert used <= set(re.findall(r"--qmio-own-([a-z0-9-]+):", svg))
