"""What is read from a result: one register, rows, expectation values, what other libraries take."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from qmio_jupyter.client.readings import (
    COLUMNS,
    counts_of,
    dataframe_of,
    expectation_of,
    memory_of,
    records_of,
)
from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.errors import TaskError, UsageError
from qmio_jupyter.model.result import BindingCounts, ItemResult, Register, TaskResult, pack_counts
from tests.unit.display.making import item, matrix, result, swept


def three() -> TaskResult:
    """Ten shots of a (2 bits), a lone bit, and b (1 bit), whose bits do not lie in order."""
    keys, counts = pack_counts([(0b0001, 5), (0b1010, 3), (0b1001, 2)], 4)
    memory = bytes([0b0001] * 5 + [0b1010] * 3 + [0b1001] * 2)
    found = ItemResult(
        n_bits=4,
        registers=(
            Register(name="a", bits=(2, 0)),
            Register(name="", bits=(1,)),
            Register(name="b", bits=(3,)),
        ),
        bindings=(BindingCounts(shots=10, keys=keys, counts=counts, memory=memory),),
    )
    return result(found)


def test_joint_counts_and_those_of_one_register() -> None:
    assert counts_of(three()) == [("0 0 10", 5), ("1 0 10", 2), ("1 1 00", 3)]
    assert counts_of(three(), register="a") == [("00", 3), ("10", 7)]
    assert counts_of(three(), register="b") == [("0", 5), ("1", 5)]


def test_shots_of_one_register() -> None:
    assert memory_of(three(), register="a") == ["10"] * 5 + ["00"] * 3 + ["10"] * 2
    assert memory_of(three())[5] == "1 1 00"


@pytest.mark.parametrize("name", ["c", ""])
def test_a_register_that_is_not_there_is_named_with_those_that_are(name: str) -> None:
    for read in (counts_of, memory_of):
        with pytest.raises(UsageError, match=r"Registers: a, b\."):
            read(three(), register=name)
    with pytest.raises(UsageError, match="single bits only"):
        counts_of(result(item([(0, 1)], ("", 1))), register="c")


def test_expectation_values() -> None:
    assert expectation_of(three(), "b[0]").value == 0
    assert expectation_of(three(), "Z3*Z0").value == pytest.approx(-0.6)
    with pytest.raises(UsageError, match="no product of Z"):
        expectation_of(three(), "XX")
    with pytest.raises(TaskError, match="no item"):
        expectation_of(three(), "Z0", 1)


def test_rows_have_every_outcome_with_the_parameters_that_made_it() -> None:
    found = result(swept([[(0, 3), (1, 1)], [(1, 4)]], ("c", 1)), item([(1, 2)], ("d", 1)))
    about = About(parameters=(matrix(("theta", "count"), [(0.5, 1.0), (1.5, 2.0)]), None))
    rows = records_of(found, about)
    assert [(r["item"], r["binding"], r["outcome"], r["count"], r["shots"]) for r in rows] == [
        (0, 0, "0", 3, 4),
        (0, 0, "1", 1, 4),
        (0, 1, "1", 4, 4),
        (1, 0, "1", 2, 2),
    ]
    assert [r.get("theta") for r in rows] == [0.5, 0.5, 1.5, None]
    assert [r.get("count_") for r in rows] == [1.0, 1.0, 2.0, None]
    assert rows[0]["share"] == 0.75
    assert rows[0]["error"] == pytest.approx((0.75 * 0.25 / 4) ** 0.5)
    assert tuple(records_of(found, NOTHING)[0]) == COLUMNS


def test_a_dataframe_has_the_same_rows() -> None:
    frame = dataframe_of(three(), NOTHING)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.set_index("outcome")["count"].to_dict() == dict(counts_of(three()))


def test_without_pandas_the_rows_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"\.records\(\)"):
        dataframe_of(three(), NOTHING)


@pytest.mark.parametrize("registers", [(("c", 2),), (("a", 1), ("b", 1))])
def test_qiskit_plots_them(registers: Any) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from qiskit.visualization import plot_distribution, plot_histogram

    counts = dict(counts_of(result(item([(0, 40), (3, 60)], *registers))))
    figure = plot_histogram([counts, counts], legend=["one", "two"])
    assert sorted({label.get_text() for label in figure.axes[0].get_xticklabels()}) == sorted(counts)
    heights = sorted(bar.get_height() for bar in figure.axes[0].patches if bar.get_height())
    assert heights == [40, 40, 60, 60]
    assert plot_distribution(counts).axes
