"""The static pages and the document for programs: complete, harmless, bounded, without script."""

from __future__ import annotations

import json
import random
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.result_json import BUDGET, MEDIA_TYPE, SCHEMA
from qmio_jupyter.display.result_page import ended_bundle, moment_bundle, result_bundle
from qmio_jupyter.model.parity import parse
from qmio_jupyter.model.task import ErrorInfo, Estimate, Stamp, TaskState
from tests.unit.display.making import VIEW, item, matrix, result, swept

EVIL = "<script>alert(1)</script>\"'&\x1b[31m\u202e"
VOID = {"img", "area", "br", "rect", "path"}


class Page(HTMLParser):
    """Checks that elements are closed in order; keeps texts and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def harmless(page: str) -> Page:
    """Return a page after the checks that hold for every one."""
    found = Page(page)
    assert "script" not in found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    for name, value in found.attributes:
        if name in ("src", "href"):
            assert value.startswith("data:image/svg+xml;base64,")
    assert "\x1b" not in page
    return found


def view(**changes: Any) -> Any:
    return msgspec.structs.replace(VIEW, **changes)


def test_a_result_is_a_table_an_image_and_a_document() -> None:
    seen = view(
        snapshot_id="ab" * 32,
        seed=2**62 + 1,
        timeline=(Stamp(stage="accepted", at_ms=1000), Stamp(stage="on_device", at_ms=1250, seconds=0.2)),
    )
    found = result(
        item(
            [(0, 60), (3, 40)],
            ("c", 2),
            notes=(("layout", "4,7"), ("method", "statevector"), ("why", "small")),
        ),
        snapshot_id="ab" * 32,
        seed=2**62 + 1,
        software=(("qmio_jupyter", "1.2"),),
        durations=(("on_device", 0.2),),
    )
    about = About(snapshot_id="ab" * 32, snapshot_ms=0, expect=(parse("ZZ"),))
    bundle = result_bundle(seen, found, about)
    assert list(bundle) == ["text/plain", "text/html", MEDIA_TYPE]
    page = harmless(bundle["text/html"])
    assert page.tags.count("img") == 2
    alts = [value for name, value in page.attributes if name == "alt"]
    assert alts[0].startswith("Histogram of 100 shots: 00 60.0 %")
    assert [alt for alt in alts if alt.startswith("Timeline")]
    for said in (
        "✓ completed · mine",
        "ideal · snapshot abababababab, calibrated 0 s before",
        "100 shots · seed 4611686018427387905 · 0.2 s",
        "⟨ZZ⟩ = 1.0000 ± 0.0000",
        "00 60 60.0 % 4.9 %",
        "Task t-1",
        "layout 4, 7",
        "method statevector: small",
        "versions qmio_jupyter 1.2",
        "ab" * 32,
    ):
        assert said in page.text, said
    document = bundle[MEDIA_TYPE]
    assert json.loads(json.dumps(document)) == document
    assert document["schema"] == SCHEMA
    assert document["seed"] == str(2**62 + 1)
    (only,) = document["items"]
    assert only["bindings"][0]["outcomes"] == [["00", 60], ["11", 40]]
    assert only["bindings"][0]["expect"] == [["ZZ", 1.0, 0.0]]


def test_nothing_of_a_user_or_a_driver_is_markup() -> None:
    found = result(
        item([(0, 1)], (EVIL, 1), notes=((EVIL, EVIL), ("warning", EVIL), ("layout", EVIL))),
        software=((EVIL, EVIL),),
    )
    about = About(names=(EVIL,), parameters=(matrix((EVIL,), [(1.0,)]),))
    seen = view(
        label=EVIL,
        device=EVIL,
        cause=EVIL,
        stage=EVIL,
        error=ErrorInfo(code="internal", message=EVIL, hint=EVIL),
    )
    pages = [
        result_bundle(seen, found, about),
        result_bundle(seen, result(found.items[0], found.items[0]), about),
        ended_bundle(view(label=EVIL, device=EVIL), found, about, EVIL),
        ended_bundle(seen, None, about, EVIL),
        moment_bundle(
            view(state=TaskState.RUNNING, label=EVIL, cause=EVIL, stage=EVIL), found, about, now_ms=0
        ),
    ]
    for bundle in pages:
        harmless(bundle["text/html"])
        assert "\x1b" not in bundle["text/html"]


def test_several_circuits_have_a_picture_and_a_table_each() -> None:
    one, two = item([(0, 10)], ("c", 1)), item([(1, 10)], ("c", 1))
    page = harmless(result_bundle(VIEW, result(one, two), About(names=("bell", "")))["text/html"])
    assert "circuit 1 of 2 (bell)" in page.text
    assert "circuit 2 of 2" in page.text
    assert page.tags.count("caption") == 2


def test_bindings_are_a_table() -> None:
    found = result(swept([[(0, 10)], [(1, 10)]], ("c", 1)))
    about = About(parameters=(matrix(("theta",), [(0.5,), (1.5,)]),), expect=(parse("Z"),))
    page = harmless(result_bundle(VIEW, found, about)["text/html"])
    assert "2 bindings binding theta 0 1 <Z> 1 0.5 100.0 % 0.0 % 1.0000 ± 0.0000" in page.text
    (only,) = result_bundle(VIEW, found, about)[MEDIA_TYPE]["items"]
    assert [binding["parameters"] for binding in only["bindings"]] == [[["theta", 0.5]], [["theta", 1.5]]]


def test_a_failed_task_says_what_and_what_to_do_next() -> None:
    failed = view(
        state=TaskState.FAILED, error=ErrorInfo(code="program.syntax", message="line 3", hint="Correct it.")
    )
    bundle = ended_bundle(failed, None, NOTHING, "t-1 on ideal: failed")
    page = harmless(bundle["text/html"])
    assert page.text.startswith("✕ failed [program.syntax] · mine ideal line 3 Correct it.")
    assert "img" not in page.tags
    assert bundle["text/plain"] == "t-1 on ideal: failed"
    assert bundle[MEDIA_TYPE]["error"] == {
        "code": "program.syntax",
        "message": "line 3",
        "hint": "Correct it.",
    }
    assert bundle[MEDIA_TYPE]["items"] == []


def test_a_cell_that_raises_the_error_tells_it_once() -> None:
    failed = view(
        state=TaskState.FAILED, error=ErrorInfo(code="program.syntax", message="line 3", hint="Correct it.")
    )
    text = harmless(ended_bundle(failed, None, NOTHING, "t-1: failed", is_raised=True)["text/html"]).text
    assert text.startswith("✕ failed [program.syntax] · mine ideal")
    assert "line 3" not in text


def test_a_duration_that_cannot_be_told_is_not() -> None:
    found = result(item([(0, 100)], ("c", 1)), durations=(("measured", 0.0002),))
    assert "0 ms" not in harmless(result_bundle(VIEW, found, NOTHING)["text/html"]).text


def test_a_cancelled_task_keeps_what_was_counted() -> None:
    partial = result(item([(0, 40)], ("c", 1)), is_final=False, shots_done=40)
    page = harmless(
        ended_bundle(view(state=TaskState.CANCELLED), partial, NOTHING, "t-1: interrupted")["text/html"]
    )
    assert "t-1: interrupted" in page.text
    assert page.tags.count("img") == 1
    assert "Counts until then" in page.text
    plain = ended_bundle(view(state=TaskState.CANCELLED), partial, NOTHING, "t-1 on ideal: cancelled")
    text = harmless(plain["text/html"]).text
    assert "40 of 100 shots were measured before. Run the cell again for a whole result." in text
    none = result(item([], ("c", 1)), is_final=False, shots_done=0)
    assert (
        "img"
        not in harmless(ended_bundle(view(state=TaskState.CANCELLED), none, NOTHING, "x")["text/html"]).tags
    )


def test_a_moment_is_a_picture_that_says_how_to_follow() -> None:
    waiting = view(
        state=TaskState.QUEUED, position=2, start=Estimate(p50_s=10, p90_s=25, samples=3), shots_done=0
    )
    bundle = moment_bundle(waiting, None, About(bindings=(1,)), now_ms=0)
    page = harmless(bundle["text/html"])
    assert "○ queued · mine · 2 ahead · starts in 10\N{EN DASH}25 s" in page.text
    assert "As of 1970-01-01 00:00:00. %qpu attach t-1 follows it" in page.text
    assert "· 0 of" not in page.text
    assert page.tags.count("img") == 1
    assert bundle["text/plain"].startswith("t-1 on ideal: queued, 2 ahead")


def test_a_moment_of_a_task_that_has_ended_is_its_end() -> None:
    done = result(item([(0, 1)], ("c", 1)))
    assert moment_bundle(VIEW, done, NOTHING, now_ms=0) == result_bundle(VIEW, done, NOTHING)
    assert "failed" in moment_bundle(view(state=TaskState.FAILED), None, NOTHING, now_ms=0)["text/html"]


@pytest.mark.parametrize(
    ("items", "bindings", "n_bits", "n_outcomes"),
    [(1, 1, 1, 2), (1, 1, 20, 5000), (1, 5000, 4, 16), (300, 3, 8, 60), (1, 2, 4000, 300), (2, 1, 60_000, 2)],
)
def test_whatever_the_task_the_document_and_the_page_are_bounded(
    items: int, bindings: int, n_bits: int, n_outcomes: int
) -> None:
    rng = random.Random(3)
    pairs = sorted({rng.getrandbits(n_bits): rng.randrange(1, 9) for _ in range(n_outcomes)}.items())
    one = item(pairs, ("c", n_bits), bindings=bindings)
    bundle = result_bundle(VIEW, result(*[one] * items), NOTHING)
    assert len(json.dumps(bundle[MEDIA_TYPE])) < BUDGET + 12_000
    assert len(bundle["text/html"]) < 1_000_000
    document = bundle[MEDIA_TYPE]
    shown = document["items"]
    assert len(shown) + document["items_left_out"] == items
    for entry in shown:
        assert len(entry["bindings"]) + entry["bindings_left_out"] == bindings
        for binding in entry["bindings"]:
            others, shots = binding["others"]
            assert sum(count for _, count in binding["outcomes"]) + shots == binding["shots"]
            assert len(binding["outcomes"]) + others == len(pairs)
