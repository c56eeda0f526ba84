"""Starting a gateway without blocking: here the program that is run is a small one of our own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from qmio_jupyter.client import embedded
from qmio_jupyter.client.embedded import GRACE_S, Starter, is_locked
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.errors import GatewayError


@pytest.fixture
def found(tmp_path: Path) -> Places:
    return places({"QMIO_HOME": str(tmp_path)}, mountinfo="")


def starter(
    found: Places, monkeypatch: pytest.MonkeyPatch, program: str, timeout_s: float = 30
) -> tuple[Starter, list[str]]:
    monkeypatch.setattr(embedded, "ARGV", ("-S", "-c", program))
    said: list[str] = []
    return Starter(found, {"MARK": "42", "PATH": os.environ["PATH"]}, said.append, timeout_s), said


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(one: Starter) -> bool:
    one.reap(0.0)
    return one._ended is not None


def test_it_is_detached_with_its_output_in_the_log(found: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os,sys;print(os.getsid(0)==os.getpid(),os.environ['MARK'],flush=True);"
        "print(sys.stdin.read()=='',file=sys.stderr)"
    )
    one, said = starter(found, monkeypatch, program)
    one.step(0.0, wanted=True)
    until(lambda: ended(one))
    assert found.gateway_log.read_text() == "True 42\nTrue\n"
    assert found.gateway_log.stat().st_mode & 0o777 == 0o600
    (line,) = said
    assert str(found.gateway_log) in line
    assert "\n" not in line


def test_a_network_home_is_told_when_a_gateway_is_started_there(
    found: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = msgspec.structs.replace(found, notes=("your home is on a network file system",))
    one, said = starter(noted, monkeypatch, "print('x')")
    one.step(0.0, wanted=False)
    assert said == []
    one.step(0.0, wanted=True)
    assert said[0] == "your home is on a network file system"
    until(lambda: ended(one))


def test_relative_paths_mean_the_same_to_the_gateway_and_its_agents(
    found: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "ARGV", ("-S", "-c", "import os;print(os.environ['QMIO_CONFIG'])"))
    monkeypatch.chdir(tmp_path)
    one = Starter(found, {"QMIO_CONFIG": "my.toml"}, lambda line: None, 30)
    one.step(0.0, wanted=True)
    until(lambda: ended(one))
    assert found.gateway_log.read_text() == f"{tmp_path}/my.toml\n"


def test_it_is_started_once_and_only_if_wanted(found: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    one, said = starter(found, monkeypatch, "print('x')")
    one.step(0.0, wanted=False)
    assert said == []
    one.step(0.0, wanted=True)
    one.step(0.1, wanted=True)
    until(lambda: ended(one))
    assert len(said) == 1


def test_a_start_that_fails_says_its_last_words_and_may_be_tried_again(
    found: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, said = starter(found, monkeypatch, "import sys;print('first');print('no disk');sys.exit(3)")
    one.step(0.0, wanted=True)
    until(lambda: ended(one))
    one.step(GRACE_S / 2, wanted=True)
    with pytest.raises(GatewayError) as caught:
        one.step(GRACE_S, wanted=True)
    assert caught.value.code == "gateway.start"
    assert "status 3" in caught.value.message
    assert "no disk" in caught.value.message
    assert str(found.gateway_log) in caught.value.hint
    one.step(GRACE_S, wanted=True)
    assert len(said) == 2
    until(lambda: ended(one))


def test_the_loser_of_a_race_waits_for_the_winner(found: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    one, _ = starter(found, monkeypatch, "import sys;sys.exit(78)", timeout_s=50)
    lock = os.open(found.lock_file, os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert is_locked(found.lock_file)
    one.step(0.0, wanted=True)
    until(lambda: ended(one))
    one.step(49.0, wanted=True)
    one.done()
    one.step(60.0, wanted=False)
    os.close(lock)
    assert not is_locked(found.lock_file)


def test_a_start_that_hangs_ends_at_its_deadline(found: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = starter(found, monkeypatch, "print('hello')", timeout_s=5)
    one.step(0.0, wanted=True)
    with pytest.raises(GatewayError, match="5 s"):
        one.step(5.0, wanted=True)
    until(lambda: ended(one))


def test_a_long_log_is_set_aside(found: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LOG_BYTES", 5)
    found.gateway_log.write_text("older words")
    one, _ = starter(found, monkeypatch, "print('new')")
    one.step(0.0, wanted=True)
    until(lambda: ended(one))
    assert found.gateway_log.read_text() == "new\n"
    assert found.gateway_log.with_suffix(".log.1").read_text() == "older words"


def test_a_log_that_is_a_link_is_not_written_through(
    found: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found.gateway_log.symlink_to(tmp_path / "elsewhere")
    one, _ = starter(found, monkeypatch, "print('new')")
    with pytest.raises(GatewayError) as caught:
        one.step(0.0, wanted=True)
    assert caught.value.code == "gateway.start"
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_run_is_the_daemon_and_holds_no_secret() -> None:
    assert embedded.ARGV == ("-P", "-m", "qmio_jupyter.cli.daemon", "gateway", "--embedded")
    assert sys.executable


def test_one_that_dies_slowly_is_collected_though_another_was_started(
    found: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One thread may take longer to end than the rest: dead for all who look, and not to be collected yet.
    one, _ = starter(found, monkeypatch, "import sys; sys.stdin.read()")
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "_status_of", lambda pid: None)
        one.step(0.0, wanted=True)
        first = one._pid
        one.done()
        one.step(1.0, wanted=True)
    assert one._pid != first

    def are_collected() -> bool:
        one.reap(1.0)
        return not one._dying and not one._pid

    until(are_collected)
    with pytest.raises(ChildProcessError):
        os.waitpid(first, os.WNOHANG)
