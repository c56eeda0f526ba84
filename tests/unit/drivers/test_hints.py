"""What to do about unknown names: by their text alone."""

import pytest

from qmio_jupyter.drivers.aer.hints import for_unknown

THREE = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ngate flip a { x a; }\nqubit[3] data;\nbit flag;\n'


@pytest.mark.parametrize(
    ("what", "text", "version", "hint"),
    [
        ("gate 'fli' is not defined.", THREE, 3, "Did you mean flip?"),
        ("gate 'cnot' is not defined.", THREE, 3, "Define the gate first, or write it with others."),
        ("gate 'cx' is not defined.", "OPENQASM 3.0;", 3, 'Add include "stdgates.inc"; at the top: cx is in it.'),
        ("'h' is not defined in this scope", "OPENQASM 2.0;", 2, 'Add include "qelib1.inc"; at the top: h is in it.'),
        ("Undefined symbol 'dat'.", THREE, 3, "Did you mean data?"),
        ("Undefined symbol 'anc'.", THREE, 3, "Declare 'anc' first; declared are data[3], flag."),
        ("Undefined symbol 'anc'.", "// qubit[3] data;", 3, "Declare 'anc' first."),
        ("'q' is not defined in this scope", "qreg a[1]; creg b[2];", 2, "Declare 'q' first; declared are a[1], b[2]."),
        ("needed ';'", THREE, 3, None),
    ],
)  # fmt: skip
def test_a_hint_names_what_there_is(what, text, version, hint):
    assert for_unknown(what, text, version) == hint


def test_many_registers_are_not_all_listed():
    text = "".join(f"qreg r{i}x[1];" for i in range(20))
    hint = for_unknown("'q' is not defined in this scope", text, 2)
    assert hint.endswith("r5x[1], ....")
