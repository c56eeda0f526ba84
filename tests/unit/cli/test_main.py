"""The command line itself: one line per error, exit codes, no abbreviations, did-you-mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.cli.exits import Exit, exit_for
from qmio_jupyter.cli.main import COMMANDS, main
from qmio_jupyter.errors import (
    ConfigError,
    DeadlineError,
    DeviceError,
    GatewayError,
    QmioError,
    TaskCancelledError,
    TaskFailedError,
    UnknownTaskError,
    UsageError,
)


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(args))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMIO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("QMIO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (ConfigError("x"), 2),
        (TaskFailedError("x", code="program.syntax"), 3),
        (TaskCancelledError("x"), 4),
        (DeadlineError("x"), 5),
        (GatewayError("x"), 6),
        (UnknownTaskError("x"), 1),
        (DeviceError("x"), 1),
        (QmioError("x"), 1),
    ],
)
def test_exit_codes(error: QmioError, code: int) -> None:
    assert exit_for(error) == code


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["rum"], "Did you mean run?"),
        (["statsu"], "Did you mean status?"),
        (["zzz"], "Commands: up, down"),
        (["run", "--shot", "3", "x"], "--shots"),
        (["run", "--dev", "echo", "x"], "--device"),
        (["run"], "FILE"),
        (["run", "x", "--shots", "0"], "--shots"),
        (["run", "x", "--bind", "theta"], "NAME=VALUE"),
        (["run", "x", "--bind", "theta=nan"], "finite"),
        (["run", "x", "--bind", "theta=1", "--bind", "theta=2"], "twice"),
        (["run", "x", "--layout", "1,1"], "distinct"),
        (["run", "/nonexistent.qasm"], "/nonexistent.qasm"),
        (["cancel"], "--all"),
        (["cancel", "last", "--all"], "--all"),
        (["tasks", "--state", "asleep"], "asleep"),
        (["tasks", "-n", "0"], "limit"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*args) == Exit.USAGE
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert said in output.err


def test_a_typo_in_the_settings_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config/qmio").mkdir(parents=True)
    (tmp_path / "config/qmio/config.toml").write_text("[client]\ntimeout = 3\n")
    assert run("status") == Exit.USAGE
    output = capsys.readouterr()
    assert "timeout" in output.err
    assert output.err.count("\n") == 1


def test_every_command_has_help_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    listed = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert run(name, "--help") == 0
        text = capsys.readouterr().out
        assert ("--json" in text) == (name != "lab")


def test_status_and_doctor_without_a_gateway_start_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status") == Exit.UNREACHABLE
    assert "jupyter qmio up" in capsys.readouterr().err
    assert run("status", "--json") == Exit.UNREACHABLE
    assert capsys.readouterr().out == '{"running":false}\n'
    assert run("doctor") == 0
    text = capsys.readouterr().out
    assert "ok       runtime directory" in text
    assert "none: no gateway of yours runs here" in text
    assert run("down") == 0
    assert not (tmp_path / "home/state/gateway.log").exists()


def test_doctor_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home").chmod(0o755)
    assert run("doctor") == Exit.ERROR
    text = capsys.readouterr().out
    assert "problem  places" in text
    assert "chmod 700" in text
