"""A centre of its own for the benches: a mini Slurm cluster, a gateway at which its jobs prove themselves, users."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from qmio_jupyter.testing import hub as hubs
from qmio_jupyter.testing import slurm
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec


class Site(NamedTuple):
    """Where everything is."""

    root: Path
    cluster: MiniSlurm
    centre: Centre
    #: Where jobs and commands note when they began; everybody may write there.
    notes: Path
    #: Hub names to unix names; None where there is one uid for all.
    users: dict[str, str] | None

    def calls(self, name: str) -> int:
        """Return how often a counted command was called."""
        return len((self.notes / name).read_text().splitlines())


#: What notes when a job begins on its node, before anything of ours or theirs.
_PROLOG = '#!/bin/sh\necho "$SLURM_JOB_ID $(date +%s.%N)" >> {notes}/began\n'


def lacking() -> str:
    """Return what the machine lacks for it; empty if nothing."""
    return slurm.missing() or hubs.missing()


@contextmanager
def site(*, users: bool = True) -> Iterator[Site]:
    """Have a centre for a while; without `users`, only this process's own."""
    with ExitStack() as stack:
        root = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="qmio-bench-", ignore_cleanup_errors=True))
        )
        root.chmod(0o755)
        for part in ("slurm", "centre", "homes", "notes"):
            (root / part).mkdir()
        notes = root / "notes"
        notes.chmod(0o777)
        for name in ("began", "submitted"):
            (notes / name).touch(mode=0o666)
            (notes / name).chmod(0o666)
        prolog = root / "task_prolog"
        prolog.write_text(_PROLOG.format(notes=notes))
        prolog.chmod(0o755)
        cluster = MiniSlurm(
            root / "slurm",
            nodes=(NodeSpec("n1"), NodeSpec("n2")),
            licences={"qpu_echo": 1000},
            extra=f"TaskProlog={prolog}\n",
        )
        stack.callback(cluster.stop)
        cluster.start()
        squeue = counting(root, notes, cluster.commands().squeue, "gateway-squeue")
        centre = Centre(root / "centre", more=Centre.verifier(cluster, interval_s=5.0, squeue=squeue))
        stack.callback(centre.stop)
        centre.start()
        names = None
        if users and os.geteuid() == 0:
            unix = f"qmio-{token_hex(3)}"
            stack.enter_context(hubs.unix_users([unix], root / "homes"))
            names = {unix: unix}
        yield Site(root, cluster, centre, notes, names)


def noting(root: Path, notes: Path, sbatch: str, label: str) -> str:
    """Return an sbatch that notes when it began, and which job it made."""
    script = root / f"sbatch-{label}"
    script.write_text(
        f'#!/bin/sh\nbegan=$(date +%s.%N)\nsaid=$({sbatch} "$@")\nstatus=$?\n'
        f'echo "$said $began" >> {notes}/submitted\necho "$said"\nexit $status\n'
    )
    script.chmod(0o755)
    return str(script)


def counting(root: Path, notes: Path, command: str, name: str) -> str:
    """Return a command that notes when it was called, in the file `name` of `notes`."""
    (notes / name).touch()
    (notes / name).chmod(0o666)
    script = root / name
    script.write_text(f'#!/bin/sh\ndate +%s.%N >> {notes}/{name}\nexec {command} "$@"\n')
    script.chmod(0o755)
    return str(script)
