# ruff: noqa: E501 - one program is one line
"""What OpenQASM 3 programs may be made of: each construct by what it must measure, or by how it is refused."""

import numpy as np
import pytest

from qmio_jupyter.model.result import outcomes
from qmio_jupyter.testing.runs import matrix, qasm3

#: A program and the only outcome it can have; all are run as one task.
OUTCOMES = {
    "qubit[2] q; bit[2] c; def flip(qubit a) { x a; } flip(q[1]); c = measure q;": "10",
    "qubit[3] q; bit[3] c; def low(int n, qubit[3] a) { for int i in [0:n - 1] { x a[i]; } } low(2, q); c = measure q;": "011",
    "qubit[2] q; bit[2] c; def inner(qubit a) { x a; } def outer(qubit[2] a) { inner(a[0]); } outer(q); c = measure q;": "01",
    "qubit[2] q; bit r; def m(qubit a) -> bit { x a; return measure a; } r = m(q[1]);": "1",
    "qubit[2] q; bit[2] r; def m(qubit[2] a) -> bit[2] { bit[2] b; x a[1]; b = measure a; return b; } r = m(q);": "10",
    "qubit[2] q; def m(qubit[2] a) -> bit[2] { x a[1]; return measure a; } bit[2] r = m(q);": "10",
    "qubit q; bit r; def m(qubit a) -> bit { bit b; b = measure a; return !b; } r = m(q);": "0 1",
    "qubit q; bit c; bit d; def if_set(bit b, qubit a) { if (b) { x a; } } x q; c = measure q; if_set(c, q); d = measure q;": "0 1",
    "qubit q; bit c; def half(int n) -> int { return n / 2; } int k = half(7); for int i in [1:k] { x q; } c = measure q;": "1",
    "const int k = 3; qubit q; bit c; def f(qubit a) { for int i in [1:k] { x a; } } f(q); c = measure q;": "1",
    "bit b; qubit q; def f(qubit q) -> bit { bit b; x q; b = measure q; return b; } b = f(q); b = f(q); b = f(q);": "1",
    "qubit[3] q; bit[3] c; let ends = q[{0, 2}]; x ends; c = measure q;": "101",
    "qubit[2] q; bit[2] c; let turned = q[1:1] ++ q[0:0]; x turned[0]; c = measure q;": "10",
    "qubit[3] q; bit[3] c; let high = c[1:2]; x q[1]; x q[2]; high = measure q[1:2]; if (high == 3) { x q[0]; } c[0] = measure q[0];": "111",
    "qubit[4] q; bit[4] c; let odd = q[1:2:3]; let last = odd[-1]; x last; c = measure q;": "1000",
    "qubit q; bit c = 1; bit[3] d = \"101\"; bit e = c & d[0]; d[1] = c; c = 0; e ^= d[1]; if (e) { x q; } bit f = measure q;": "0 0 111 0",
    "qubit q; bit[2] f = \"11\"; while (f != 0) { f[0] = measure q; f[1] = f[0]; }": "00",
    "qubit q; bit[2] c = \"10\"; bit d; while (c[0] || c[1]) { x q; c[1] = 0; } d = measure q;": "1 00",
    "qubit[2] q; bit[2] c; bit d; x q; c = measure q; if (c[0] & c[1]) { x q[0]; } d = measure q[0];": "0 11",
    "qubit q; bit[2] c; bit[2] e; bit d; if (c == e) { x q; } d = measure q;": "1 00 00",
    "qubit[2] q; bit[2] c; for int i in [0:1] { bit[1] t; x q[i]; t[0] = measure q[i]; c[i] = t[0]; }": "1 11",
    "qubit q; bit c; x q; c = measure q; if (c) { int m = 1; m += 1; for int i in [1:m + 1] { x q; } } bit d = measure q;": "0 1",
    "qubit q; bit c; bit d; x q; c = measure q; if (c) { d = 1; } else { d = 0; }": "1 1",
    "qubit q; bit c; bit[2] d = \"01\"; x q; c = measure q; if (c) { if (d[0]) { d[1] = c; } d[0] = !c; }": "10 1",
    "qubit q; bit c; bit d; x q; c = measure q; if (c) { x q; d = measure q; if (!d) { d = c; } }": "1 1",
    "qubit[2] q; bit[2] c; box { x q[0]; } c = measure q;": "01",
    "const duration d = 1us; qubit q; bit c; int k = 0; for int i in [0:2] { if (i * d / 2 > 600ns) { x q; } } c = measure q;": "1",
    "qubit q; bit c; x q; let a = q; gate g a { x a; } g q; c = measure q;": "0",
}  # fmt: skip

