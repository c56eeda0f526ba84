"""``jupyter qmio key``: the public half, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.cli.main import main


def run(*args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["key", *args])
    return int(caught.value.code or 0)


def test_a_pair_is_made_when_that_is_said_and_shown_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hub.key"
    assert run(str(file)) == 2
    assert "[config.file]" in capsys.readouterr().err
    assert not file.exists()
    assert run("--make", str(file)) == 0
    keys = read_keys(file)
    assert capsys.readouterr().out == f"{keys.public}\n"
    assert run("--make", str(file)) == run(str(file)) == 0
    output = capsys.readouterr().out
    assert output == f"{keys.public}\n" * 2
    assert run("--json", str(file)) == 0
    output = capsys.readouterr().out
    assert json.loads(output)["public"] == keys.public
    assert keys.secret not in output


def test_a_key_that_others_can_read_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hub.key"
    run("--make", str(file))
    file.chmod(0o644)
    capsys.readouterr()
    assert run(str(file)) == 2
    assert "[config.permissions]" in capsys.readouterr().err
