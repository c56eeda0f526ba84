"""Options, seeds, the text guard, constants, conditions and causes of death: pure, without Qiskit."""

import signal

import openqasm3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openqasm3 import ast

from qmio_jupyter.drivers import registry
from qmio_jupyter.drivers.aer import guard, scope
from qmio_jupyter.drivers.aer.constants import NotConstantError, evaluate
from qmio_jupyter.drivers.aer.lowering import lower
from qmio_jupyter.drivers.options import Options
from qmio_jupyter.drivers.seeds import batch_seed, batches
from qmio_jupyter.drivers.workers import deaths
from qmio_jupyter.errors import ConfigError, DeviceError, ProgramError


def test_batches_cover_the_shots():
    assert batches(10, 4) == [4, 4, 2]
    assert batches(8, 4) == [4, 4]
    assert batches(3, 4) == [3]


def test_batch_seeds_differ_in_every_number():
    seeds = {
        batch_seed(*numbers)
        for numbers in [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_drivers_are_found_by_name():
    assert {"echo", "ideal"} <= set(registry.known())
    with pytest.raises(ConfigError, match="no-such"):
        registry.make("no-such", "device", {})


def test_options_are_read_or_named():
    options = Options({"a": "1.5", "b": "7", "c": "yes", "d": "left"}, ("a", "b", "c", "d"), "dev")
    assert options.number("a", 0.0) == 1.5
    assert options.integer("b", 0) == 7
    assert options.flag("c")
    assert options.text("d", among=("left", "right")) == "left"
    assert options.number("missing", 2.0) == 2.0
    with pytest.raises(ConfigError, match="from 10"):
        options.integer("b", 0, at_least=10)
    with pytest.raises(ConfigError, match="up or down"):
        options.text("d", among=("up", "down"))
    with pytest.raises(DeviceError, match="'zzz'"):
        Options({"zzz": "1"}, (), "dev", is_user=True)


def test_comments_are_blanked_and_places_kept():
    text = 'a /* b\nc */ "// no comment" // d\ne'
    blank = guard.blank_comments(text)
    assert len(blank) == len(text)
    assert blank.splitlines()[1].strip() == '"// no comment"'
    assert guard.place(blank, blank.rindex("e")) == "line 3, column 1"


@given(st.text())
def test_blanking_keeps_every_line_break(text):
    blank = guard.blank_comments(text)
    assert len(blank) == len(text)
    assert [i for i, c in enumerate(blank) if c == "\n"] == [i for i, c in enumerate(text) if c == "\n"]


@pytest.mark.parametrize(
    "text",
    [
        'include "stdgates.inc";',
        "include 'stdgates.inc';",
        '// include "/etc/passwd";\ninclude "stdgates.inc";',
        "qubit[256] q;",
        "qubit[1_0] includes;",
        "#pragma qubit[500] /* include 'x'\nqubit q;",
        "pragma include 'x'\nqubit q;",
        "@note include 'x'\nqubit q;",
    ],
)
def test_the_guard_lets_good_text_through(text):
    guard.check_text(text, 3, 256)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('include "other.inc";', "program.unsupported"),
        ('include/**/"../x";', "program.unsupported"),
        ("include stdgates;", "program.unsupported"),
        ("qubit[257] q;", "program.too_wide"),
        ("qubit [ 2_5_7 ] q;", "program.too_wide"),
        ("qreg q[257];", "program.too_wide"),
        ("qubit[200] a; qreg b[57];", "program.too_wide"),
        (f"bit[{guard.MAX_CLBITS + 1}] c;", "program.too_large"),
        (f"creg c[{10**30}];", "program.too_large"),
    ],
)
def test_the_guard_refuses(text, code):
    with pytest.raises(ProgramError, match="line 1, column 1") as caught:
        guard.check_text(text, 3, 256)
    assert caught.value.code == code


