"""A kernel of the user's own environment, made by her: magics are there and connected; Qiskit and Jupyter are not."""

from __future__ import annotations

import ast
import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.integration.hub.test_start_and_stop import BELL, NAME, owner

pytestmark = pytest.mark.timeout(400)
ROOT = Path(__file__).resolve().parents[3]
UV = str(Path(sys.executable).with_name("uv"))
#: What `qmio_jupyter.notebook` and `.client` need; the wheel itself is installed without its other dependencies.
NEEDED = ("ipykernel", "pyzmq", "msgspec")
#: Says what a kernel has and has not.
LOOK = (
    "import importlib.util, os, sys\n"
    "from ipykernel.kernelapp import IPKernelApp\n"
    "names = ('qiskit', 'jupyter_server', 'jupyterlab', 'anywidget', 'qmio_jupyter')\n"
    "print({'prefix': sys.prefix, 'transport': IPKernelApp.instance().transport,\n"
    "       'there': [name for name in names if importlib.util.find_spec(name)],\n"
    "       'magics': [kind for kind in ('line', 'cell') if get_ipython().find_magic('qpu', kind)],\n"
    "       'qrmi': {name: value for name, value in os.environ.items() if 'QRMI' in name}})"
)


def run(*argv: str | Path, **options: object) -> None:
    done = subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Our wheel, made of this checkout."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", ROOT)
    return next((tmp_path / "dist").glob("*.whl"))


class Own:
    """An environment in a user's home, registered as a kernel by her."""

    def __init__(self, user: str) -> None:
        account = pwd.getpwnam(user)
        self.home, self._uid = Path(account.pw_dir), account.pw_uid
        self.prefix = self.home / "own environment"
        self.python = self.prefix / "bin" / "python"
        run(UV, "venv", "--python", "/usr/bin/python3", self.prefix)
        self.install(*NEEDED)
        self.as_user(self.python, "-m", "ipykernel", "install", "--user", "--name", "own")

    def install(self, *packages: str | Path) -> None:
        """Install packages, and nothing that they need where they are files."""
        options = ["--no-deps"] if any(isinstance(one, Path) for one in packages) else []
        run(UV, "pip", "install", "--link-mode", "copy", "--python", self.python, *options, *packages)
        if os.geteuid() == 0:
            run("chown", "-R", str(self._uid), self.prefix)

    def as_user(self, *argv: str | Path) -> None:
        """Run something as she does."""
        prefix: list[str | Path] = []
        if os.geteuid() == 0:
            prefix = ["/usr/sbin/runuser", "-u", pwd.getpwuid(self._uid).pw_name, "--"]
        run(*prefix, *argv, env={"HOME": str(self.home), "PATH": "/usr/bin:/bin"}, cwd=self.home)


def listening(uid: int) -> set[tuple[str, int]]:
    """Return where processes of a user listen, as the kernel's tables have it."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[7]) == uid:
                address, _, port = words[1].partition(":")
                number = bytes.fromhex(address)[::-1]
                found.add((".".join(map(str, number)) if len(number) == 4 else address, int(port, 16)))
    return found


@pytest.mark.root
def test_magics_are_there_in_an_environment_of_her_own(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, users: dict[str, str] | None, wheel: Path
) -> None:
    if users is None:
        pytest.skip("a home for the test alone needs a user of its own")
    own = Own(owner(users, NAME))
    hub = make_hub()
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    (job,) = cluster.slurm().jobs()

    # Before our package is in it, it is a kernel like any other.
    with hub.kernel(user, "own") as kernel:
        found = ast.literal_eval(kernel.run(LOOK))
        assert (found["prefix"], found["there"], found["magics"]) == (str(own.prefix), [], [])

    own.install(wheel)
    with hub.kernel(user, "own") as kernel:
        found = ast.literal_eval(kernel.run(LOOK))
        assert (found["prefix"], found["transport"]) == (str(own.prefix), "ipc")
        assert (found["there"], found["magics"]) == (["qmio_jupyter"], ["line", "cell"])
        assert found["qrmi"] == {
            "QRMI_JOB_ID": str(job.job_id),
            "QRMI_JOB_UID": str(job.uid),
            "QRMI_JOB_QPU_RESOURCES": "echo",
            "QRMI_JOB_QPU_TYPES": "qmio",
        }
        shown = kernel.run(f"%%qpu --shots 100\n{BELL}")
        assert "100" in shown, shown
        assert "echo" in kernel.run("%qpu devices")

    # Nothing of hers listens on the network but the server, at its node's address.
    saga = hub.journal()[0]
    assert listening(job.uid) == {(saga["address"], saga["port"])}
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo")