#: What is refused, with what its message and hint must say; every program's only line is line 3 of its text.
REFUSED = {
    "qubit q; bit c; def f(qubit a) { x q; } f(q);": ("syntax", "line 3, column 34: subroutine 'f' cannot see 'q'", "Pass 'q'"),
    "qubit q; bit c; int k = 2; def f(qubit a) { rx(k) a; } f(q);": ("syntax", "subroutine 'f' cannot see 'k'", "Pass 'k'"),
    "qubit[2] q; def f(qubit a, qubit b) { cx a, b; } f(q[0], q[0]);": ("syntax", "the same qubit twice", "Correct"),
    "qubit[2] q; def f(qubit[3] a) { x a; } f(q);": ("syntax", "column 40: f takes 3 qubits as 'a', not 2", "Correct"),
    "qubit[2] q; def f(qubit a) { x a; } f(q);": ("syntax", "one of the qubits as 'a', not a register", "Correct"),
    "qubit[2] q; def f(qubit a) { x a; } f(q[2]);": ("syntax", "q[2] does not exist", "Correct"),
    "qubit[2] q; def f(qubit a) { x a; } f();": ("syntax", "f takes 1 argument, not 0", "Correct"),
    "qubit[2] q; def f(qubit a) { x a; } f q[0];": ("syntax", "'f' is a subroutine, not a gate", "Call it: f(q[0]);"),
    "qubit q; def f(qubit a) -> bit { return measure a; } f(q);": ("unsupported", "is not assigned", "Assign"),
    "qubit q; def f(qubit a) -> bit { return measure a; } if (f(q)) { x q; }": ("unsupported", "part of an expression", "first"),
    "qubit q; bit c; def f(qubit a) { x a; } c = f(q);": ("syntax", "f returns nothing", "alone"),
    "qubit q; bit c; def f(qubit a) -> bit { if (true) { return measure a; } bit b; return b; } c = f(q);": ("unsupported", "column 53: return", "at the end"),
    "qubit q; bit c; def f(bit b) { b = 1; } f(c);": ("unsupported", "an argument of a subroutine cannot be assigned to", "bits"),
    "qubit q; bit c; def f(int n, qubit a) { x a; } f(c, q);": ("unsupported", "the value of 'n' is not known", "number"),
    "extern vote(bit[3]) -> bit; qubit q;": ("unsupported", "column 1: extern 'vote'", "(def)"),
    "array[int[8], 4] a; qubit q;": ("unsupported", "column 1: an array", "Python"),
    "stretch s; qubit q;": ("unsupported", "column 1: a stretch", "delay[100ns]"),
    "duration d = 3; qubit q;": ("syntax", "column 1: a time and a number", "100ns"),
    "int n = 3ns; qubit q;": ("syntax", "column 1: a time and a number", "100ns"),
    "qubit q; delay[10dt + 5ns] q;": ("syntax", "dt and seconds do not go together", "Correct"),
    "duration d = 10ns - 20ns; qubit q; delay[d] q;": ("unsupported", "must be positive", "rewrite"),
    "duration d; qubit q; delay[d] q;": ("syntax", "column 22: 'd' has no value yet", "declared"),
    "complex z; qubit q;": ("unsupported", "column 1: a complex number", "real"),
    'defcalgrammar "openpulse"; qubit q;': ("unsupported", "defcalgrammar", "Leave out calibrations"),
    "end;": ("unsupported", "column 1: end", "Leave it out"),
    "qubit q; measure q;": ("unsupported", "column 10: what is measured is not assigned", "Remove"),
    "qubit q; bool b = measure q;": ("unsupported", "'b' would depend on a measurement", "Use bits"),
    "qubit q; angle[4] a; a[0] = measure q;": ("unsupported", "'a' is a number", "Measure into bits"),
    "int k; k += 1; qubit q;": ("syntax", "column 8: 'k' has no value yet", "declared"),
    "qubit q; int n = 1; bit c; c = measure q; if (c) { n = 2; }": ("unsupported", "'n' would depend", "bits"),
    "qubit q; rx(1 / 2) q;": ("syntax", "column 13: 1 / 2 is a division of whole numbers", "1.0 / 2"),
    "qubit q; const float a = 3 / 5; rx(a) q;": ("syntax", "3 / 5 is a division", "3.0 / 5"),
    "qubit q; rx(arccos(3 / 5)) q;": ("syntax", "3 / 5 is a division", "3.0 / 5"),
    "bit[2] c; c = \"111\"; qubit q;": ("syntax", "3 bits and 2 bits", "as many"),
    "bit[2] c; c = 4; qubit q;": ("syntax", "4 does not fit into 2 bits", "smaller"),
    "bit[2] c; qubit[2] q; q = c;": ("syntax", "qubits cannot be assigned to", "bits"),
    "bit[2] c; c += 1; qubit q;": ("unsupported", "column 11: this expression of bits", "& | ^"),
    "qubit[2] q; let a = q; for int i in [0:1] { let a = q[i]; x a; }": ("unsupported", "column 45: this 'a'", "another name"),
    "qubit q; bit c; for int i in [q:3 - 1] { x q; }": ("unsupported", "'q:3 - 1' cannot be run here (its parts", "rewrite"),
    "qubit q; rxx(1.0) q;": ("syntax", "gate 'rxx' is not defined", "Did you mean"),
    "qubit[3] data; x date[0];": ("syntax", "'date'", "Did you mean data?"),
    "qubit[3] data; x anc[0];": ("syntax", "'anc'", "declared are data[3]"),
}  # fmt: skip


