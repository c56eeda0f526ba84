"""A drawing as static HTML: an image, and hover texts without script."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

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
    areas = [attributes for tag, attributes in elements if tag == "area"]
    assert [area["title"] for area in areas] == [spot.text for spot in drawing.spots]
    for area, spot in zip(areas, drawing.spots, strict=True):
        left, top, right, bottom = map(int, str(area["coords"]).split(","))
        assert abs(left - spot.x) <= 1
        assert abs(right - spot.x - spot.width) <= 1
        assert 0 <= top < bottom <= drawing.height
    image = dict(elements)["img"]
    assert image["usemap"] == f"#{dict(elements)['map']['name']}"


def test_two_drawings_on_a_page_have_maps_of_their_own() -> None:
    names = {dict(Elements(figure(histogram([("0", n)]))).found)["map"]["name"] for n in (1, 2)}
    assert len(names) == 2


def test_without_spots_there_is_no_map() -> None:
    tags = [tag for tag, _ in Elements(figure(histogram([]))).found]
    assert tags == ["div", "style", "img"]


def test_nothing_in_it_runs_or_loads() -> None:
    text = figure(histogram([("<script>", 5)]))
    assert "<script" not in text
    assert "http" not in text
    assert "url(" not in text
