"""Run the checks behind ``make test``: each step is one command; all steps run even if one fails.

Usage: ``python tools/check.py all|quick|lint|long``. Exit code 1 if any step failed; the end says which.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PY = str(BIN / "python")

PURE = ["tests/unit", "tests/property"]
#: Unit suites that load Qiskit or IPython: no socket and no process either, but not fast enough to be called pure.
LOADING = ["tests/unit/drivers", "tests/unit/emulation", "tests/unit/notebook", "tests/property/notebook"]
#: Suites with processes, sockets, kernels and builds. Two workers; a file stays on one of them.
REAL = ["tests/contract", "tests/integration", "tests/acceptance"]

LINT: list[tuple[str, list[str]]] = [
    ("ruff", [str(BIN / "ruff"), "check", "."]),
    ("format", [str(BIN / "ruff"), "format", "--check", "."]),
    ("mypy", [str(BIN / "mypy")]),
    ("pyright", [str(BIN / "pyright")]),
    ("import contracts", [str(BIN / "lint-imports")]),
    ("docstrings", [str(BIN / "interrogate"), "-q", "qmio_jupyter"]),
    ("reference drift", [PY, "tools/reference.py", "--check"]),
    ("dependency audit", [PY, "tools/audit.py"]),
]


def pytest(*args: str) -> list[str]:
    """Return a pytest command line; the slowest tests are listed so that nothing grows unseen."""
    return [PY, "-m", "pytest", "-q", "--durations=8", "--durations-min=2", *args]


def run(name: str, argv: list[str], *, quiet: bool = False) -> tuple[str, int, float]:
    """Run one step; print its output (only when it fails, if `quiet`) and how long it took."""
    start = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        check=False,
        env=environment(),
    )
    seconds = time.monotonic() - start
    if quiet and done.returncode:
        print(done.stdout, done.stderr, sep="\n")
    print(f"== {name}: {'ok' if done.returncode == 0 else 'FAILED'} in {seconds:.1f} s", flush=True)
    return name, done.returncode, seconds


def environment() -> dict[str, str]:
    """Return the environment of every step: this environment's commands first, no user's settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("QMIO_") or k == "QMIO_CHROMIUM"}
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', '')}"
    env["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"
    return env


def lint() -> list[tuple[str, int, float]]:
    """Run the static checks, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda step: run(step[0], step[1], quiet=True), LINT))


def main(what: str) -> int:
    """Run the steps of `what`; return the exit code."""
    results = lint() if what in {"all", "quick", "lint"} else []
    if what in {"all", "quick"}:
        examples = [str(path) for path in (ROOT / "qmio_jupyter").rglob("*.py") if ">>>" in path.read_text()]
        results.append(run("examples in docstrings", pytest("--doctest-modules", *examples)))
        # No notebook runs in these, and loading nbmake takes longer than most of them.
        fast = [*PURE, *(f"--ignore={path}" for path in LOADING)]
        results.append(run("pure suites", pytest("-p", "no:nbmake", *fast)))
        results.append(run("suites that load Qiskit or IPython", pytest("-p", "no:nbmake", *LOADING)))
    if what == "all":
        results.append(run("simulation", pytest("tests/simulation")))
        # Where they cannot be had they say so, and the suites skip loudly, or fail under CI=true.
        for part in ("slurm", "proxy"):
            subprocess.run([PY, f"tools/{part}.py"], cwd=ROOT, check=False, env=environment())
        results.append(run("real suites", pytest("-n", "2", "--dist", "loadfile", *REAL)))
        subprocess.run([PY, "tools/chromium.py"], cwd=ROOT, check=False, env=environment())
        results.append(run("browser suites", pytest("tests/browser")))
    if what == "long":
        for part in ("slurm", "proxy", "sudo", "accounting"):
            subprocess.run([PY, f"tools/{part}.py"], cwd=ROOT, check=False, env=environment())
        results.append(run("long suites", pytest("--timeout=4000", "-s", "tests/long")))
    failed = [name for name, code, _ in results if code]
    total = sum(seconds for _, _, seconds in results)
    print(f"== {what}: {len(results) - len(failed)} of {len(results)} steps ok, {total:.0f} s of steps")
    if failed:
        print(f"== FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in {"all", "quick", "lint", "long"}:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
