"""Pictures as a browser draws them: nothing leaves the picture or covers other text, spots are where they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.html import LEAST_WIDTH, figure
from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import SMALL, live_css
from qmio_jupyter.testing.gallery import gallery
from tests.browser.conftest import PICTURES

GALLERY = gallery()
LOOKS = [("light", "light"), ("dark", "dark"), ("light", "dark"), ("dark", "light")]

#: Everything that is wrong with the texts of the picture, as lines.
_TEXTS = """
([least]) => {
    const picture = document.querySelector('svg'), frame = picture.getBoundingClientRect(), wrong = [];
    const texts = [...picture.querySelectorAll('text')].filter(one => one.textContent.trim());
    const boxes = texts.map(one => one.getBoundingClientRect());
    texts.forEach((one, at) => {
        const box = boxes[at], size = parseFloat(getComputedStyle(one).fontSize);
        if (size < least) wrong.push(`${one.textContent}: ${size} px`);
        if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
            box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
            wrong.push(`${one.textContent}: leaves the picture`);
        if (one.hasAttribute('transform')) return;
        texts.slice(at + 1).forEach((other, step) => {
            if (other.hasAttribute('transform')) return;
            const there = boxes[at + 1 + step];
            const wide = Math.min(box.right, there.right) - Math.max(box.left, there.left);
            // Line boxes are higher than what is written in them.
            const high = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top);
            if (wide > 1 && high > 5) wrong.push(`${one.textContent}: covers ${other.textContent}`);
        });
    });
    return wrong;
}
"""
#: The key of what is at a point of the picture.
_AT = """
([x, y]) => {
    const frame = document.querySelector('svg').getBoundingClientRect();
    const found = document.elementFromPoint(frame.left + x, frame.top + y)?.closest('[data-key]');
    const panel = found?.closest('[data-panel]')?.dataset.panel;
    return found ? (panel === undefined ? '' : panel + ':') + found.dataset.key : null;
}
"""

Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser) -> Iterator[Show]:
    """Show HTML on a page of a theme, whose reader prefers another one perhaps."""
    contexts = []

    def shown(inside: str, *, theme: str = "light", prefers: str = "light", width: int = 1000) -> Page:
        context = browser.new_context(
            color_scheme=prefers,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
        )
        contexts.append(context)
        page = context.new_page()
        paper = {"light": "#fff", "dark": "#111"}[theme]
        page.set_content(
            f"<!doctype html><style>{live_css('.live')}</style><body data-jp-theme-light="
            f"'{str(theme == 'light').lower()}' style='margin:8px;background:{paper}'>{inside}"
        )
        return page

    yield shown
    for context in contexts:
        context.close()


def live(drawing: Drawing) -> str:
    return f'<div class="live">{drawing.svg}</div>'


def test_texts_stay_inside_and_apart(show: Show) -> None:
    page = show('<div class="live"></div>')
    found = {}
    for name, drawing in GALLERY.items():
        page.locator(".live").evaluate("(place, svg) => { place.innerHTML = svg }", drawing.svg)
        page.locator("svg").screenshot(path=PICTURES / f"picture-{name}.png")
        if wrong := page.evaluate(_TEXTS, [SMALL]):
            found[name] = wrong
    assert found == {}


def test_a_text_that_is_wrong_would_be_found(show: Show) -> None:
    page = show(
        '<svg width="200" height="50"><text x="10" y="20" font-size="12">one</text>'
        '<text x="12" y="22" font-size="12">two</text><text x="190" y="20" font-size="12">three</text>'
        '<text x="100" y="20" font-size="8">four</text></svg>'
    )
    assert page.evaluate(_TEXTS, [SMALL]) == ["one: covers two", "three: leaves the picture", "four: 8 px"]


@pytest.mark.parametrize(
    "name",
    ["histogram-ghz", "histogram-many", "overlay-ideal", "chip-qmio-t1", "chip-marks", "multiples-circuits"],
)
def test_a_spot_is_where_its_element_is(show: Show, name: str) -> None:
    drawing = GALLERY[name]
    page = show(live(drawing))
    page.set_viewport_size({"width": 1000, "height": drawing.height + 20})
    for spot in drawing.spots:
        middle = [spot.x + spot.width / 2, spot.y + spot.height / 2]
        assert page.evaluate(_AT, middle) == spot.key


def test_bars_are_sorted_without_python(show: Show) -> None:
    page = show(live(histogram([("00", 10), ("01", 40), ("10", 20), ("11", 30)])))
    page.emulate_media(reduced_motion="reduce")
    lefts = (
        "() => [...document.querySelectorAll('.qmio-bar')].map("
        "one => [one.getBoundingClientRect().left, one.dataset.key])"
    )

    def order() -> list[Any]:
        return [key for _, key in sorted(page.evaluate(lefts))]

    assert order() == ["00", "01", "10", "11"]
    page.evaluate(
        "() => document.querySelectorAll('.qmio-bar').forEach("
        "one => one.style.setProperty('--qmio-i', one.dataset.value))"
    )
    assert order() == ["01", "11", "10", "00"]


@pytest.mark.parametrize(("theme", "prefers"), LOOKS)
@pytest.mark.parametrize("make", [live, figure])
def test_a_picture_has_the_theme_of_its_page(
    show: Show, make: Callable[[Drawing], str], theme: str, prefers: str
) -> None:
    page = show(make(GALLERY["histogram-bell"]), theme=theme, prefers=prefers)
    pixel = page.locator("svg, img").screenshot(
        path=PICTURES / f"theme-{make.__name__}-{theme}-{prefers}.png"
    )
    # What the browser painted, read back by itself: the corner is paper, or the page behind it.
    corner = page.evaluate(
        """async data => {
            const image = await createImageBitmap(await (await fetch(data)).blob());
            const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext('2d');
            pen.drawImage(image, 0, 0);
            return [...pen.getImageData(image.width / 2, 3, 1, 1).data];
        }""",
        f"data:image/png;base64,{_base64(pixel)}",
    )
    assert corner[:3] == {"light": [255, 255, 255], "dark": [17, 17, 17]}[theme]


@pytest.mark.parametrize("width", [320, 600])
def test_a_narrow_page_shrinks_a_picture_then_scrolls_it_and_nothing_else(show: Show, width: int) -> None:
    chip = GALLERY["chip-qmio-t1"]
    page = show(live(GALLERY["histogram-bell"]) + figure(chip, focus=True), width=width)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    frames = page.evaluate(
        "() => [...document.querySelectorAll('.live, .qmio-figure')].map(one => one.scrollHeight - one.clientHeight)"
    )
    assert frames == [0, 0]
    image = page.locator("img").bounding_box()
    assert image is not None
    assert round(image["width"]) == {320: LEAST_WIDTH, 600: chip.width}[width]
    # What lies over the picture is as large as what it lies over.
    scale = image["width"] / chip.width
    spot = next(spot for spot in chip.spots if spot.key == "q12")
    element = page.locator(f'.qmio-figure .qmio-spot[aria-label="{spot.text}"]')
    over = element.bounding_box()
    assert over is not None
    assert over["x"] - image["x"] == pytest.approx(scale * spot.x, abs=1)
    assert over["y"] - image["y"] == pytest.approx(scale * spot.y, abs=1)
    assert over["width"] == pytest.approx(scale * spot.width, abs=1)
    # Who has no pointer reads the same.
    element.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert element.evaluate("one => getComputedStyle(one, '::after').content") == f'"{spot.text}"'


def _base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode()