@pytest.mark.parametrize("line", ["#pragma x", "pragma x", "@x", "@x.y", "#pragma", "  @ x"])
@pytest.mark.parametrize("opening", ["/*", '"', "/* */ /*", "//"])
def test_a_line_of_its_own_hides_no_include_behind_it(line, opening):
    text = f'{line} {opening}\ninclude "/etc/passwd";\n{line} */ "'
    with pytest.raises(ProgramError, match="line 2, column 1"):
        guard.check_text(text, 3, 256)
    assert not guard.is_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        "qubit q;",
        'OPENQASM 3.0;\ninclude "stdgates.inc";\r\nqubit q; // don\'t "look" @ this, #pragma\n/* include */ h q;',
        'include\n"stdgates.inc" ;',
    ],
)
def test_plain_texts(text):
    assert guard.is_plain(text)


@pytest.mark.parametrize(
    "text",
    [
        '"\\" x" include "/etc/passwd"; "";',
        '"abc\n" include "/etc/passwd"; "";',
        "' include \"/etc/passwd\"; '",
        "include 'stdgates.inc';",
        '// \r /*\n include "/etc/passwd"; //*/',
        "1e5pragma /*\n qubit q; //*/",
        '/* /* */ // */ include "/etc/passwd";',
        'include "stdgates.inc", "x";',
        'bit[2] c = "01";',
    ],
)
def test_texts_that_readers_may_take_apart_in_two_ways_are_not_plain(text):
    assert not guard.is_plain(text)


def expression(text):
    (statement,) = openqasm3.parse(f"{text};").statements
    return statement.expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7.0 / 2", 3.5),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("7 % 4", 3),
        ("1 << 4 | 1", 17),
        ("n - 1", 4),
        ("!(n > 4)", False),
        ("n == 5 && true", True),
        ("int(2.9)", 2),
        ("bool(n[2])", True),
        ("bool(n[1])", False),
        ("sqrt(16.0)", 4.0),
        ("popcount(7)", 3),
    ],
)
def test_constants(text, value):
    found = evaluate(expression(text), {"n": 5})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["c", "c + 1", "f(2)", "n + c"])
def test_what_is_not_known_is_no_constant(text):
    with pytest.raises(NotConstantError):
        evaluate(expression(text), {"n": 5})


@pytest.mark.parametrize(
    "text", ["1 / 0", "1 % 0", "9 ** 9 ** 9 ** 9", "1 << 100000", "2 ** 300", "sqrt(-1.0)"]
)
def test_what_has_no_value_is_an_error_with_its_place(text):
    with pytest.raises(ProgramError, match="line 1, column"):
        evaluate(expression(text), {})


def lowered(text):
    return openqasm3.dumps(lower(openqasm3.parse(text), 100)).split()


def same(text, expected):
    assert lowered(text) == openqasm3.dumps(openqasm3.parse(expected)).split()


def test_loops_are_unrolled_with_their_variable_worked_out():
    same(
        "qubit[4] q; for int i in [0:2:3] { x q[i]; cx q[i], q[3 - i]; }",
        "qubit[4] q; x q[0]; cx q[0], q[3]; x q[2]; cx q[2], q[1];",
    )


def test_break_and_continue_of_known_loops():
    same(
        "qubit[9] q; for int i in [0:8] { if (i == 1) { continue; } if (i == 3) { break; } x q[i]; }",
        "qubit[9] q; x q[0]; x q[2];",
    )


def test_a_variable_of_a_loop_is_gone_after_it():
    with pytest.raises(ProgramError, match="whole number"):
        lowered("for int i in [1:2] { } qubit[i] q;")


def test_variables_keep_their_value_over_loops():
    same(
        "qubit[8] q; int k = 1; for int i in [0:2] { k *= 2; } x q[k - 1];",
        "qubit[8] q; x q[7];",
    )


def test_a_loop_that_a_measurement_breaks_stays():
    text = "qubit q; bit c; for int i in [0:3] { if (c) { break; } x q; }"
    same(text, text)


