"""Run seeds of the simulated world: ``python -m qmio_jupyter.testing.simulate --seeds 2000``.

Prints seeds per second and what was covered; fails if a seed breaks a promise, or if an edge of the task
table or a (state, fault) pair was never hit. A failing seed is replayed by ``--first SEED --seeds 1``.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from qmio_jupyter.testing.coverage import Coverage
from qmio_jupyter.testing.faults import FAULTS
from qmio_jupyter.testing.world import World

#: Runs of at least this many seeds must hit everything.
FULL_RUN = 1_000
_CHUNK = 25
#: A word on the way after this many.
_PROGRESS = 2_500


@dataclass(frozen=True)
class Failure:
    """A seed that broke a promise."""

    seed: int
    #: Which promise, or the type of the error.
    rule: str
    text: str

    def line(self) -> str:
        """Return it on one line, with the command that replays it."""
        replay = f"python -m qmio_jupyter.testing.simulate --first {self.seed} --seeds 1"
        return f"seed {self.seed}: {' '.join(self.text.split())[:600]}\n    replay: {replay}"


@dataclass
class Report:
    """What a run of many seeds has shown."""

    coverage: Coverage = field(default_factory=Coverage)
    failures: list[Failure] = field(default_factory=list)
    seeds: int = 0
    seconds: float = 0.0

    def add(self, other: Report) -> None:
        """Add another's findings."""
        self.coverage.add(other.coverage)
        self.failures += other.failures
        self.seeds += other.seeds

    def gaps(self) -> list[str]:
        """Return what a full run should have hit and did not."""
        edges = [f"no task went from {a.value} to {b.value}" for a, b in self.coverage.missing_edges()]
        return edges + [
            f"no {state.value} task met the fault {fault!r}"
            for state, fault in self.coverage.missing_cells(FAULTS)
        ]

    def text(self, commit: str = "") -> str:
        """Return the report as Markdown; `commit` names what was tried."""
        rate = self.seeds / self.seconds if self.seconds else 0.0
        failed, gaps = len(self.failures), len(self.gaps())
        lines = [
            "# Simulation report",
            "",
            "Worlds of the real core, desk, client and agent protocols in virtual time, over links that drop,",
            "double, delay, reorder and part, over a disk that fails, tears and fills up, with crashes of every",
            "party and clocks that jump. After every step the invariants are checked; those that recount everything,",
            "after every tenth and at the end.",
            "Written by `python -m qmio_jupyter.testing.simulate --report`.",
            "",
            *([f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit}.", ""] if commit else []),
            f"{self.seeds:,} seeds, {failed} failed, {gaps} gaps in coverage, {rate:.1f} seeds/s.",
            "",
            *self.coverage.lines(FAULTS),
            *(
                ["", "## Failures", "", *(f"- {one.line()}" for one in self.failures)]
                if self.failures
                else []
            ),
        ]
        return "\n".join(lines) + "\n"


def run_seed(seed: int, *, trace: bool = False) -> Report:
    """Run one world."""
    report = Report(seeds=1)
    world = World(seed)
    try:
        report.coverage = world.run()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a world is a finding
        if trace:
            traceback.print_exc()
        rule = getattr(error, "rule", type(error).__name__)
        report.failures.append(Failure(seed, rule, f"{error} (at {world.clock.now_s:.3f} s)"))
    return report


def _run_chunk(seeds: Sequence[int], *, trace: bool = False) -> Report:
    report = Report()
    for seed in seeds:
        report.add(run_seed(seed, trace=trace))
    return report


def run_seeds(seeds: Sequence[int], *, jobs: int = 1, trace: bool = False) -> Report:
    """Run many worlds, in `jobs` processes."""
    report = Report()
    started = time.perf_counter()
    for part in _parts(seeds, jobs, trace):
        report.add(part)
        if report.seeds % _PROGRESS == 0:
            print(f"{report.seeds} seeds, {len(report.failures)} failed", file=sys.stderr, flush=True)
    report.seconds = time.perf_counter() - started
    report.failures.sort(key=lambda failure: failure.seed)
    return report


def _parts(seeds: Sequence[int], jobs: int, trace: bool) -> Iterator[Report]:
    chunks = [seeds[at : at + _CHUNK] for at in range(0, len(seeds), _CHUNK)]
    if jobs <= 1 or len(chunks) == 1:
        yield from map(partial(_run_chunk, trace=trace), chunks)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_collect_rarely) as pool:
        yield from pool.map(_run_chunk, chunks)


def _collect_rarely() -> None:
    """Leave alone what is loaded, and look at the rest rarely: a world makes little that only the collector finds."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def commit() -> str:
    """Return the short name of the checkout's commit, "unknown" outside of one."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    answer = subprocess.run(
        [git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, timeout=10
    )
    return answer.stdout.strip() or "unknown"


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m qmio_jupyter.testing.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--report", type=Path, help="write the report there too")
    options = parser.parse_args(argv)
    seeds = range(options.first, options.first + options.seeds)
    report = run_seeds(seeds, jobs=options.jobs, trace=options.seeds == 1)
    print(report.text())
    if options.seeds == 1:
        world = World(options.first)
        try:
            world.run()
        finally:
            print(f"digest {world.digest}")
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report.text(commit()), encoding="utf-8")
    for failure in report.failures[:20]:
        print(failure.line())
    gaps = report.gaps() if options.seeds >= FULL_RUN else []
    for gap in gaps:
        print(f"gap: {gap}")
    return 1 if report.failures or gaps else 0


if __name__ == "__main__":
    sys.exit(main())
