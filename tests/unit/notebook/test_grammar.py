"""The grammar of ``%%qpu`` and ``%qpu``, option by option and word by word: it never changes under users."""

from __future__ import annotations

import re
from typing import Any

import pytest

from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.parity import Parity
from qmio_jupyter.model.task import StalePolicy, TaskState
from qmio_jupyter.notebook import options
from qmio_jupyter.notebook.grammar import (
    CELL,
    RunOptions,
    help_text,
    options_of,
    parse_cell,
    parse_line,
    rows,
)

#: The grammar as released, in its own words: an option or subcommand that disappears or changes fails here.
RELEASED_CELL = {
    "device": ("-d", "--device", "NAME"),
    "shots": ("-n", "--shots", "N"),
    "out": ("-o", "--out", "VAR"),
    "bind": ("--bind", "NAME=EXPR"),
    "label": ("--label", "TEXT"),
    "seed": ("--seed", "N"),
    "ideal": ("--ideal", ""),
    "opt_level": ("--opt-level", "0-3"),
    "layout": ("--layout", "auto|I,J,.."),
    "lang": ("--lang", "qasm2|qasm3|python"),
    "pace": ("--pace", "real|fast"),
    "expect": ("--expect", "PARITY"),
    "memory": ("--memory", ""),
    "timeout": ("-t", "--timeout", "S"),
    "no_wait": ("-a", "--no-wait", ""),
    "dry_run": ("--dry-run", ""),
    "snapshot": ("--snapshot", "ID"),
    "compiled_for": ("--compiled-for", "ID|current"),
    "stale": ("--stale", "warn|recompile|refuse"),
    "device_option": ("--device-option", "K=V"),
    "quiet": ("-q", "--quiet", ""),
    "help": ("--help", ""),
}
RELEASED_LINE = {
    "run": ("VAR", "*"),
    "status": ("[ID]", ""),
    "tasks": ("", "-n --state"),
    "attach": ("ID|last", "-o --out --expect"),
    "cancel": ("ID|all", ""),
    "result": ("ID", "-o --out --expect"),
    "devices": ("", ""),
    "device": ("[NAME]", "--quantity"),
    "calibration": ("[NAME]", "--quantity"),
    "compare": ("ID ID..", "--ideal"),
    "replay": ("ID", "--snapshot"),
    "verify": ("ID", ""),
    "session": ("", ""),
    "config": ("[K=V]", ""),
    "help": ("", ""),
}


def test_the_cell_grammar_is_the_released_one() -> None:
    assert {o.field: (*o.flags, o.metavar) for o in options_of(CELL)} == RELEASED_CELL


def test_the_line_grammar_is_the_released_one() -> None:
    found = {}
    for subcommand in options.SUBCOMMANDS:
        usage = help_text(subcommand.word).splitlines()[0].removeprefix(f"%qpu {subcommand.word}").strip()
        flags = " ".join(f for o in subcommand.options if o.field != "help" for f in o.flags)
        found[subcommand.word] = (usage, "*" if subcommand.options is options.RUN_OPTIONS else flags)
    assert found == RELEASED_LINE


CASES: list[tuple[str, str, Any]] = [
    ("-d ideal", "device", "ideal"),
    ("--device qmio.v2-x", "device", "qmio.v2-x"),
    ("--device=ideal", "device", "ideal"),
    ("-n 5", "shots", 5),
    ("-n5", "shots", 5),
    ("--shots 10000000", "shots", 10_000_000),
    ("-o counts", "out", "counts"),
    ("--out _r1", "out", "_r1"),
    ("--bind x=1", "bind", (("x", "1"),)),
    ("--bind x=1 --bind y=np.pi/2", "bind", (("x", "1"), ("y", "np.pi/2"))),
    ("--bind theta[0]=a==b", "bind", (("theta[0]", "a==b"),)),
    ("--bind x=[i for i in range(3)]", "bind", (("x", "[i for i in range(3)]"),)),
    ("--bind 'x = -1'", "bind", (("x", "-1"),)),
    ("--label mine", "label", "mine"),
    ("--label 'a b'", "label", "a b"),
    ("--seed 0", "seed", 0),
    (f"--seed {2**63 - 1}", "seed", 2**63 - 1),
    ("--ideal", "ideal", True),
    ("--opt-level 0", "opt_level", 0),
    ("--opt-level 3", "opt_level", 3),
    ("--layout auto", "layout", ()),
    ("--layout 4,0,12", "layout", (4, 0, 12)),
    ("--lang qasm2", "lang", "qasm2"),
    ("--lang qasm3", "lang", "qasm3"),
    ("--lang python", "lang", "python"),
    ("--pace real", "pace", "real"),
    ("--pace fast", "pace", "fast"),
    ("--expect ZZ", "expect", (Parity("ZZ"),)),
    ("--expect 'c[0] * c[1]' --expect Z0*Z1", "expect", (Parity("c[0] * c[1]"), Parity("Z0*Z1"))),
    ("--memory", "memory", True),
    ("-t 1.5", "timeout", 1.5),
    ("--timeout 60", "timeout", 60.0),
    ("-a", "no_wait", True),
    ("--no-wait", "no_wait", True),
    ("--dry-run", "dry_run", True),
    ("--snapshot 0123abcdef", "snapshot", "0123abcdef"),
    ("--snapshot current", "snapshot", "current"),
    ("--compiled-for 0123abcdef", "compiled_for", "0123abcdef"),
    ("--compiled-for current", "compiled_for", "current"),
    *((f"--stale {policy}", "stale", str(policy)) for policy in StalePolicy),
    ("--device-option a=1", "device_option", (("a", "1"),)),
    ("--device-option a=1 --device-option b=c=d", "device_option", (("a", "1"), ("b", "c=d"))),
    ("-q", "quiet", True),
    ("--quiet", "quiet", True),
]


