"""``make bench``: figures as ratios taken in one run, a table, and ``bench-results/<date>.json``.

Each ratio pairs the product with its floor in alternating blocks of the same run, so that a noisy machine slows both;
the median over the blocks is what counts.
``--only NAME`` runs one figure, ``--fast`` a tenth of the repetitions, ``--quick`` a tenth for a few figures.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import msgspec

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cells import bell_cells, first_cell, live_view  # noqa: E402
from figures import FIGURES, Figure  # noqa: E402
from loops import bell_sampler, bindings, dependent  # noqa: E402
from noisy import cold, small, wide  # noqa: E402
from product import Product  # noqa: E402
from site_figures import scheduler, sessions  # noqa: E402
from starts import starts  # noqa: E402

#: Every figure, by a name for ``--only``.
ALL = FIGURES | {
    "loop": dependent,
    "bindings": bindings,
    "sampler": bell_sampler,
    "cold": cold,
    "ghz5": small,
    "wide": wide,
    "cell": bell_cells,
    "first": first_cell,
    "live": live_view,
    "sessions": sessions,
    "scheduler": scheduler,
    "starts": starts,
}

#: Those of ``--quick``.
QUICK = ("ping", "submit", "throughput", "bell", "sessions")


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    from importlib.metadata import version

    names = (
        "qmio_jupyter",
        "pyzmq",
        "msgspec",
        "numpy",
        "qiskit",
        "qiskit-aer",
        "qiskit-ibm-runtime",
        "ipython",
        "ipykernel",
        "jupyterhub",
        "jupyterlab",
    )
    return {name: version(name) for name in names} | {
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
    }


def table(figures: list[Figure]) -> str:
    """Return the figures as aligned text."""
    rows = [("figure", "value", "unit", "target", "met")]
    rows += [
        (f.name, f"{f.value:.3g}", f.unit, f.target_text(), {True: "yes", False: "NO", None: ""}[f.met])
        for f in figures
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def main() -> int:
    """Run the benchmarks; return the exit code (0 even when a target is missed: figures are not tests)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run the figures whose name holds this text")
    parser.add_argument(
        "--fast", action="store_true", help="a tenth of the repetitions, to try the bench itself"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of them, of a few figures: under a minute"
    )
    options = parser.parse_args()
    scale = 0.1 if options.fast or options.quick else 1.0
    names = QUICK if options.quick else tuple(ALL)
    figures: list[Figure] = []

    def add(new: list[Figure]) -> None:
        figures.extend(new)
        for figure in new:
            print(f"  {figure.name}: {figure.value:.3g} {figure.unit}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="qmio-bench-") as home, Product(Path(home)) as product:
        for name in names:
            if options.only in name:
                add(ALL[name](product, scale))
    print(table(figures))
    now = dt.datetime.now(dt.UTC)
    out = Path("bench-results") / f"{now:%Y-%m-%d}.json"
    if not options.only and scale == 1.0:
        out.parent.mkdir(exist_ok=True)
        document = {"taken": f"{now:%Y-%m-%dT%H:%M:%SZ}", "versions": versions()}
        document["figures"] = [msgspec.to_builtins(figure) | {"met": figure.met} for figure in figures]
        out.write_text(json.dumps(document, indent=1) + "\n")
        print(f"written: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
