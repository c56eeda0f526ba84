"""Every picture of the gallery is sound, and the same every time."""

from __future__ import annotations

import pytest

from qmio_jupyter.drawing.html import figure
from qmio_jupyter.testing.gallery import gallery
from qmio_jupyter.testing.pictures import parsed

PICTURES = gallery()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_sound(name: str) -> None:
    drawing = PICTURES[name]
    parsed(drawing)
    assert len(drawing.svg) < 200_000
    assert "<script" not in drawing.svg
    assert "<script" not in figure(drawing)


def test_pictures_are_the_same_every_time() -> None:
    assert gallery() == PICTURES