@pytest.mark.parametrize("word", ["break", "continue"])
def test_a_loop_that_a_measurement_ends_and_that_uses_its_index_is_named(word):
    text = f"qubit[3] q; bit[3] c;\nfor int i in [0:2] {{ c[i] = measure q[i];\n  if (c[i]) {{ {word}; }} }}"
    with pytest.raises(
        ProgramError, match=f"line 3, column 15: a {word} that depends on a measurement"
    ) as caught:
        lowered(text)
    assert caught.value.code == "program.unsupported"


@pytest.mark.parametrize(
    "text",
    ["c = measure q[0];", "c[0:1] = measure q[0];", "c[0] = measure q[0:1];", "bit[3] d = measure q;"],
)
def test_a_measurement_of_another_size_is_named(text):
    with pytest.raises(ProgramError, match="line 2, column 1: what is measured") as caught:
        lowered(f"qubit[2] q; bit[2] c;\n{text}")
    assert caught.value.code == "program.syntax"


@pytest.mark.parametrize(
    "text", ["c = measure q;", "c[0:1] = measure q;", "c[0] = measure q[1];", "c[-2:-1] = measure q[0:1];"]
)
def test_a_measurement_of_the_same_size_stays(text):
    same(f"qubit[2] q; bit[2] c; {text}", f"qubit[2] q; bit[2] c; {text}")


def test_a_variable_changed_under_a_condition_is_refused():
    with pytest.raises(ProgramError, match="line 2, column 8: 'k' would depend on a measurement") as caught:
        lowered("qubit q; bit c; int k = 0; c = measure q;\nif (c) k += 1;")
    assert caught.value.code == "program.unsupported"


def test_a_switch_becomes_branches():
    same(
        "bit[2] c; qubit q; switch (c) { case 1, 2 { x q; } default { y q; } }",
        "bit[2] c; qubit q; if (c == 1) { x q; } else { if (c == 2) { x q; } else { y q; } }",
    )


def test_a_known_switch_is_decided():
    same("const int n = 2; qubit q; switch (n) { case 1 { x q; } case 2 { y q; } }", "qubit q; y q;")


def test_an_output_is_a_declaration():
    same("output bit[2] c;", "bit[2] c;")


@pytest.mark.parametrize(
    "text", ["while (true) { }", "for int i in [0:99999999] { }", "int k = 1; while (k > 0) { k += 1; }"]
)
def test_what_never_ends_is_refused(text, monkeypatch):
    monkeypatch.setattr(scope, "MAX_STATEMENTS", 1000)
    with pytest.raises(ProgramError, match="more than 1000 statements") as caught:
        lowered(text)
    assert caught.value.code == "program.too_large"


def test_lowering_leaves_its_input_alone():
    program = openqasm3.parse("const int n = 2; qubit[n] q; for int i in [0:1] { x q[i]; }")
    before = openqasm3.dumps(program)
    lower(program, 10)
    assert openqasm3.dumps(program) == before
    assert isinstance(program.statements[0], ast.ConstantDeclaration)


@pytest.mark.parametrize(
    ("status", "output", "code", "is_retryable"),
    [
        (signal.SIGXCPU, "", "agent.timeout", False),
        (signal.SIGABRT, "memory allocation of 3 bytes failed", "agent.memory", False),
        (
            signal.SIGABRT,
            "terminate called after throwing an instance of 'std::bad_alloc'",
            "agent.memory",
            False,
        ),
        (signal.SIGABRT, "assertion failed", "agent.worker", False),
        (signal.SIGSEGV, "", "agent.worker", False),
        (signal.SIGKILL, "", "agent.worker", True),
        (3 << 8, "Traceback\nValueError: x", "agent.worker", False),
        (None, "", "agent.worker", True),
    ],
)
def test_causes_of_death(status, output, code, is_retryable):
    error = deaths.cause(status, output, cpu_s=1.0, memory_bytes=2**30)
    assert (error.code, error.retryable) == (code, is_retryable)
    assert "\n" not in error.one_line()
