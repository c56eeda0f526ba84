"""Results over each other: distances, shares, the ideal distribution, pictures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qmio_jupyter.display.compare import compare_bundle, compare_text, compared, places
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.result import TaskResult
from tests.unit.display.making import VIEW, item, result
from tests.unit.display.test_pages import EVIL, harmless

OTHER = msgspec.structs.replace(VIEW, task_id="t-2", label="", device="fake-qmio", snapshot_id="ab" * 32)
FIRST = result(item([(0, 50), (3, 50)], ("c", 2)))
SECOND = result(item([(0, 25), (1, 75)], ("c", 2)))
BELL = [("00", 0.5), ("11", 0.5)]


def blocks(*results: TaskResult, ideal: Any = None) -> Any:
    where = places(results)
    return compared(results, where, [ideal] * len(where))


def test_distances_from_the_first_and_shares() -> None:
    tasks, distances, shares = compare_text([VIEW, OTHER], blocks(FIRST, SECOND)).split("\n\n")
    assert [line.split() for line in tasks.splitlines()[1:]] == [
        ["A", "t-1", "ideal", "mine"],
        ["B", "t-2", "fake-qmio", "abababababab"],
    ]
    rows = [line.split() for line in distances.strip().splitlines()]
    assert rows[1] == ["A", "100"]
    assert rows[2][:3] == ["B", "100", "0.7500"]
    assert float(rows[2][3]) == pytest.approx(0.0564, abs=1e-4)
    assert float(rows[2][4]) == pytest.approx(0.125, abs=1e-4)
    assert [line.split() for line in shares.strip().splitlines()[1:]] == [
        ["00", "50.0", "%", "25.0", "%"],
        ["01", "-", "75.0", "%"],
        ["11", "50.0", "%", "-"],
    ]


def test_with_the_ideal_distribution_the_distances_are_from_it() -> None:
    text = compare_text([VIEW, OTHER], blocks(FIRST, SECOND, ideal=BELL))
    assert "TVD from ideal" in text
    lines = text.splitlines()
    (a,) = [line.split() for line in lines if line.startswith("A  ") and "t-1" not in line]
    (b,) = [line.split() for line in lines if line.startswith("B  ") and "t-2" not in line]
    assert a[2:] == ["0.0000", "0.0399", "1.0000"]
    assert b[2] == "0.7500"
    (row,) = [line.split() for line in lines if line.startswith("11")]
    assert row == ["11", "50.0", "%", "-", "50.0", "%"]


def test_each_circuit_and_binding_is_compared_by_itself() -> None:
    one = item([(0, 50)], ("c", 1), bindings=2)
    other = item([(1, 50)], ("c", 1), bindings=2)
    found = blocks(result(one, one), result(one, other))
    assert [block.title for block in found] == [
        "circuit 1, binding 1",
        "circuit 1, binding 2",
        "circuit 2, binding 1",
        "circuit 2, binding 2",
    ]
    text = compare_text([VIEW, OTHER], found)
    assert text.count("0.0000") >= 2
    assert text.count("1.0000  ") >= 2


def test_only_what_all_have_is_compared_and_not_without_end() -> None:
    one = item([(0, 5)], ("c", 1))
    assert places([result(one, one), result(one)]) == [(0, 0)]
    assert places([result(one, item([(0, 5)], ("c", 2))), result(one, one)]) == [(0, 0)]
    assert len(places([result(*[one] * 20)] * 2)) == 8
    with pytest.raises(UsageError, match="different numbers of bits"):
        places([result(one), result(item([(0, 5)], ("c", 2)))])


def test_a_page_has_a_picture_for_each_and_everything_as_tables() -> None:
    evil = msgspec.structs.replace(OTHER, label=EVIL)
    bundle = compare_bundle([VIEW, evil], blocks(FIRST, SECOND, ideal=BELL))
    page = harmless(bundle["text/html"])
    assert page.tags.count("img") == 1
    (alt,) = [value for name, value in page.attributes if name == "alt" and "ideal" in value][:1]
    assert "A mine" in alt
    assert "TVD from ideal" in page.text
    assert "11 50.0 % - 50.0 %" in page.text
    assert "\x1b" not in bundle["text/plain"]


def test_more_tasks_than_there_are_colours_are_tables() -> None:
    bundle = compare_bundle([VIEW] * 7, blocks(*[FIRST] * 7))
    page = harmless(bundle["text/html"])
    assert "img" not in page.tags
    assert "G t-1" in page.text


def test_no_shots_have_no_distance() -> None:
    none = result(item([], ("c", 2)))
    text = compare_text([VIEW, OTHER], blocks(FIRST, none))
    assert "nan" not in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("B  ") and "t-2" not in line]
    assert row == ["B", "0"]


def test_many_outcomes_are_cut() -> None:
    wide = result(item([(key, 1) for key in range(40)], ("c", 6)))
    assert "... and 24 more outcomes" in compare_text([VIEW, VIEW], blocks(wide, wide))
