"""Prolog, epilog and settings of the nodes of a mini cluster: the production example's files, with a test's paths.

Only what an administrator adapts is changed: paths, addresses and keys.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from qmio_jupyter.auth.keys import keys_at
from qmio_jupyter.config.settings import GatewayAddress

EXAMPLE = Path(__file__).resolve().parents[2] / "jupyterhub_config"


class NodeFiles:
    """What root has on the nodes. Make it before the cluster, and `aim` it once there is a gateway.

    Parameters
    ----------
    root : Path
        An empty directory that jobs' users may enter.
    prolog, epilog : bool
        Which of the two Slurm is told of.
    """

    def __init__(self, root: Path, *, prolog: bool = True, epilog: bool = True) -> None:
        self.root = root
        #: Where jobs find their secrets.
        self.directory = root / "jobs"
        #: What prologs and epilogs write.
        self.log = root / "node.log"
        self._scripts = [name for name, wanted in (("Prolog", prolog), ("Epilog", epilog)) if wanted]
        key_file = root / "node.key"
        self.public_key = keys_at(key_file).public
        self._key_file = key_file
        for name in ("prolog", "epilog"):
            text = (EXAMPLE / "slurm" / name).read_text()
            for known, own in (
                # Nodes of one machine have one file system: each has its settings under its name.
                ("/etc/qmio/node.toml", f"{root}/$SLURMD_NODENAME.toml"),
                ("/opt/qmio/bin", str(Path(sys.prefix) / "bin")),
                ("/run/qmio/jobs", str(self.directory)),
                ("/var/log/qmio-node.log", str(self.log)),
            ):
                assert known in text, f"{name} does not name {known}"
                text = text.replace(known, own)
            script = root / name
            script.write_text(text)
            script.chmod(0o755)

    @property
    def slurm_conf(self) -> str:
        """What slurm.conf says of them."""
        scripts = "".join(f"{name}={self.root / name.lower()}\n" for name in self._scripts)
        return f"{scripts}PrologFlags=Alloc\n"

    @property
    def gateway_keys(self) -> str:
        """What the gateway's settings say of their key."""
        text = (EXAMPLE / "gateway" / "config.toml").read_text()
        tables = re.findall(r"\[\[gateway\.keys\]\]\n(?:[^\n]+\n)+", text)
        (table,) = [one for one in tables if 'role = "node"' in one]
        return "\n" + re.sub(r'public = "[^"]*"', f"public = '{self.public_key}'", table)

    def aim(self, gateway: GatewayAddress, addresses: Mapping[str, str]) -> None:
        """Write the settings of every node: its links come from its own address."""
        text = (EXAMPLE / "node" / "node.toml").read_text()
        (endpoint,) = re.findall(r'endpoint = "([^"]*)"', text)
        (server_key,) = re.findall(r'server_key = "([^"]*)"', text)
        for node, address in addresses.items():
            own = gateway.endpoint.replace("tcp://", f"tcp://{address}:0;")
            made = text.replace(f'"{endpoint}"', f'"{own}"').replace(
                f'"{server_key}"', f"'{gateway.server_key}'"
            )
            made = made.replace("/etc/qmio/node.key", str(self._key_file))
            (self.root / f"{node}.toml").write_text(made)

    def lines(self, job_id: int | None = None) -> list[str]:
        """Return what prologs and epilogs have written; of one job only, where one is named."""
        written = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in written if job_id is None or f" job {job_id}: " in line]
