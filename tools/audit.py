"""Dependency audit: what is installed agrees with itself and the lock, without known vulnerabilities.

Where the advisory service cannot be asked, that is said loudly and is no failure: "could not ask" is
not "vulnerable".
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def locked() -> dict[str, set[str]]:
    """Return name -> versions of the lock file (several where they depend on the Python version)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
        if match:
            found.setdefault(match[1].lower(), set()).add(match[2])
    return found


def drifted() -> list[str]:
    """Return the installed packages whose version is not the locked one."""
    lock = locked()
    wrong = []
    for dist in metadata.distributions():
        name = re.sub(r"[-_.]+", "-", dist.metadata["Name"]).lower()
        if name in lock and dist.version not in lock[name]:
            wrong.append(f"{name} is {dist.version}, locked {', '.join(sorted(lock[name]))}")
    return wrong


def main() -> int:
    """Run the audit; return the exit code."""
    problems = drifted()
    check = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    if check.returncode:
        problems.append(check.stdout.strip())
    audit = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "-f", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    try:
        entries = json.loads(audit.stdout)["dependencies"]
    except (ValueError, KeyError):
        entries = []
    asked = [entry for entry in entries if "skip_reason" not in entry]
    problems += [f"{e['name']} {e['version']}: {v['id']}" for e in asked for v in e.get("vulns", [])]
    print(f"{len(asked)} of {len(entries)} packages audited against the advisory service.")
    if not asked:
        print("NOTE: the advisory service could not be asked from here; versions agree with the lock.")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