def test_constructs_measure_what_they_must(ideal):
    result = ideal.result(*map(qasm3, OUTCOMES), shots=20)
    found = {text: outcomes(item) for text, item in zip(OUTCOMES, result.items, strict=True)}
    assert found == {text: [(outcome, 20)] for text, outcome in OUTCOMES.items()}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_supported_is_named_with_what_to_do(ideal, text):
    code, what, hint = REFUSED[text]
    error = ideal.error(qasm3(text))
    assert error.code == f"program.{code}"
    assert "line 3, column " in error.message
    assert what in error.message
    assert hint in error.hint


def test_numbers_may_depend_on_inputs(ideal):
    text = (
        "input float a; float half = a / 2; float all = 2 * half; qubit q; bit c; rx(all) q; c = measure q;"
    )
    item = ideal.item(qasm3(text), shots=10, parameters=matrix(["a"], [[np.pi], [0.0]]))
    assert [binding.keys for binding in item.bindings] == [b"\x01", b"\x00"]


def test_a_subroutine_repeated_until_it_succeeds(ideal):
    # Two qubits are prepared again and again until both are found in 1: success is sure, and so is what follows.
    text = (
        "def attempt(qubit[2] a) -> bit[2] { reset a; h a; return measure a; }"
        "qubit[2] q; bit[2] flags; bit[2] out;"
        "while (flags != 3) { flags = attempt(q); } out = measure q;"
    )
    assert ideal.counts(qasm3(text), shots=50) == {"11 11": 50}


def test_idle_qubits_beside_bits_that_are_computed_cost_nothing(ideal):
    text = "qubit[40] q; bit c = 1; bit d; if (c) { h q[39]; h q[39]; x q[39]; } d = measure q[39]; c = !d;"
    assert ideal.counts(qasm3(text), shots=20) == {"1 0": 20}
