"""The command line itself: one line per error, exit codes, no abbreviations, did-you-mean."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from qmio_jupyter.cli import cancel, devices
from qmio_jupyter.cli.exits import Exit, exit_for
from qmio_jupyter.cli.main import COMMANDS, in_commands, main
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
        (["cancel", "last", "all"], "--all"),
        (["tasks", "--state", "asleep"], "asleep"),
        (["tasks", "--timeout", "nan"], "finite"),
        (["tasks", "--timeout", "inf"], "finite"),
        (["up", "--timeout", "nan"], "finite"),
        (["down", "--timeout", "nan"], "finite"),
        (["result", "last", "--timeout", "nan"], "finite"),
        (["run", "x", "--timeout", "nan"], "finite"),
        (["run", "x", "--timeout", "0"], "--timeout"),
        (["run", "x", "--label", "x" * 201], "at most 200 characters are accepted, not 201"),
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


def test_without_a_command_the_help_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert run() == Exit.USAGE
    assert capsys.readouterr().err.strip() == text.strip()


def test_hints_name_commands_in_place_of_magics() -> None:
    said = "[x] y. List yours with %qpu tasks. See %qpu device NAME, or %qpu status t-1; %qpu tasksx"
    assert in_commands(said) == (
        "[x] y. List yours with jupyter qmio tasks. "
        "See jupyter qmio devices NAME, or jupyter qmio show t-1; %qpu tasksx"
    )


def test_the_hint_of_an_error_names_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: object) -> None:
        raise UnknownTaskError("no task of yours", hint="List yours with %qpu tasks.")

    monkeypatch.setattr(devices, "client_for", fails)
    assert run("devices") == Exit.ERROR
    assert capsys.readouterr().err == "[task.unknown] no task of yours. List yours with jupyter qmio tasks.\n"


@pytest.mark.parametrize("args", [["all"], ["--all"], ["all", "--all"]])
def test_cancel_takes_the_word_all_as_the_magic_does(
    args: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SimpleNamespace(
        tasks=lambda *_args, **_named: [SimpleNamespace(task_id="t-1"), SimpleNamespace(task_id="t-2")],
        cancel=lambda task_id, _timeout: SimpleNamespace(task_id=task_id, state="cancelled"),
    )
    monkeypatch.setattr(cancel, "client_for", lambda **_: nullcontext(client))
    assert run("cancel", *args) == 0
    assert capsys.readouterr().out == "t-1  cancelled\nt-2  cancelled\n"


def test_a_driver_that_is_not_there_is_named_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config/qmio").mkdir(parents=True)
    (tmp_path / "config/qmio/config.toml").write_text(
        '[[gateway.agents]]\ndevice = "mine"\ndriver = "ehco"\n'
    )
    assert run("up") == Exit.USAGE
    output = capsys.readouterr()
    assert "device 'mine' wants the driver 'ehco'" in output.err
    assert "Did you mean echo?" in output.err
    assert output.err.count("\n") == 1


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
        assert ("--json" in text) == (name not in ("lab", "prolog", "epilog"))


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


@pytest.mark.parametrize(
    ("content", "verdict", "words"),
    [
        (None, "ok", "enabled: "),
        ('{"ServerApp": {"jpserver_extensions": {"qmio_jupyter": false}}}', "warning", "not enabled: "),
    ],
)
def test_doctor_says_whether_cells_have_a_cancel_button(
    content: str | None,
    verdict: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As a Jupyter server would find it: the first directory of the configuration's path decides."""
    if content is not None:
        folder = tmp_path / "site" / "jupyter_server_config.d"
        folder.mkdir(parents=True)
        (folder / "site.json").write_text(content)
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "site"))
    assert run("doctor", "--json") == 0
    (check,) = (
        one for one in json.loads(capsys.readouterr().out)["checks"] if one["name"] == "server extension"
    )
    assert check["verdict"] == verdict
    assert words in check["found"]
    assert ("jupyter server extension" in check.get("todo", "")) == (verdict != "ok")


def test_doctor_tells_of_an_extension_that_does_not_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "qmio_jupyter.server.extension", None)
    assert run("doctor") == 0
    assert "warning  server extension" in (text := capsys.readouterr().out)
    assert "it cannot be loaded" in text


def test_doctor_finds_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home").chmod(0o755)
    assert run("doctor") == Exit.ERROR
    text = capsys.readouterr().out
    assert "problem  places" in text
    assert "chmod 700" in text
