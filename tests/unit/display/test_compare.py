"""Results side by side."""

from __future__ import annotations

from qmio_jupyter.display.compare import compare_text
from tests.unit.display.making import VIEW, item, result


def test_compare_gives_shares_and_distances() -> None:
    first = result(item([(0, 50), (3, 50)], ("c", 2)))
    second = result(item([(0, 25), (1, 75)], ("c", 2)))
    text = compare_text([VIEW, VIEW], [first, second])
    legend, shares = text.split("\n\n")
    assert legend.splitlines()[1].endswith("0.0000")
    assert legend.splitlines()[2].endswith("0.7500")
    assert [line.split() for line in shares.splitlines()[1:]] == [
        ["00", "50.0", "%", "25.0", "%"],
        ["01", "-", "75.0", "%"],
        ["11", "50.0", "%", "-"],
    ]


def test_compare_of_several_items_names_them() -> None:
    one = item([(0, 50)], ("c", 1))
    text = compare_text([VIEW, VIEW], [result(one, one), result(one, one)])
    assert "0/0" in text
    assert "1/0" in text
