"""What a Tab offers in ``%qpu`` and ``%%qpu`` lines."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from qmio_jupyter.client import sync
from qmio_jupyter.config import connection
from qmio_jupyter.config.places import places
from qmio_jupyter.errors import GatewayError
from qmio_jupyter.notebook import link
from qmio_jupyter.notebook.completion import Words, candidates
from qmio_jupyter.notebook.options import RUN_OPTIONS, SUBCOMMANDS

NAMES = {"devices": ["ideal", "echo"], "tasks": ["t-01a", "t-01b"], "variables": ["qc", "circuits"]}


def offered(text: str) -> list[str]:
    """Return what is offered at the end of `text`."""
    found = candidates(text, lambda kind: NAMES[kind])
    assert found is not None
    return found[1]


LONG = [max(option.flags, key=len) for option in RUN_OPTIONS]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%qpu ", [s.word for s in SUBCOMMANDS]),
        ("%qpu ta", ["tasks"]),
        ("%qpu de", ["devices", "device"]),
        ("r = %qpu att", ["attach"]),
        ("%%qpu ", LONG),
        ("%%qpu --s", ["--shots", "--seed", "--snapshot", "--stale"]),
        ("%%qpu --shots 5 --sh", []),
        ("%%qpu -n 5 --sh", []),
        ("%%qpu --bind x=1 --bi", ["--bind"]),
        ("%%qpu -d ", ["ideal", "echo"]),
        ("%%qpu -d id", ["ideal"]),
        ("%%qpu --device=e", ["--device=echo"]),
        ("%%qpu --lang ", ["qasm2", "qasm3", "python"]),
        ("%%qpu --lang q", ["qasm2", "qasm3"]),
        ("%%qpu --pace r", ["real"]),
        ("%%qpu --stale=w", ["--stale=warn"]),
        ("%%qpu --opt-level ", ["0", "1", "2", "3"]),
        ("%%qpu --layout a", ["auto"]),
        ("%%qpu -n ", []),
        ("%%qpu -o ", []),
        ("%qpu run q", ["qc"]),
        ("%qpu run qc --dev", ["--device", "--device-option"]),
        ("%qpu run -n 5 q", ["qc"]),
        ("%qpu status ", ["t-01a", "t-01b", "--help"]),
        ("%qpu attach ", ["last", "t-01a", "t-01b", "--out", "--expect", "--help"]),
        ("%qpu attach t-01a -", ["--out", "--expect", "--help", "-o"]),
        ("%qpu cancel a", ["all"]),
        ("%qpu compare t-01a t-", ["t-01a", "t-01b"]),
        ("%qpu compare t-01a t-01b t-", ["t-01a", "t-01b"]),
        ("%qpu status t-01a t-", []),
        ("%qpu device ", ["ideal", "echo", "--quantity", "--help"]),
        ("%qpu calibration --quantity r", ["readout", "readout_time"]),
        ("%qpu tasks --state c", ["claimed", "cancelling", "completed", "cancelled"]),
        ("%qpu tasks -", ["--state", "--help", "-n"]),
        ("%qpu config s", ["shots="]),
        ("%qpu nonsense ", []),
        ("%qpu run 'unclosed", []),
        ("%%qpu --bind x=f(1, ", []),
    ],
)
def test_candidates(text: str, words: list[str]) -> None:
    assert sorted(offered(text)) == sorted(words)


@pytest.mark.parametrize(
    "text", ["", "qpu ", "%qp", "%qpu", "%%qpu", "%qpux ", "x = 1", "%time x", "a.b = %qpu "]
)
def test_other_lines_are_left_alone(text: str) -> None:
    assert candidates(text, lambda kind: NAMES[kind]) is None


def complete(shell: Any, text: str, cursor: int | None = None) -> tuple[list[str], str]:
    """Return what the shell's completer gives for the word before the cursor."""
    from IPython.core.completer import provisionalcompleter

    at = len(text) if cursor is None else cursor
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, at))
    return [one.text for one in found], text[found[0].start : at] if found else ""


