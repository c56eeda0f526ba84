"""``static/live.js`` in a page of its own: patched in place, sorted, read out; with a server and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from qmio_jupyter.display.moment import Moment
from qmio_jupyter.drawing.histogram import histogram
from qmio_jupyter.drawing.style import live_css
from qmio_jupyter.testing.browser import obstacles

STATIC = Path(__file__).parents[2] / "qmio_jupyter" / "notebook" / "static"
ORIGIN = "http://127.0.0.1:9"
TASK = "t-0123456789abcdefghjkmnpqrs"
PAGE = """<!doctype html><html lang="en"><head><title>live</title><style>%(css)s</style></head><body>
<main><div id="here" style="padding:20px"></div></main>%(config)s
<script type="module">
const source = %(source)s;
const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
const { createView, default: widget } = await import(url);
window.widget = widget;
window.view = createView(document.getElementById("here"));
</script></body></html>"""
CONFIG = (
    '<script id="jupyter-config-data" type="application/json">{"baseUrl": "/user/ada/", "token": ""}</script>'
)
MOMENT = Moment(
    task_id=TASK,
    label="bell",
    device="fake-qmio",
    state="queued",
    mark="○",
    word="queued",
    place="3 ahead",
    eta="starts in 10\N{EN DASH}25 s",
    eta_hint="half of the time sooner",
    snapshot="current snapshot 0123456789ab",
    calibrated="calibrated 2 h ago",
    done=0,
    asked=1000,
    progress="0 of 1000 shots",
    percent=0,
    note="",
    can_cancel=True,
    is_final=False,
)
RUNNING: dict[str, Any] = {
    "state": "running",
    "mark": "●",
    "word": "running",
    "place": "",
    "eta": "ends in 3 s",
}


class Live:
    """A page with a live view, and the server behind it."""

    def __init__(self, page: Page, *, health: int | None = 200, answer: tuple[int, Any] = (200, {})) -> None:
        self.page = page
        self.health, self.answer = health, answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        page.route("**/*", self._serve)
        page.context.add_cookies([{"name": "_xsrf", "value": "2|a%7Cb", "url": ORIGIN}])
        page.goto(f"{ORIGIN}/lab")
        page.wait_for_function("() => window.view !== undefined")

    def _serve(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path == "/lab":
            source = json.dumps((STATIC / "live.js").read_text())
            css = (STATIC / "live.css").read_text() + live_css(".qmio-live")
            config = CONFIG if self.health is not None else ""
            body = PAGE % {"css": css, "config": config, "source": source}
            route.fulfill(content_type="text/html; charset=utf-8", body=body)
            return
        self.asked.append((route.request.method, path, route.request.headers))
        if path.endswith("/health"):
            route.fulfill(status=self.health or 404, json={})
        else:
            status, document = self.answer
            route.fulfill(status=status, json=document)

    def show(self, pairs: Any = (), **changes: Any) -> None:
        """Show a moment with a histogram, and wait until it is on the page."""
        moment = msgspec.structs.replace(MOMENT, **changes)
        drawing = histogram(pairs, asked=1000)
        values = [msgspec.to_builtins(moment), msgspec.to_builtins([drawing])]
        self.page.evaluate(
            "values => { window.view.update(...values); return new Promise(done => requestAnimationFrame("
            "() => requestAnimationFrame(() => done(null)))); }",
            values,
        )

    def spot(self, key: str) -> Any:
        """Return what lies over a bar."""
        return self.page.locator(f".qmio-spot[data-key='{key}']")

    def order(self) -> list[str]:
        """Return the outcomes from left to right, as the bars stand once they have come to rest."""
        self.page.wait_for_function(
            "() => document.getAnimations().every(one => one.playState === 'finished')"
        )
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.qmio-bar')].sort((a, b) => a.getBoundingClientRect().x"
            " - b.getBoundingClientRect().x).map(one => one.dataset.key)"
        )


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page; whatever it throws fails the test."""
    context = browser.new_context(viewport={"width": 800, "height": 500})
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    context.close()
    assert errors == []


def test_everything_is_said_and_nothing_stands_in_the_way_of_anybody(page: Page) -> None:
    live = Live(page)
    live.show()
    root = page.locator(".qmio-live")
    for said in (
        "queued",
        "bell",
        "3 ahead",
        "starts in 10\N{EN DASH}25 s",
        "fake-qmio",
        "calibrated 2 h ago",
        TASK,
    ):
        expect(root).to_contain_text(said)
    expect(page.locator(".qmio-eta")).to_have_attribute("title", "half of the time sooner")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", "0 of 1000 shots")
    expect(page.get_by_role("status")).to_have_text("queued, 3 ahead")
    live.show([("00", 300), ("11", 200)], **RUNNING, done=500, percent=50, progress="500 of 1000 shots")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "500")
    assert obstacles(page.locator("main")) == []


