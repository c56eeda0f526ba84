"""What must hold for every picture: well formed, complete in itself, harmless, inside its own borders."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

from qmio_jupyter.drawing.picture import Drawing

SVG = "{http://www.w3.org/2000/svg}"
#: The only elements that our pictures are made of.
ELEMENTS = {"svg", "style", "g", "rect", "path", "text", "circle", "tspan"}
_SIZES = {"width", "height", "r", "rx", "ry", "stroke-width", "font-size"}
_PLACES = {"x", "y", "cx", "cy"}
_NUMBER = re.compile(r"-?\d+(\.\d{1,2})?")
#: Separated so that a long path is checked in one pass.
_PATH_PARTS = re.compile(r"[MLHVQCAZmlhvqcaz]|-?\d+(?:\.\d{1,2})?|[ ,]")


def parsed(drawing: Drawing) -> ET.Element:
    """Return the picture's root element, after checking what must hold for each.

    Raises
    ------
    AssertionError
        Where something does not hold.
    """
    root = ET.fromstring(drawing.svg)  # noqa: S314 - our own text, and the check of it
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == drawing.alt
    assert (root.get("width"), root.get("height")) == (str(drawing.width), str(drawing.height))
    assert root.get("viewBox") == f"0 0 {drawing.width} {drawing.height}"
    assert drawing.alt.endswith(".")
    assert "\n" not in drawing.alt
    for element in root.iter():
        _check(element)
    for spot in drawing.spots:
        assert all(map(math.isfinite, (spot.x, spot.y, spot.width, spot.height)))
        assert spot.width > 0
        assert spot.height > 0
        assert -0.01 <= spot.x <= spot.x + spot.width <= drawing.width + 0.01
        assert -0.01 <= spot.y <= spot.y + spot.height <= drawing.height + 0.01
        assert spot.text
    return root


def keys(root: ET.Element) -> list[str]:
    """Return the ``data-key`` of every element that has one, in order of the document."""
    return [key for element in root.iter() if (key := element.get("data-key")) is not None]


def texts(root: ET.Element, css: str = "") -> list[str]:
    """Return what is written in the picture, of class `css` or any, in order of the document."""
    return [
        "".join(element.itertext())
        for element in root.iter(f"{SVG}text")
        if not css or css in (element.get("class") or "").split()
    ]


def _check(element: ET.Element) -> None:
    name = element.tag.removeprefix(SVG)
    assert name in ELEMENTS, name
    for attribute, value in element.attrib.items():
        assert not attribute.startswith("on"), attribute
        assert "href" not in attribute
        assert "url(" not in value or attribute.startswith(("aria-", "data-"))
        if attribute in _SIZES | _PLACES:
            assert _NUMBER.fullmatch(value), f"{name} {attribute}={value}"
            assert attribute in _PLACES or float(value) >= 0, f"{name} {attribute}={value}"
        if attribute == "d":
            assert value.startswith("M"), value
            assert not _PATH_PARTS.sub("", value), value
        if attribute == "class":
            assert all(one.startswith("qmio-") for one in value.split()), value
    if name == "style":
        assert "@import" not in (element.text or "")
        assert "url(" not in (element.text or "")