@pytest.mark.parametrize(("line", "field", "value"), CASES)
def test_option(line: str, field: str, value: Any) -> None:
    expected = RunOptions(**{field: value})
    assert parse_cell(line).run == expected
    assert parse_line(f"run qc {line}").run == expected
    assert parse_line(f"run {line} -- qc" if field != "bind" else f"run qc {line}").values == {
        "variable": "qc"
    }


def test_every_option_has_a_case() -> None:
    assert {field for _, field, _ in CASES} == set(RELEASED_CELL) - {"help"}


def test_options_go_together_in_any_order_and_short_ones_cluster() -> None:
    assert parse_cell("-qan 7 --memory -d echo # why").run == RunOptions(
        quiet=True, no_wait=True, shots=7, memory=True, device="echo"
    )
    assert parse_cell("").run == RunOptions()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("-n 0", "1 to 10000000 is expected, not 0"),
        ("-n -5", "1 to 10000000 is expected, not -5"),
        ("-n 10000001", "1 to 10000000 is expected"),
        ("-n five", "a whole number is expected, not 'five'"),
        ("-n $n", "variables are not expanded here"),
        ("-n {n}", "variables are not expanded here"),
        ("-n", "expected one argument"),
        ("-n 5 -n 6", "-n is given twice"),
        ("-d a/b", "not a valid name"),
        ("-o 1x", "no name of a Python variable"),
        ("-o class", "no name of a Python variable"),
        ("-o x.y", "no name of a Python variable"),
        ("--bind x", "NAME=EXPR is expected"),
        ("--bind =1", "NAME=EXPR is expected"),
        ("--bind x=", "NAME=EXPR is expected"),
        ("--bind x=1+", "is no Python expression"),
        ("--bind x=1 --bind x=2", "--bind gives 'x' twice"),
        ("--label " + "a" * 201, "at most 200 characters"),
        ("--seed -1", "0 to 9223372036854775807 is expected"),
        (f"--seed {2**63}", "is expected"),
        ("--opt-level 4", "0 to 3 is expected"),
        ("--layout 1,1", "distinct qubits"),
        ("--layout=-1,2", "distinct qubits"),
        ("--layout a", "auto, or qubits like 0,1,4"),
        ("--lang qasm4", "one of qasm2, qasm3, python is expected"),
        ("--pace slow", "one of real, fast is expected"),
        ("-t 0", "seconds above 0"),
        ("-t inf", "seconds above 0"),
        ("-t nan", "seconds above 0"),
        ("-t soon", "a number of seconds"),
        ("--snapshot xyz", "hexadecimal digits"),
        ("--compiled-for today", "current"),
        ("--stale never", "one of warn, recompile, refuse is expected"),
        ("--device-option a", "K=V is expected"),
        ("--device-option a=1 --device-option a=2", "--device-option gives 'a' twice"),
        ("--memory=yes", "ignored explicit argument"),
        ("--shot 5", "unknown option --shot. Did you mean --shots?"),
        ("--shost=5", "unknown option --shost. Did you mean --shots?"),
        ("--dev ideal", "unknown option --dev. Did you mean --device?"),
        ("--backend x", "Did you mean --device?"),
        ("--bakend x", "Did you mean --device?"),
        ("-b x", "Did you mean --device?"),
        ("-h", "Did you mean --help?"),
        ("--frobnicate", "unknown option --frobnicate. See"),
        ("5", "'5' is one word too many"),
        ("tasks", "Write %qpu tasks, with one %."),
        ("run qc -n 5", "Write %qpu run, with one %."),
    ],
)
def test_what_is_refused_by_a_cell(line: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_cell(line)
    text = str(caught.value)
    assert says in text
    assert "\n" not in text
    assert caught.value.code == "usage.option"


LINES: list[tuple[str, str, dict[str, Any]]] = [
    ("run qc", "run", {"variable": "qc"}),
    ("status", "status", {"task": None}),
    ("status t-01", "status", {"task": "t-01"}),
    ("tasks", "tasks", {"limit": None, "state": None}),
    ("tasks -n 3 --state queued", "tasks", {"limit": 3, "state": "queued"}),
    *((f"tasks --state {s}", "tasks", {"limit": None, "state": str(s)}) for s in TaskState),
    ("attach last", "attach", {"task": "last", "out": None, "expect": []}),
    ("attach t-01ab -o x", "attach", {"task": "t-01ab", "out": "x", "expect": []}),
    ("cancel all", "cancel", {"task": "all"}),
    ("cancel 01ab", "cancel", {"task": "01ab"}),
    ("result t-01 --out x", "result", {"task": "t-01", "out": "x", "expect": []}),
    ("result t-01 --expect ZZ", "result", {"task": "t-01", "out": None, "expect": [Parity("ZZ")]}),
    ("devices", "devices", {}),
    ("device", "device", {"device": None, "quantity": None}),
    ("device ideal --quantity t2", "device", {"device": "ideal", "quantity": "t2"}),
    ("calibration", "calibration", {"device": None, "quantity": None}),
    ("calibration qmio", "calibration", {"device": "qmio", "quantity": None}),
    ("compare a1 b2 c3", "compare", {"tasks": ["a1", "b2", "c3"], "ideal": False}),
    ("compare a1 b2 --ideal", "compare", {"tasks": ["a1", "b2"], "ideal": True}),
    ("replay a1", "replay", {"task": "a1", "snapshot": None}),
    ("replay a1 --snapshot abcdef", "replay", {"task": "a1", "snapshot": "abcdef"}),
    ("verify a1", "verify", {"task": "a1"}),
    ("session", "session", {}),
    ("config", "config", {"settings": []}),
    ("config shots=5", "config", {"settings": [("shots", "5")]}),
    ("tasks # all of them", "tasks", {"limit": None, "state": None}),
]


@pytest.mark.parametrize(("line", "word", "values"), LINES)
def test_subcommand(line: str, word: str, values: dict[str, Any]) -> None:
    command = parse_line(line)
    assert (command.word, command.values, command.help) == (word, values, False)


def test_every_subcommand_has_a_case() -> None:
    assert {word for _, word, _ in LINES} == set(RELEASED_LINE) - {"help"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tsks", "%qpu knows no 'tsks'. Did you mean tasks?"),
        ("jobs", "Did you mean tasks?"),
        ("task", "Did you mean tasks?"),
        ("backends", "Did you mean devices?"),
        ("frobnicate", "Subcommands: run, status, tasks"),
        ("-n 5", "write %%qpu, with two %"),
        ("run", "VAR"),
        ("run a.b", "no name of a Python variable"),
        ("run qc qd", "'qd' is one word too many"),
        ("run qc --shot 5", "Did you mean --shots?"),
        ("run qc -n 0", "is expected"),
        ("status a1 b2", "one word too many"),
        ("status ../x", "a task id, its beginning, a task's variable, or last"),
        ("tasks -n 0", "1 to 1000 is expected"),
        ("tasks -n 1001", "1 to 1000 is expected"),
        ("tasks --state done", "one of queued, claimed"),
        ("tasks --stat queued", "Did you mean --state?"),
        ("attach", "ID|last"),
        ("attach last -o class", "no name of a Python variable"),
        ("cancel", "ID|all"),
        ("cancel everything!", "a task id"),
        ("result", "ID"),
        ("devices ideal", "one word too many"),
        ("device a/b", "not a valid name"),
        ("device --quantity t3", "one of t1, t2, readout"),
        ("compare a1", "two ID or more are needed"),
        ("replay", "ID"),
        ("verify", "ID"),
        ("session now", "one word too many"),
        ("config shots", "K=V is expected"),
        ("help tasks", "one word too many"),
    ],
)
def test_what_is_refused_by_a_line(line: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_line(line)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["", "  ", "help", "--help", "# nothing"])
def test_general_help(line: str) -> None:
    assert parse_line(line).help
    assert parse_line(line).word == "help"