def test_nothing_moves_as_numbers_change(page: Page) -> None:
    live = Live(page)
    rows = (
        "() => [...document.querySelectorAll('.qmio-row, .qmio-picture')].map(one => {"
        " const box = one.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; })"
    )
    live.show()
    before = page.evaluate(rows)
    live.show(
        [("00", 1), ("01", 1)], **RUNNING, done=2, percent=0, progress="2 of 1000 shots", note="because"
    )
    live.show(
        [(f"{key:08b}", key + 1) for key in range(200)],
        **RUNNING,
        label="a label that is so long that it has no room beside all the other things in its line, by far",
        done=1000,
        percent=100,
        progress="1000 of 1000 shots",
        note="a note that is so long that it has no room in its line either, whatever it may have been about",
    )
    assert page.evaluate(rows) == before


def test_the_page_is_patched_and_keeps_focus_and_hover(page: Page) -> None:
    live = Live(page)
    live.show([("00", 30), ("11", 20)], **RUNNING)
    page.evaluate(
        "() => document.querySelectorAll('.qmio-bar, .qmio-spot').forEach(one => { one.mine = 1; })"
    )
    live.spot("11").focus()
    expect(page.locator(".qmio-tip")).to_have_text("11: 20 of 50 (40.0 % ± 6.9 %)")
    live.show([("00", 300), ("01", 100), ("11", 600)], **RUNNING)
    expect(live.spot("11")).to_be_focused()
    expect(page.locator(".qmio-tip")).to_have_text("11: 600 of 1000 (60.0 % ± 1.5 %)")
    kept = "() => [...document.querySelectorAll('.qmio-bar, .qmio-spot')].filter(one => one.mine).length"
    assert page.evaluate(kept) == 4
    live.spot("00").hover()
    expect(page.locator(".qmio-tip")).to_have_text("00: 300 of 1000 (30.0 % ± 1.4 %)")
    live.show([("00", 301), ("01", 100), ("11", 600)], **RUNNING)
    expect(page.locator(".qmio-tip")).to_contain_text("00: 301 of 1001")
    shown = [one.get_attribute("data-key") for one in page.locator(".qmio-spot").all()]
    assert sorted(shown) == ["00", "01", "11"]
    live.show([("01", 100)], **RUNNING)
    expect(page.locator(".qmio-tip")).to_be_hidden()
    assert page.locator(".qmio-bar").count() == 1


def test_bars_are_sorted_without_python_and_stay_sorted(page: Page) -> None:
    live = Live(page)
    expect(page.get_by_role("button", name="Sort")).to_have_count(0)
    live.show([("00", 10), ("01", 30), ("10", 20)], **RUNNING)
    assert live.order() == ["00", "01", "10"]
    page.get_by_role("button", name="Sort by count").click()
    assert live.order() == ["01", "10", "00"]
    live.show([("00", 90), ("01", 30), ("10", 20), ("11", 5)], **RUNNING)
    assert live.order() == ["00", "01", "10", "11"]
    live.show([("00", 1), ("01", 30), ("10", 20), ("11", 50)], **RUNNING)
    assert live.order() == ["11", "01", "10", "00"]
    over = (
        "key => { const bar = document.querySelector(`.qmio-bar[data-key='${key}'] .qmio-hit`), "
        "spot = document.querySelector(`.qmio-spot[data-key='${key}']`);"
        " return Math.abs(bar.getBoundingClientRect().x - spot.getBoundingClientRect().x); }"
    )
    assert all(page.evaluate(over, key) < 1 for key in live.order())
    page.get_by_role("button", name="Sort by outcome").click()
    assert live.order() == ["00", "01", "10", "11"]


def test_the_keyboard_goes_from_bar_to_bar_as_they_are_seen(page: Page) -> None:
    live = Live(page)
    live.show([("00", 10), ("01", 30), ("10", 20)], **RUNNING)
    page.get_by_role("button", name="Sort by count").click()
    live.order()
    assert page.locator(".qmio-spot[tabindex='0']").count() == 1
    live.spot("01").focus()
    for key, there in (
        ("ArrowRight", "10"),
        ("End", "00"),
        ("ArrowLeft", "10"),
        ("Home", "01"),
        ("ArrowUp", "01"),
    ):
        page.keyboard.press(key)
        expect(live.spot(there)).to_be_focused()
    assert page.locator(".qmio-spot[tabindex='0']").count() == 1
    page.keyboard.press("Escape")
    expect(page.locator(".qmio-tip")).to_be_hidden()


