"""What a job is given: the hub's variables, ours, and a user's own few; which of them others must not see. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.hub.names import Account

#: Variables that open something.
SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
#: What stands for them in old versions of the single-user server, and is not needed.
_NOT_NEEDED = ("JPY_API_TOKEN",)


def job_environment(
    hub: Mapping[str, str],
    *,
    account: Account,
    python: str,
    command: Sequence[str],
    grant_id: str,
    gateway: GatewayAddress,
    device: str,
    path: str,
    walltime_min: int,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the job's environment in two parts: (what anybody may see, secrets).

    Parameters
    ----------
    hub : mapping
        What JupyterHub gives every single-user server.
    account : Account
        Whose job it is.
    python : str
        The interpreter on the node that has this package.
    command : sequence of str
        The single-user server's argument list.
    grant_id : str
        The grant: opens nothing without its user's proof.
    gateway : GatewayAddress
        Where the node finds the gateway; its key file is the hub's and stays out.
    device : str
        Device of the session: the default of ``%%qpu``.
    path : str
        ``PATH`` on the node.
    walltime_min : int
        The job's time limit: on the node it becomes the end of which the user is warned.
    """
    both = {name: value for name, value in hub.items() if name not in _NOT_NEEDED}
    both |= {
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "PATH": path,
        # sudo puts its own secure_path in place of a PATH: the node sets this one.
        "QMIO_HUB_PATH": path,
        "QMIO_HUB_PYTHON": python,
        "QMIO_HUB_COMMAND": json.dumps(list(command)),
        "QMIO_HUB_GRANT": grant_id,
        "QMIO_HUB_WALLTIME_MIN": str(walltime_min),
        "QMIO_DEVICE": device,
    }
    both |= session_environment(gateway, grant_id)
    public = {name: value for name, value in both.items() if name not in SECRETS}
    return public, {name: value for name, value in both.items() if name in SECRETS}


def session_environment(gateway: GatewayAddress, grant_id: str) -> dict[str, str]:
    """Return what leads any program in the job to its session: where the gateway is, its public key, the grant."""
    return {
        "QMIO_GATEWAY": gateway.endpoint,
        "QMIO_GATEWAY_KEY": gateway.server_key,
        "QMIO_GRANT": grant_id,
    }
