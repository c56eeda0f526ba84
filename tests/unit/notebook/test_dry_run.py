"""Dry runs in a cell: what is asked, what is shown, and that nothing is queued."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import qmio_jupyter
from qmio_jupyter.display.dry_run import MOST_LINES, dry_run_text
from qmio_jupyter.errors import NotYetError, ProgramError
from qmio_jupyter.model.dry_run import DryRun, DryRunItem

BELL = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
    "h q[0];\ncx q[0], q[1];\nc = measure q;\n"
)
PLAIN = DryRunItem(n_qubits=0, n_bits=2, shots=5)


def run(shell: Any, cell: str) -> Any:
    result = shell.run_cell(cell)
    result.raise_error()
    return result.result


def one(**changes: Any) -> DryRun:
    return DryRun(device="dev", items=(msgspec.structs.replace(PLAIN, **changes),))


def test_a_cell_shows_it_and_queues_nothing(
    shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shell, f"%%qpu -d echo -n 100 --seed 3 --dry-run -o found -t 7\n{BELL}") is None
    assert fake.specs == {}
    ((spec, programs, within_s),) = fake.estimated
    assert (spec.device, spec.total_shots, spec.options.seed, within_s) == ("echo", 100, 3, 7.0)
    assert [program.data.decode() for program in programs] == [BELL]
    assert isinstance(shell.user_ns["found"], DryRun)
    assert "_qpu" not in shell.user_ns
    assert capsys.readouterr().out == (
        "dry run on echo, snapshot abababababab: nothing was run, nothing was queued\n"
        "\n"
        "program     2 qubits, 2 bits, 100 shots\n"
        "compiled    depth 5, 1 two-qubit gate\n"
        "operations  ecr 1, measure 2, rz 3\n"
        "on qubits   4, 3\n"
        "fidelity    93.0 % estimated success: the product over gates, delays and measurements\n"
        "method      density_matrix: 2 active qubits\n"
        "memory      1 MiB\n"
        "T2 capped   4, 3\n"
        "\n"
        "OPENQASM 3.0;\n"
        "bit[2] c;\n"
        "ecr $4, $3;\n"
        "\n"
        "device time  2 s at the device's own pace\n"
        "computing    10 ms\n"
        "cost         2 s of your share of the device\n"
    )


def test_quiet_shows_nothing(shell: Any, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run(shell, f"%%qpu -d echo --dry-run -q -o found\n{BELL}")
    assert capsys.readouterr().out == ""
    assert shell.user_ns["found"].cost_s == 1.5


def test_a_variable(shell: Any, fake: Any) -> None:
    shell.user_ns["text"] = BELL
    run(shell, "%qpu run text -d echo --dry-run")
    assert len(fake.estimated) == 1


def test_a_refusal_fails_the_cell(shell: Any, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> DryRun:
        raise ProgramError("it would take 3 h", code="program.too_costly")

    monkeypatch.setattr(fake, "estimate", refuse)
    with pytest.raises(ProgramError, match="3 h"):
        run(shell, f"%%qpu -d echo --dry-run\n{BELL}")


def test_the_twin_gives_the_value(fake: Any) -> None:
    found = qmio_jupyter.run(BELL, device="echo", dry_run=True, shots=7, bind={"theta": [1, 2, 3]})
    assert isinstance(found, DryRun)
    assert (found.items[0].shots, found.items[0].bindings) == (7, 3)
    assert fake.specs == {}
    assert fake.estimated[0][2] == 30.0
    with pytest.raises(NotYetError):
        qmio_jupyter.run(BELL, device="echo", dry_run=True, snapshot="abcdef")


def test_what_is_unknown_is_not_told() -> None:
    assert dry_run_text(one()) == (
        "dry run on dev: nothing was run, nothing was queued\n"
        "\n"
        "program  5 shots\n"
        "\n"
        "cost  0 ms of your share of the device"
    )


def test_bindings_and_small_fidelities() -> None:
    text = dry_run_text(one(n_qubits=1, bindings=3, expected_fidelity=2e-9))
    assert "1 qubit, 2 bits, 5 shots for each of 3 bindings" in text
    assert "2.0e-09 estimated success" in text


def test_long_circuits_are_cut_in_a_cell_and_whole_on_request() -> None:
    lines = [f"x q[{i}];" for i in range(MOST_LINES + 5)]
    found = one(circuit="\n".join(lines))
    assert "... and 5 more lines: see .items[0].circuit" in dry_run_text(found)
    assert lines[-1] not in dry_run_text(found)
    assert "\n".join(lines) in dry_run_text(found, most_lines=None)
    assert "too long to be shown" in dry_run_text(one(circuit="x q[0];\n", is_cut=True))


def test_many_circuits() -> None:
    found = DryRun(device="dev", items=(PLAIN,) * 10)
    assert "circuit 8 of 10:" in dry_run_text(found)
    assert "... and 2 more" in dry_run_text(found)


def test_an_agents_words_move_no_cursor() -> None:
    evil = "\x1b[2J\x07"
    found = one(
        circuit=f"a{evil}\nb{evil}", method=evil, why=evil, notes=((evil, evil),), operations=((evil, 1),)
    )
    text = dry_run_text(found)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_long_layouts_are_cut() -> None:
    text = dry_run_text(one(layout=tuple(range(156)), operations=tuple((f"g{i}", 1) for i in range(100))))
    assert max(map(len, text.splitlines())) < 300
    assert "31, ..." in text