def test_cancel_asks_the_server_once_with_its_token(page: Page) -> None:
    live = Live(page)
    live.show()
    page.get_by_role("button", name="Cancel task").click()
    expect(page.get_by_role("button", name="Cancel task")).to_be_disabled()
    live.show(state="cancelling", word="cancelling", can_cancel=False)
    expect(page.get_by_role("button", name="Cancel task")).to_have_count(0)
    (health, cancel) = live.asked
    assert health[:2] == ("GET", "/user/ada/qmio_jupyter/api/health")
    assert cancel[:2] == ("POST", f"/user/ada/qmio_jupyter/api/tasks/{TASK}/cancel")
    assert cancel[2]["x-xsrftoken"] == "2|a|b"


@pytest.mark.parametrize("message", ["No gateway answers.", "No gateway answers"])
def test_a_refusal_is_told_and_the_button_is_there_again(page: Page, message: str) -> None:
    refusal = {"code": "gateway", "message": message, "hint": "Start one."}
    live = Live(page, answer=(503, refusal))
    live.show()
    page.get_by_role("button", name="Cancel task").click()
    note = page.get_by_role("alert")
    expect(note).to_have_text("No gateway answers. Start one.")
    expect(page.get_by_role("button", name="Cancel task")).to_be_enabled()


def test_a_long_refusal_can_be_read_to_its_end(page: Page) -> None:
    refusal = {"code": "gateway", "message": "No gateway answers", "hint": "Start one, or wait. " * 20}
    page.set_viewport_size({"width": 400, "height": 700})
    live = Live(page, answer=(503, refusal))
    live.show()
    page.get_by_role("button", name="Cancel task").click()
    note = page.get_by_role("alert")
    expect(note).to_contain_text("Start one")
    assert note.evaluate(
        "note => [note.scrollWidth - note.clientWidth, note.scrollHeight - note.clientHeight]"
    ) == [
        0,
        0,
    ]


@pytest.mark.parametrize("health", [404, 403, None])
def test_where_no_server_cancels_there_is_no_button(page: Page, health: int | None) -> None:
    live = Live(page, health=health)
    live.show()
    expect(page.locator(".qmio-live")).to_contain_text("queued")
    page.wait_for_load_state("networkidle")
    live.show(**RUNNING)
    expect(page.get_by_role("button", name="Cancel task")).to_have_count(0)
    assert [path for _, path, _ in live.asked if "health" not in path] == []


def test_a_widget_follows_its_model_and_lets_go_of_it(page: Page) -> None:
    live = Live(page)
    drawn = msgspec.to_builtins([histogram([("0", 5)])])
    found = page.evaluate(
        """async ([moment, drawings]) => {
            const heard = new Map(), values = { moment, drawings };
            const model = {
                get: (name) => values[name],
                on: (name, what) => heard.set(name, what),
                off: (name, what) => heard.get(name) === what && heard.delete(name),
            };
            const el = document.createElement("div");
            document.querySelector("main").append(el);
            const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            const end = window.widget.render({ model, el });
            await frame();
            const first = el.querySelector(".qmio-head").textContent;
            values.moment = { ...moment, word: "running", place: "" };
            heard.get("change:moment")();
            await frame();
            const then = el.querySelector(".qmio-head").textContent;
            end();
            return [first, then, [...heard.keys()], el.childElementCount];
        }""",
        [msgspec.to_builtins(MOMENT), drawn],
    )
    assert "queued" in found[0]
    assert "running" in found[1]
    assert found[2:] == [[], 0]
    assert live.asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_scales_the_picture(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 500})
    live = Live(page)
    live.show([("00", 10), ("01", 30), ("10", 20)], **RUNNING)
    box = page.locator(".qmio-picture svg").bounding_box()
    assert box is not None
    # Three quarters of its size can still be read; what has no room then is scrolled to, in the cell alone.
    assert box["width"] == 420
    frame = page.locator(".qmio-live")
    assert frame.evaluate("frame => getComputedStyle(frame).overflowX") == "auto"
    room, needed = frame.evaluate("frame => [frame.clientWidth, frame.scrollWidth]")
    # It begins 8 px from the left, as text does.
    assert room < needed == 420 + 8
    over = live.spot("01").bounding_box()
    bar = page.locator(".qmio-bar[data-key='01'] .qmio-hit").bounding_box()
    assert over is not None
    assert bar is not None
    assert abs(over["x"] - bar["x"]) < 1.5
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    # What is said of a bar that was scrolled to is said where it is.
    frame.evaluate("frame => { frame.scrollLeft = frame.scrollWidth; }")
    live.spot("10").hover()
    tip = page.locator(".qmio-tip").bounding_box()
    near = live.spot("10").bounding_box()
    assert tip is not None
    assert near is not None
    assert tip["x"] <= near["x"] + near["width"] / 2 <= tip["x"] + tip["width"]
