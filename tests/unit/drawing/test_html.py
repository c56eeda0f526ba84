"""A drawing as static HTML: an image, and hover texts without script."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest

from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.html import figure


class Elements(HTMLParser):
    """Collects the start tags of a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_image_is_the_drawing() -> None:
    drawing = histogram([("00", 5), ("11", 6)])
    elements = Elements(figure(drawing)).found
    image = dict(elements)["img"]
    head, _, data = str(image["src"]).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(data).decode() == drawing.svg
    assert image["alt"] == drawing.alt
    assert (image["width"], image["height"]) == ("560", "220")


def test_every_spot_can_be_hovered() -> None:
    drawing = histogram([("<&\"'>", 5), ("11", 6)])
    elements = Elements(figure(drawing)).found
    found = [attributes for tag, attributes in elements if tag == "span"]
    assert [one["title"] for one in found] == [spot.text for spot in drawing.spots]
    for one, spot in zip(found, drawing.spots, strict=True):
        box = dict(re.findall(r"(\w+):([\d.]+)%", str(one["style"])))
        assert float(box["left"]) * drawing.width / 100 == pytest.approx(spot.x, abs=0.1)
        assert float(box["top"]) * drawing.height / 100 == pytest.approx(spot.y, abs=0.1)
        assert float(box["width"]) * drawing.width / 100 == pytest.approx(spot.width, abs=0.1)
        assert float(box["height"]) * drawing.height / 100 == pytest.approx(spot.height, abs=0.1)
        # A list of empty pictures would only stop who has the image's own text read out.
        assert (one.get("aria-hidden"), one.get("tabindex")) == ("true", None)


def test_every_spot_can_have_the_focus_where_that_is_wanted() -> None:
    drawing = histogram([("00", 5), ("11", 6)])
    found = [attributes for tag, attributes in Elements(figure(drawing, focus=True)).found if tag == "span"]
    assert [one["aria-label"] for one in found] == [spot.text for spot in drawing.spots]
    assert {(one["tabindex"], one["role"]) for one in found} == {("0", "img")}


def test_without_spots_there_is_the_image_alone() -> None:
    tags = [tag for tag, _ in Elements(figure(histogram([]))).found]
    assert tags == ["div", "style", "div", "img"]


def test_nothing_in_it_runs_or_loads() -> None:
    text = figure(histogram([("<script>", 5)]))
    assert "<script" not in text
    assert "http" not in text
    assert "url(" not in text
