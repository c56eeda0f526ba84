"""What the ledger acknowledged survives `kill -9`: nothing is lost, nothing is half there."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.testing import ledgers

COMMITTER = Path(__file__).with_name("committer.py")
KILLS = 10


def test_acknowledged_commits_survive_kill_9(tmp_path: Path) -> None:
    dice = random.Random(20250520)
    path = tmp_path / "ledger" / "ledger.sqlite"
    acknowledged = -1
    for _ in range(KILLS):
        lines = dice.randint(1, 150)
        with subprocess.Popen([sys.executable, str(COMMITTER), str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(lines):
                # EOF would mean that it died by itself.
                assert process.stdout.readline().endswith(b"\n")
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()
        assert process.returncode == -signal.SIGKILL
        last_of_rest = [int(line) for line in rest.split(b"\n")[:-1]][-1:]
        first = acknowledged
        store = SqliteStore(path)
        try:
            live = store.load_live()
        finally:
            store.close()
        ids = [task.task_id for task in live.tasks]
        # Batches land whole and in order, without a gap.
        assert ids == [ledgers.task_id(number) for number in range(len(ids))]
        assert len(ids) % 2 == 0
        landed = len(ids) // 2 - 1
        assert [row.seconds for row in live.usage] == [float(landed)]
        # The one before started where the ledger ended, so its `lines` acknowledgements are all there.
        acknowledged = max([first + lines, *last_of_rest])
        assert landed >= acknowledged
        acknowledged = landed
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
