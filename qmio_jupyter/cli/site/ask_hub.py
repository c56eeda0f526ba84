"""The hub's configuration, loaded as JupyterHub loads it, by the hub's user; and what it leads to.

Nothing is started, and nothing written: no database, no cookie secret, no journal.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.auth.munge import SOCKET_VARIABLE
from qmio_jupyter.cli.site import ask_link, ask_slurm
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import HubFacts, LinkFacts, PinFacts, RunAsFacts
from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.errors import QmioError
from qmio_jupyter.private_files import read_private
from qmio_jupyter.slurm.commands import USER, SlurmCommands
from qmio_jupyter.slurm.running import ProcessRunner


class HubAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be looked at."""

    config: str
    #: A user's account for whom the run-as prefix is tried; empty: the configuration's own map names one, or none.
    user: str = ""


def look(ask: HubAsk) -> HubFacts:
    """Return what the hub's configuration says, and what is found where it leads."""
    import jupyterhub

    version = jupyterhub.__version__
    try:
        app, spawner, proxy, unknown = _loaded(ask.config)
    except (SystemExit, Exception) as problem:  # noqa: BLE001 - it is a program: anything may go wrong in it
        return HubFacts(
            version=version, why=f"{type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
        )
    from qmio_jupyter.hub.spawner import QmioSpawner

    command = list(getattr(proxy, "command", []) or [""])
    found = HubFacts(
        version=version,
        spawner=f"{type(spawner).__module__}.{type(spawner).__qualname__}",
        is_ours=isinstance(spawner, QmioSpawner),
        unknown=tuple(unknown),
        api_url=str(app.hub.api_url),
        cleans_up=bool(app.cleanup_servers),
        proxy=type(proxy).__name__,
        proxy_starts=bool(proxy.should_start),
        proxy_command=str(command[0]),
        proxy_path=shutil.which(str(command[0])) or "",
    )
    if not isinstance(spawner, QmioSpawner):
        return found
    try:
        return _ours(found, spawner, ask.user)
    except (QmioError, TypeError, ValueError, msgspec.ValidationError) as problem:
        return msgspec.structs.replace(
            found, why=problem.message if isinstance(problem, QmioError) else str(problem)
        )


def _loaded(path: str) -> tuple[Any, Any, Any, list[str]]:
    """Return app, spawner and proxy as configured, and the settings that none of them knows."""
    import logging

    from jupyterhub.app import JupyterHub
    from traitlets.config.loader import PyFileConfigLoader

    logging.disable(logging.CRITICAL)
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"{path} is no file that this user can read")
    config = PyFileConfigLoader(place.name, path=str(place.parent)).load_config()
    app = JupyterHub(config=config)
    app.init_hub()
    spawner, proxy = app.spawner_class(config=config), app.proxy_class(config=config)
    unknown = []
    for owner in (app, spawner, proxy):
        for cls in type(owner).__mro__:
            section = config.get(cls.__name__) if hasattr(cls, "class_traits") else None
            if section:
                known = type(owner).class_traits(config=True)
                unknown += [f"c.{cls.__name__}.{name}" for name in section if name not in known]
    return app, spawner, proxy, sorted(set(unknown))


