"""What is begun and not yet undone is on disk, and is found again."""

from __future__ import annotations

from pathlib import Path

from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub.journal import Entry, Journal
from qmio_jupyter.hub.saga import Saga
from qmio_jupyter.model.ids import mint


def entry(number: int) -> Entry:
    return Entry(
        saga=Saga(grant_id=mint("g", number, bytes(10))), user="Ana <'\"&>", owner="alice", server="x"
    )


def test_written_is_found_by_the_next_process(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").write(entry(1))
    changed = Entry(saga=s.granted(entry(1).saga), user="Ana <'\"&>", owner="alice", server="x")
    Journal(tmp_path / "journal").write(changed)
    Journal(tmp_path / "journal").write(entry(2))
    assert Journal(tmp_path / "journal").entries() == [changed, entry(2)]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    Journal(tmp_path / "journal").write(entry(1))
    modes = [
        path.stat().st_mode & 0o777 for path in (tmp_path / "journal", *(tmp_path / "journal").iterdir())
    ]
    assert modes == [0o700, 0o600]


def test_forgotten_is_gone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(entry(1))
    for _ in range(2):
        journal.forget(entry(1).saga.grant_id)
    assert journal.entries() == []


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write(entry(1))
    broken = tmp_path / f"{entry(2).saga.grant_id}.json"
    broken.write_text("{")
    broken.chmod(0o600)
    assert journal.entries() == [entry(1)]
    assert broken.exists()