@pytest.mark.parametrize("word", sorted(RELEASED_LINE))
def test_help_of_each_subcommand(word: str) -> None:
    assert parse_line(f"{word} --help").help
    text = help_text(word)
    assert text.startswith(f"%qpu {word}")
    for option in options_of(word):
        assert "/".join(option.flags) in text


def test_help_wins_over_a_wrong_line() -> None:
    assert parse_cell("--help -n 0 --nonsense").help
    assert parse_line("run --help").help


def test_help_names_everything() -> None:
    text = help_text()
    for option in options.RUN_OPTIONS:
        assert "/".join(option.flags) in text
        assert option.help in text
    for subcommand in options.SUBCOMMANDS:
        assert re.search(rf"^  {subcommand.word}\b.*{re.escape(subcommand.help)}", text, re.MULTILINE)


def test_rows_hold_the_whole_grammar() -> None:
    found = rows()
    assert all(all(row) for row in found)
    assert len([row for row in found if row[0] == "%%qpu"]) == len(RELEASED_CELL)
    assert len([row for row in found if row[0] == "%qpu"]) == len(RELEASED_LINE)


def test_synonyms_lead_to_real_words() -> None:
    real = {flag for option in options.RUN_OPTIONS for flag in option.flags} | set(RELEASED_LINE)
    assert set(options.SYNONYMS.values()) <= real
    assert not set(options.SYNONYMS) & real