def test_in_the_shell_only_ours_is_offered_and_jedi_is_not_asked(shell: Any, fake: Any) -> None:
    jedi = "jedi" in sys.modules
    words, replaced = complete(shell, "%%qpu --sh")
    assert (words, replaced) == (["--shots"], "--sh")
    assert complete(shell, "%qpu ta") == (["tasks"], "ta")
    assert complete(shell, "%qpu tasks --state=q") == (["--state=queued"], "--state=q")
    assert ("jedi" in sys.modules) is jedi


def test_in_a_cell_only_its_first_line_is_ours(
    shell: Any, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell.Completer, "use_jedi", False)  # slow, and not what is tried
    cell = "%%qpu --sh\nimpor"
    assert complete(shell, cell, len("%%qpu --sh"))[0] == ["--shots"]
    assert "--shots" not in complete(shell, cell)[0]


def test_devices_tasks_and_variables_in_the_shell(shell: Any, fake: Any) -> None:
    # The configured one: no link yet, and none is made.
    assert complete(shell, "%%qpu -d ")[0] == ["fake-qmio"]
    assert fake.asked == []
    shell.user_ns["bell"] = "OPENQASM 3.0;"
    shell.user_ns["other"] = "text"
    assert complete(shell, "%qpu run ")[0][0] == "bell"
    offered = complete(shell, "%qpu run ")[0]
    assert offered.index("bell") < offered.index("other")
    assert not {"In", "Out", "exit", "get_ipython"} & set(offered)
    assert complete(shell, "%qpu run oth")[0] == ["other"]
    link.client()
    assert complete(shell, "%%qpu -d ")[0] == ["fake-qmio", "echo"]


@pytest.mark.parametrize(
    "text", ["%qpu attach t-", "%%qpu -n ", "%qpu run nothing_like_th", "%qpu nonsense "]
)
def test_what_we_know_nothing_for_is_offered_nothing(shell: Any, fake: Any, text: str) -> None:
    assert complete(shell, text)[0] == []


def test_a_gateway_that_runs_is_asked_before_the_kernels_own_link_exists(
    shell: Any, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = type(fake)()
    made: list[dict[str, Any]] = []

    def connect(**how: Any) -> Any:
        made.append(how)
        return found

    monkeypatch.setattr(sync, "connect", connect)
    path = places().connection_file
    path.touch()
    monkeypatch.setattr(connection, "read", lambda where: "written" if where == path else None)
    monkeypatch.setattr(connection, "is_alive", lambda written: written == "written")
    assert complete(shell, "%%qpu -d ")[0] == ["fake-qmio", "echo"]
    assert [how["start"] for how in made] == [False]
    assert found.closed
    assert link.current() is None
    assert complete(shell, "%%qpu -d ")[0] == ["fake-qmio", "echo"]
    assert len(made) == 1


def test_a_tab_is_not_held_up_and_a_late_answer_is_there_for_the_next(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, answered = threading.Event(), threading.Event()

    class Late(type(fake)):
        def devices(self, timeout_s: float | None = None) -> Any:
            assert answer.wait(30)
            return super().devices(timeout_s)

        def close(self) -> None:
            answered.set()

    monkeypatch.setattr(link, "peek", lambda _timeout_s: Late())
    words = Words(lambda: 0.0)
    assert words.get("devices") == []
    answer.set()
    assert answered.wait(30)
    assert words.get("devices") == ["fake-qmio", "echo"]


def test_a_tab_never_starts_a_gateway(fake: Any) -> None:
    assert Words().get("devices") == []
    assert fake.asked == []
    assert link.current() is None


def test_names_are_remembered_for_a_moment_and_kept_when_the_gateway_is_slow(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    words = Words(lambda: now[0])
    link.client()
    assert words.get("devices") == ["fake-qmio", "echo"]
    assert words.get("devices") == ["fake-qmio", "echo"]
    assert fake.asked == ["devices"]
    deadlines = []

    def slow(timeout_s: float | None = None) -> Any:
        deadlines.append(timeout_s)
        raise GatewayError("no answer")

    monkeypatch.setattr(fake, "devices", slow)
    now[0] = 3.0
    assert words.get("devices") == ["fake-qmio", "echo"]
    assert deadlines == [0.2]
    assert words.get("devices") == ["fake-qmio", "echo"]
    assert deadlines == [0.2]
