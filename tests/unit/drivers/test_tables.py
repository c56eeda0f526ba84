"""Tables of parameters, bindings and the bounded mapping."""

import numpy as np
import pytest
from qiskit.circuit import Parameter, ParameterVector

from qmio_jupyter.drivers.aer import binding
from qmio_jupyter.drivers.aer.bounded import Bounded
from qmio_jupyter.drivers.aer.tables import Table
from qmio_jupyter.errors import ProgramError
from qmio_jupyter.testing.runs import matrix

A, B = Parameter("a"), Parameter("b")
NAMES = ("a", "b")
EXPRESSIONS = [A + 0, 2 * B - A / 3 + 0.25, A * B, A.sin(), (A + B) ** 2, -B]


def test_values_are_the_expressions_values():
    rows = np.random.default_rng(3).uniform(-3, 3, (7, 2))
    made = Table(EXPRESSIONS, NAMES).values(rows)
    expected = [
        [float(e.bind({A: a, B: b}, allow_unknown_parameters=True)) for e in EXPRESSIONS]
        for a, b in rows.tolist()
    ]
    np.testing.assert_allclose(made, expected, rtol=1e-14, atol=1e-15)


def test_a_row_has_the_same_values_whatever_stands_beside_it():
    vector = ParameterVector("t", 40)
    names = [parameter.name for parameter in vector]
    table = Table([sum(vector[i] * (0.1 + i) for i in range(n)) + n for n in range(2, 40)], names)
    rows = np.random.default_rng(4).uniform(-3, 3, (64, 40))
    together = table.values(rows)
    for index, row in enumerate(rows):
        assert (table.values(row[None])[0] == together[index]).all()


@pytest.mark.parametrize(
    ("expression", "row"),
    [(A.log() * B, [1e-320, 1e308]), (3 * A, [1e308, 0.0]), (A.log(), [-1.0, 0.0]), (B / A, [0.0, 1.0])],
)
def test_a_value_that_is_no_number_is_refused(expression, row):
    with pytest.raises(ProgramError, match="in binding 1") as caught:
        Table([A + 1, expression], NAMES).values(np.array([[0.5, 0.5], row]))
    assert caught.value.code == "program.parameters"


def test_no_expressions_make_no_values():
    assert Table([], ()).values(np.zeros((3, 0))).shape == (3, 0)


def test_columns_are_put_in_the_programs_order():
    rows = binding.rows(("a", "b"), matrix(["b", "a"], [[1.0, 2.0], [3.0, 4.0]]))
    assert rows.tolist() == [[2.0, 1.0], [4.0, 3.0]]


def test_a_program_without_parameters_has_one_empty_row():
    assert binding.rows((), None).shape == (1, 0)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "'a', 'b' are not bound"),
        (matrix(["a"], [[1.0]]), "'b' is not bound"),
        (matrix(["a", "b", "c"], [[1.0] * 3]), "no parameter 'c'"),
        (matrix(["a", "b", "a"], [[1.0] * 3]), "'a' is bound twice"),
        (matrix(["b", "a"], [[0.0, 0.0], [0.0, float("nan")]]), "'a' is nan in binding 1"),
    ],
)
def test_what_does_not_fit_is_named(given, named):
    with pytest.raises(ProgramError, match=named) as caught:
        binding.rows(NAMES, given)
    assert caught.value.code == "program.parameters"


def test_a_bounded_mapping_forgets_what_was_used_longest_ago():
    kept = Bounded(2, 100)
    kept.keep("a", 1, 10)
    kept.keep("b", 2, 10)
    assert kept.get("a") == 1
    kept.keep("c", 3, 10)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
    assert (len(kept), kept.weight) == (2, 20)


def test_a_bounded_mapping_keeps_to_its_weight():
    kept = Bounded(100, 100)
    for key in range(10):
        kept.keep(key, key, 25)
    assert (len(kept), kept.weight) == (4, 100)
    kept.keep("heavy", 0, 26)
    assert kept.get("heavy") is None
    assert (len(kept), kept.weight) == (4, 100)
    kept.keep(9, 9, 1)
    assert kept.weight == 76