def _ours(found: HubFacts, spawner: Any, user: str) -> HubFacts:
    prefix = tuple(spawner.exec_prefix)
    commands = SlurmCommands(**{**spawner.slurm, "run_as": prefix})
    names = ["sbatch", "squeue", "scancel", "scontrol", "sinfo", *(["sacctmgr"] * spawner.has_accounts)]
    slurm = ask_slurm.look(commands, names, has_accounts=spawner.has_accounts)
    journal = Path(spawner.journal)
    entries, undoing, unreadable = _entries(journal)
    addresses = [GatewayAddress(**one) for one in spawner.gateways]
    pins, links = [], []
    for address in addresses:
        pin, link = _gateway(address, spawner.munge_socket, slurm.cluster)
        pins.append(pin)
        links.append(link)
    wanted = user or _somebody(spawner.user_map)
    environment = dict(spawner.environment)
    return msgspec.structs.replace(
        found,
        journal=look_at(journal) if journal.is_absolute() else None,
        entries=entries,
        undoing=tuple(undoing),
        unreadable=tuple(unreadable),
        gateways=tuple(pins),
        links=tuple(link for link in links if link is not None),
        node_endpoint=spawner.node_endpoint,
        server_ports=spawner.server_ports,
        python=spawner.python,
        command=str(spawner.cmd[0]) if spawner.cmd else "",
        seal=spawner.seal,
        munge_socket=spawner.munge_socket,
        node_munge_socket=str(environment.get(SOCKET_VARIABLE, "")),
        slurm_config=commands.config,
        sbatch=commands.sbatch,
        licence_prefix=spawner.licence_prefix,
        exec_prefix=prefix,
        run_as=_run_as(commands, wanted) if prefix and wanted else None,
        munge=ask_slurm.look_at_munge(spawner.munge_socket) if spawner.seal else None,
        slurm=slurm,
    )


def _somebody(user_map: object) -> str:
    return str(next(iter(user_map.values()), "")) if isinstance(user_map, Mapping) else ""


def _gateway(address: GatewayAddress, munge_socket: str, cluster: str) -> tuple[PinFacts, LinkFacts | None]:
    path = Path(address.key_file)
    pin = PinFacts(endpoint=address.endpoint, server_key=address.server_key, key_file=look_at(path))
    try:
        keys = read_keys(path)
    except QmioError as error:
        return msgspec.structs.replace(pin, key_why=error.message), None
    link = ask_link.look(address, keys, munge_socket=munge_socket, cluster=cluster)
    return msgspec.structs.replace(pin, public=keys.public), link


def _entries(journal: Path) -> tuple[int, list[tuple[str, float]], list[str]]:
    """Return how many starts are written down, those being undone with their ages in s, and unreadable files."""
    from qmio_jupyter.hub.journal import Entry

    count, undoing, unreadable = 0, [], []
    for path in sorted(journal.glob("g-*.json")):
        try:
            age_s = time.time_ns() / 1e9 - path.stat().st_mtime
            entry = msgspec.json.decode(read_private(path), type=Entry)
        except FileNotFoundError:
            continue
        except Exception:  # noqa: BLE001 - whatever it is, the administrator is told of the file
            unreadable.append(path.name)
            continue
        count += 1
        if entry.saga.is_undoing:
            undoing.append((entry.saga.job_name, age_s))
    return count, undoing, unreadable


def _run_as(commands: SlurmCommands, user: str) -> RunAsFacts:
    """Try the prefix as the hub will use it; and what it must not do, where that can be asked."""
    tried = {}
    for path in (commands.sbatch, commands.scancel):
        tried[path] = _tried([*commands.prefix(user), path, "--version"], commands)
    too_much = []
    first = commands.run_as[0]
    if first.endswith("/sudo"):
        # Asked, not done.
        for words, what in (
            (["-u", user, "/bin/sh"], f"any command for {user} (/bin/sh)"),
            (["-u", "root", commands.sbatch], f"{commands.sbatch} for root"),
        ):
            if not _tried([first, "-n", "-l", *words], commands):
                too_much.append(what)
    elif first.endswith(("/runuser", "/setpriv", "/su")) or os.geteuid() == 0:
        too_much.append(f"anything for anybody: the hub itself is root ({first} needs that)")
    return RunAsFacts(user=user, tried=tried, too_much=tuple(too_much))


def _tried(argv: list[str], commands: SlurmCommands) -> str:
    """Return why a command line fails; empty: it does not."""
    if USER in argv:
        return f"{USER} is left in the prefix"
    try:
        code, _, err = ProcessRunner().run(argv, timeout_s=commands.timeout_s, environ=commands.environment())
    except QmioError as error:
        return error.message
    return "" if code == 0 else (" ".join(err.split())[:200] or f"it ended with status {code}")
