"""Take the documentation's pictures anew: what the browser suite sees in a real JupyterLab, copied to ``docs/images``.

Usage: ``.venv/bin/python tools/pictures.py``. Needs Chromium, as the suite does; takes about three minutes.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAKEN = ROOT / "build" / "browser"
IMAGES = ROOT / "docs" / "images"
_QUEUE = "position-estimate-and-shots-move-and-nothing-jumps-lab"
_QUICKSTART = "a-newcomer-runs-it-cell-by-cell-lab"
#: What the suite calls a picture -> what the documentation calls it.
PICTURES = {
    f"{_QUEUE}-running": "running",
    f"{_QUICKSTART}-bell": "bell",
    f"{_QUICKSTART}-compare": "compare",
    f"{_QUICKSTART}-sweep": "sweep",
    f"{_QUICKSTART}-mistake": "mistake",
    f"{_QUICKSTART}-calibration": "chip",
}


def main() -> int:
    """Run the two tests that take them, and copy; return the exit code."""
    suites = [str(ROOT / "tests" / "browser" / name) for name in ("test_queue.py", "test_quickstart.py")]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-k", "lab", *suites], cwd=ROOT, check=False)
    if done.returncode:
        return done.returncode
    IMAGES.mkdir(exist_ok=True)
    for taken, name in PICTURES.items():
        shutil.copyfile(TAKEN / f"{taken}.png", IMAGES / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
