"""What ``--bind`` values mean, as a parameter matrix."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from qmio_jupyter.errors import ProgramError, QmioError, UsageError
from qmio_jupyter.model.task import ParameterMatrix
from qmio_jupyter.notebook.binding import by_name, check_used, evaluate, matrix


def table(found: ParameterMatrix | None) -> dict[str, list[float]]:
    """Return the matrix by columns."""
    assert found is not None
    width = len(found.names)
    flat = struct.unpack(f"<{width * found.bindings}d", found.data)
    return {name: list(flat[i::width]) for i, name in enumerate(found.names)}


@pytest.mark.parametrize(
    ("values", "parameters", "columns"),
    [
        ({"x": 1}, ["x"], {"x": [1.0]}),
        ({"x": np.float32(0.5)}, ["x"], {"x": [0.5]}),
        ({"x": [1, 2.5]}, ["x"], {"x": [1.0, 2.5]}),
        ({"x": (1, 2)}, ["x"], {"x": [1.0, 2.0]}),
        ({"x": range(3)}, ["x"], {"x": [0.0, 1.0, 2.0]}),
        ({"x": np.linspace(0, 1, 3)}, ["x"], {"x": [0.0, 0.5, 1.0]}),
        ({"x": (i for i in (1, 2))}, ["x"], {"x": [1.0, 2.0]}),
        ({"x": [1, 2], "y": 3}, ["y", "x"], {"y": [3.0, 3.0], "x": [1.0, 2.0]}),
        ({"x": [1, 2], "y": [3, 4]}, ["x", "y"], {"x": [1.0, 2.0], "y": [3.0, 4.0]}),
        ({"x": 1, "z": 2}, ["x"], {"x": [1.0]}),
        ({"x": 1, "y": [2, 3]}, None, {"x": [1.0, 1.0], "y": [2.0, 3.0]}),
        ({"t": [1, 2]}, ["t[0]", "t[1]"], {"t[0]": [1.0], "t[1]": [2.0]}),
        ({"t": range(11)}, [f"t[{i}]" for i in range(11)], {f"t[{i}]": [float(i)] for i in range(11)}),
        (
            {"t": [[1, 2], [3, 4], [5, 6]]},
            ["t[0]", "t[1]"],
            {"t[0]": [1.0, 3.0, 5.0], "t[1]": [2.0, 4.0, 6.0]},
        ),
        ({"t": np.zeros((1, 2))}, ["t[0]", "t[1]"], {"t[0]": [0.0], "t[1]": [0.0]}),
        ({"t[0]": 1, "t[1]": [2, 3]}, ["t[0]", "t[1]"], {"t[0]": [1.0, 1.0], "t[1]": [2.0, 3.0]}),
    ],
)
def test_values(
    values: dict[str, Any], parameters: list[str] | None, columns: dict[str, list[float]]
) -> None:
    assert table(matrix(values, parameters)) == columns


def test_no_parameters_is_no_matrix() -> None:
    assert matrix({}, None) is None
    assert matrix({}, []) is None
    assert matrix({"x": 1}, []) is None


@pytest.mark.parametrize(
    ("values", "parameters", "says"),
    [
        ({}, ["x"], "parameter x has no value"),
        ({"x": 1}, ["x", "y"], "Add --bind y=VALUE"),
        ({}, ["ph", "θ"], "parameters ph, θ have no value. Add --bind ph=VALUE --bind θ=VALUE."),
        ({}, ["t[0]", "t[1]"], "Add --bind t=VALUES."),
        ({"x": "1"}, ["x"], "not str"),
        ({"x": None}, ["x"], "not NoneType"),
        ({"x": {"a": 1}}, ["x"], "not dict"),
        ({"x": 1j}, ["x"], "a real number"),
        ({"x": float("nan")}, ["x"], "a finite number"),
        ({"x": [1, float("inf")]}, ["x"], "a finite number"),
        ({"x": 10**400}, ["x"], "a number"),
        ({"x": []}, ["x"], "the sequence is empty"),
        ({"x": [[1, 2]]}, ["x"], "a flat sequence"),
        ({"x": [1, 2], "y": [1, 2, 3]}, ["x", "y"], "--bind x gives 2 bindings and --bind y gives 3"),
        ({"x": [0.0] * 100_001}, ["x"], "at most 100000"),
        ({"t": [1, 2, 3]}, ["t[0]", "t[1]"], "the vector t takes 2 numbers"),
        ({"t": 1}, ["t[0]", "t[1]"], "the vector t takes 2 numbers"),
        ({"t": [[1, 2], [3]]}, ["t[0]", "t[1]"], "the vector t takes 2 numbers"),
        ({"t": [[[1, 2]]]}, ["t[0]", "t[1]"], "the vector t takes 2 numbers"),
    ],
)
def test_what_is_refused(values: dict[str, Any], parameters: list[str], says: str) -> None:
    with pytest.raises(QmioError) as caught:
        matrix(values, parameters)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_nobody_uses_is_refused_with_the_nearest_name() -> None:
    check_used({"x": 1, "t": 2}, [["x"], ["t[0]", "t[1]"]])
    with pytest.raises(ProgramError, match=r"no parameter 'thta'. Did you mean theta\?"):
        check_used({"thta": 1}, [["theta"]])
    with pytest.raises(ProgramError, match=r"Its parameters: none\."):
        check_used({"x": 1}, [[]])


def test_expressions_see_the_namespace_and_do_not_write_to_it() -> None:
    namespace: dict[str, Any] = {"n": 3}
    assert evaluate([("x", "n + 1"), ("y", "[n * i for i in range(n)]")], namespace) == {
        "x": 4,
        "y": [0, 3, 6],
    }
    evaluate([("x", "(m := 1)")], namespace)
    assert namespace == {"n": 3}


def test_a_failing_expression_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"--bind x=1/0: ZeroDivisionError: division by zero. The expr"):
        evaluate([("x", "1/0")], {})
    with pytest.raises(UsageError, match=r"NameError: .*Define what it uses in a cell above"):
        evaluate([("x", "y")], {})


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([1, 2], {"a": 1.0, "b": 2.0}),
        (np.array([1, 2]), {"a": 1.0, "b": 2.0}),
        ([[1, 2]], {"a": [1.0], "b": [2.0]}),
        (np.arange(6).reshape(3, 2), {"a": [0.0, 2.0, 4.0], "b": [1.0, 3.0, 5.0]}),
    ],
)
def test_an_array_follows_the_circuits_order(rows: Any, columns: dict[str, Any]) -> None:
    assert by_name(rows, [["a", "b"]]) == columns
    assert by_name(rows, [["a", "b"], ["a", "b"]]) == columns


@pytest.mark.parametrize(
    ("rows", "programs", "message"),
    [
        ([1, 2, 3], [["a", "b"]], r"shape \(2,\) or \(bindings, 2\)"),
        ([[1, 2], [3]], [["a", "b"]], "shape"),
        ([[[1, 2]]], [["a", "b"]], "shape"),
        ([1, [2]], [["a", "b"]], "shape"),
        (5, [["a"]], "shape"),
        ([1], [[]], "shape"),
        ([1, 2], [None], "by name"),
        ([1, 2], [["a", "b"], ["b", "a"]], "by name"),
        ([1, float("nan")], [["a", "b"]], "not nan"),
        ("12", [["a", "b"]], "not str"),
    ],
)
def test_other_arrays_are_refused(rows: Any, programs: list[Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        by_name(rows, programs)
