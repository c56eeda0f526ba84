"""A centre's gateway for tests with real processes: not embedded, its hub's key enrolled by its settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from qmio_jupyter.auth.keys import keys_at
from qmio_jupyter.client.sync import connect
from qmio_jupyter.config import connection
from qmio_jupyter.config.places import places
from qmio_jupyter.config.settings import ClientSettings, GatewayAddress
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.slurm import MiniSlurm

#: The device that runs anything in no time.
ECHO = """
[[gateway.agents]]
device = "echo"
driver = "echo"
credit = 16
workers = 0
"""


class Centre:
    """A gateway process in a directory of its own, with the key pair of a hub.

    Parameters
    ----------
    root : Path
        An empty directory.
    agents : str
        Its ``[[gateway.agents]]`` tables.
    more : str
        More of its ``[gateway]`` table, one key a line.
    environ : mapping, optional
        More environment for it.
    address : str
        Where it listens.
    """

    def __init__(
        self,
        root: Path,
        *,
        agents: str = ECHO,
        more: str = "",
        environ: dict[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith("QMIO_")}
        self.environ = kept | {
            "QMIO_HOME": str(root / "home"),
            "QMIO_CONFIG": str(root / "config.toml"),
            **(environ or {}),
        }
        root.chmod(0o700)
        self.hub_key_file = root / "hub.key"
        public = keys_at(self.hub_key_file).public
        self._text = (
            f'[gateway]\nname = "centre"\nembedded = false\nendpoint = "ENDPOINT"\n{more}\n{agents}\n'
            f'[[gateway.keys]]\npublic = \'{public}\'\nrole = "issuer"\nnote = "the hub"\n'
        )
        self._endpoint = f"tcp://{address}:*"
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def verifier(cluster: MiniSlurm, *, interval_s: float = 1.0, squeue: str = "/usr/bin/squeue") -> str:
        """Return what `more` is for a gateway at which the jobs of a cluster prove themselves."""
        return (
            'verifier = "slurm"\n[gateway.slurm]\n'
            f'config = "{cluster.conf}"\nmunge_socket = "{cluster.munge_socket}"\n'
            f'interval_s = {interval_s}\nsqueue = "{squeue}"\n'
        )

    def start(self, *, devices: bool = True) -> Centre:
        """Start it; after the first time at the same endpoint. Return once all of its devices are there.

        Without `devices` they are not waited for: somebody else starts their agents.
        """
        (self.root / "config.toml").write_text(self._text.replace("ENDPOINT", self._endpoint))
        with (self.root / "gateway.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "qmio_jupyter.cli.daemon", "gateway"],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._process = process
        path = places(self.environ).connection_file

        def listens() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"the gateway ended with {process.returncode}: {self.log()}")
            return path.exists() and connection.read(path).pid == process.pid

        wait_until(listens, "the gateway listens")
        self._endpoint = self.address().endpoint
        if devices:
            self.wait_for_devices()
        return self

    def wait_for_devices(self) -> None:
        """Wait until every device takes tasks: until then nobody is promised a session on it."""
        settings = ClientSettings(gateways=(self.address(),), start_embedded=False)
        client = connect(settings=settings, start=False)

        def are_there() -> bool:
            views = client.devices()
            return len(views) == self._text.count("[[gateway.agents]]") and all(
                view.state.takes_tasks for view in views
            )

        try:
            wait_until(are_there, "all devices are there")
        finally:
            client.close()

    def address(self) -> GatewayAddress:
        """Return where it is, for its hub."""
        written = connection.read(places(self.environ).connection_file)
        return GatewayAddress(
            endpoint=written.endpoint, server_key=written.server_key, key_file=str(self.hub_key_file)
        )

    def kill(self) -> None:
        """Send it SIGKILL; its agents end by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """Have it do nothing, as a machine that hangs."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it as a service manager does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)

    def log(self) -> str:
        """Return what it wrote to its output and its log."""
        texts = [self.root / "gateway.log", places(self.environ).state / "gateway.jsonl"]
        return "\n".join(path.read_text(errors="replace")[-6000:] for path in texts if path.exists())
