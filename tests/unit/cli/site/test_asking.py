"""What the askers see of real files, and how parts of the doctor speak to each other."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from qmio_jupyter.cli.site import as_user
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import JobFacts
from qmio_jupyter.cli.site.probe import MARK
from qmio_jupyter.errors import ConfigError


def test_paths(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    file.chmod(0o640)
    seen = look_at(file, with_parents=True)
    assert (seen.kind, seen.uid, seen.mode, seen.why) == ("file", os.getuid(), 0o640, "")
    assert seen.above[0][:2] == (str(tmp_path), os.getuid())
    assert seen.above[-1][0] == "/"
    assert look_at(tmp_path).kind == "directory"
    (tmp_path / "link").symlink_to(file)
    assert look_at(tmp_path / "link").kind == "link"
    assert look_at(tmp_path / "absent").why == "No such file or directory"
    assert look_at("/dev/null").kind == "other"


def test_facts_are_found_among_other_output() -> None:
    output = b"a module says hello\n" + MARK.encode() + b'{"node":"n1","port":4}\nand goodbye'
    assert as_user.facts_in(output, JobFacts) == JobFacts(node="n1", port=4)
    assert as_user.facts_in(b"nothing", JobFacts) is None


def test_nobody_becomes_another_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    own = pwd.getpwuid(os.geteuid())
    assert as_user.becoming(own) == {}
    monkeypatch.setattr(os, "geteuid", lambda: own.pw_uid + 1)
    with pytest.raises(ConfigError, match="only root") as caught:
        as_user.becoming(own)
    assert caught.value.code == "config.permissions"
    with pytest.raises(ConfigError, match="there is no user"):
        as_user.account("nobody-has-this-name")
