"""Results as text."""

from __future__ import annotations

import msgspec

from qmio_jupyter.display.about import About
from qmio_jupyter.display.result_text import counts_text, result_text
from qmio_jupyter.model.parity import parse
from qmio_jupyter.model.result import outcomes
from qmio_jupyter.model.task import Stamp, TaskState
from tests.unit.display.making import VIEW, item, matrix, result, swept


def test_counts_are_ordered_by_outcome_and_all_shots_are_told() -> None:
    lines = counts_text(item([(3, 25), (0, 75)], ("c", 2))).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["outcome", "count"],
        ["00", "75", "75.0"],
        ["11", "25", "25.0"],
    ]
    assert lines[1].count("█") == 30
    assert lines[2].count("█") == 10


def test_registers_stand_apart_in_qiskits_order() -> None:
    text = counts_text(item([(0b101, 4)], ("a", 2), ("b", 1)))
    assert text.splitlines()[1].startswith("1 01")


def test_many_outcomes_are_cut_to_the_most_frequent_and_the_rest_is_summed() -> None:
    pairs = [(key, 1 + key) for key in range(40)]
    found = item(pairs, ("c", 6))
    lines = counts_text(found).splitlines()
    assert lines[-1] == "... and 24 more outcomes with 300 shots"
    shown = [line.split()[0] for line in lines[1:-1]]
    assert shown == [bits for bits, _ in outcomes(found)][-16:]


def test_more_than_64_bits() -> None:
    text = counts_text(item([(1 << 99, 5), (0, 5)], ("c", 100)))
    assert "1" + "0" * 99 in text


def test_no_bits_and_no_shots() -> None:
    assert "measures nothing" in counts_text(item([(0, 9)]))
    assert counts_text(item([], ("c", 1))) == "no shots yet"


def test_a_result_has_a_head_and_a_table_for_each_circuit() -> None:
    one = item([(0, 1)], ("c", 1))
    three = item([(0, 1)], ("c", 1), bindings=3, notes=(("warning", "look\nout"), ("method", "mps")))
    text = result_text(VIEW, result(one, three, durations=(("on_device", 0.25),)))
    blocks = text.split("\n\n")
    assert blocks[0] == "t-1, mine, on ideal, completed, 100 shots, seed 7, 0.2 s"
    assert [b.splitlines()[0] for b in blocks[1:]] == ["circuit 1 of 2:", "circuit 2 of 2, 3 bindings:"]
    assert blocks[2].splitlines()[1] == "warning: look\N{REPLACEMENT CHARACTER}out"
    assert "mps" not in text


def test_circuits_are_named_where_they_have_names() -> None:
    one = item([(0, 1)], ("c", 1))
    text = result_text(VIEW, result(one, one), About(names=("bell", "gh\x1bz")))
    assert "circuit 1 of 2 (bell):" in text
    assert "circuit 2 of 2 (gh\N{REPLACEMENT CHARACTER}z):" in text


def test_bindings_are_rows_with_the_parameters_that_vary() -> None:
    found = swept([[(0, 100)], [(0, 25), (1, 75)], [(1, 100)]], ("c", 1))
    about = About(
        parameters=(matrix(("a", "same"), [(0.0, 9.0), (1.25, 9.0), (3.14159265, 9.0)]),),
        expect=(parse("Z"),),
    )
    lines = result_text(VIEW, result(found), about).splitlines()[2:]
    assert lines == [
        "3 bindings:",
        "binding        a        0        1               <Z>",
        "      1        0  100.0 %    0.0 %   1.0000 ± 0.0000",
        "      2     1.25   25.0 %   75.0 %  -0.5000 ± 0.0866",
        "      3  3.14159    0.0 %  100.0 %  -1.0000 ± 0.0000",
    ]


def test_many_bindings_and_many_outcomes_are_cut() -> None:
    wide = item([(key, 1) for key in range(16)], ("c", 4), bindings=100)
    lines = result_text(VIEW, result(wide)).splitlines()[2:]
    assert lines[1].split() == ["binding", "0000", "0001", "0010", "0011", "0100", "0101", "others"]
    assert lines[2].split()[-2:] == ["62.5", "%"]
    assert lines[-1] == "... and 68 more: see .counts(0, binding) of the handle."
    assert lines[-2].split()[0] == "32"


def test_many_circuits_are_cut() -> None:
    text = result_text(VIEW, result(*[item([(0, 1)], ("c", 1))] * 10))
    assert "circuit 8 of 10" in text
    assert "circuit 9 of 10" not in text
    assert "... and 2 more" in text


def test_the_snapshot_and_the_age_of_its_calibration_at_the_claim() -> None:
    view = msgspec.structs.replace(
        VIEW, snapshot_id="ab" * 32, submitted_ms=1, timeline=(Stamp(stage="claimed", at_ms=10 * 3_600_000),)
    )
    found = result(item([(0, 1)], ("c", 1)), snapshot_id="ab" * 32)
    assert "seed 7, snapshot abababababab\n" in result_text(view, found)
    known = About(snapshot_id="ab" * 32, snapshot_ms=3_600_000)
    assert "snapshot abababababab, calibrated 9 h before\n" in result_text(view, found, known)
    other = About(snapshot_id="cd" * 32, snapshot_ms=3_600_000)
    assert "calibrated" not in result_text(view, found, other)


def test_an_expectation_stands_under_the_counts() -> None:
    text = result_text(
        VIEW, result(item([(0, 90), (3, 10)], ("c", 2))), About(expect=(parse("ZZ"), parse("Z0")))
    )
    assert text.splitlines()[-2:] == ["<ZZ> = 1.0000 ± 0.0000", "<Z0> = 0.8000 ± 0.0600"]


def test_what_an_item_cannot_have_is_left_out() -> None:
    one, two = item([(0, 9)], ("c", 1)), item([(0, 9)], ("c", 2))
    text = result_text(VIEW, result(one, two), About(expect=(parse("ZZ"),)))
    assert text.count("<ZZ>") == 1


def test_circuits_without_counts_yet_are_there() -> None:
    text = result_text(VIEW, result(item([(0, 1)], ("c", 1)), is_final=False), About(bindings=(1, 1)))
    assert text.endswith("circuit 2 of 2:\nno shots yet")


def test_partial_results_say_so() -> None:
    running = msgspec.structs.replace(VIEW, state=TaskState.RUNNING)
    text = result_text(running, result(item([(0, 40)], ("c", 1)), is_final=False, shots_done=40))
    assert "running, partial, 40 of 100 shots" in text
