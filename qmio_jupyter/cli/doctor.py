"""``jupyter qmio doctor``: look at everything a working installation needs, and say what to do."""

from __future__ import annotations

import platform
import pwd
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import zmq
from click.core import ParameterSource

from qmio_jupyter._version import __version__
from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.cli.shared import emit, json_option, plain
from qmio_jupyter.cli.stopping import running
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.config import connection, settings
from qmio_jupyter.config.filesystems import filesystem_type, is_network
from qmio_jupyter.config.places import Places, places
from qmio_jupyter.config.settings import Settings
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.device import DeviceState

#: What is used, and whether the client works without it.
_PACKAGES = (
    ("pyzmq", True),
    ("msgspec", True),
    ("click", True),
    ("ipykernel", False),
    ("jupyterlab", False),
    ("qiskit", False),
    ("qiskit-aer", False),
)
#: A clock that differs by more than this makes times confusing.
_SKEW_S = 2.0
_PING_S = 5.0
#: Where a centre's files are, as docs/how-to/install-at-a-centre puts them.
HUB_CONFIG = "/etc/jupyterhub/jupyterhub_config.py"
GATEWAY_CONFIG = "/etc/qmio/config.toml"
GATEWAY_HOME = "/var/lib/qmio"


_T = TypeVar("_T")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: ``ok``, ``warning`` or ``problem``, what was found, and what to do."""

    name: str
    verdict: str
    found: str
    todo: str = ""


@click.command()
@json_option
@click.option(
    "--site", "is_site", is_flag=True, help="Check a centre's hub, gateway, Slurm and nodes from this host."
)
@click.option(
    "--job", "with_job", is_flag=True, help="With --site: run a short job, for what only a node can tell."
)
@click.option(
    "--user", default="", metavar="NAME", help="A user of the hub: what is tried for one is tried for her."
)
@click.option("--hub-config", default=HUB_CONFIG, metavar="FILE", show_default=True)
@click.option(
    "--hub-user", default="", metavar="NAME", help="Who the hub runs as (jupyterhub, where there is one)."
)
@click.option("--gateway-config", default=GATEWAY_CONFIG, metavar="FILE", show_default=True)
@click.option(
    "--gateway-home", default=GATEWAY_HOME, metavar="DIRECTORY", help="Its QMIO_HOME.", show_default=True
)
@click.option(
    "--gateway-user", default="", metavar="NAME", help="Who the gateway runs as (qmio, where there is one)."
)
@click.option("--partition", default="", metavar="NAME", help="Partition of the job.")
@click.option("--device", default="", metavar="NAME", help="Device of the job.")
def command(as_json: bool, is_site: bool, **site: Any) -> int:
    """Check the installation: versions, server extension, places, connection file, gateway, devices, clock.

    Starts and changes nothing. Exit code 1 if there is a problem.

    With --site: check a centre's installation from this host, as root if you can, one line for each check: ok,
    wrong, or could not ask; a stable code; what was found, and what to do. Exit code 1 if something is wrong, 6 if
    nothing is but something could not be asked. Only --job starts something.
    """
    if is_site:
        return _site(as_json, **site)
    checks = list(examine())
    bad = any(check.verdict == "problem" for check in checks)
    if as_json:
        emit({"ok": not bad, "checks": [plain(check) for check in checks]})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            click.echo(f"{check.verdict:<8} {check.name:<{width}}  {check.found}")
            if check.todo:
                click.echo(f"{'':<8} {'':<{width}}  -> {check.todo}")
    return Exit.ERROR if bad else Exit.OK


def _site(as_json: bool, *, hub_user: str, gateway_user: str, **named: Any) -> int:
    from qmio_jupyter.cli.site.examine import Site, examine
    from qmio_jupyter.cli.site.findings import exit_of

    for name in ("hub_config", "gateway_config"):
        # A default that is not there is on another host; what was named has to be there.
        source = click.get_current_context().get_parameter_source(name)
        if source is ParameterSource.DEFAULT and not Path(named[name]).exists():
            named[name] = ""
    site = Site(
        hub_user=hub_user or _service("jupyterhub"), gateway_user=gateway_user or _service("qmio"), **named
    )
    findings = []
    for finding in examine(site):
        findings.append(finding)
        if not as_json:
            click.echo(finding.line())
    if as_json:
        emit({"ok": exit_of(findings) is Exit.OK, "checks": [plain(finding) for finding in findings]})
    return exit_of(findings)


def _service(name: str) -> str:
    """Return a service's user if there is one, else an empty text: whoever asks."""
    return name if any(one.pw_name == name for one in pwd.getpwall()) else ""


def examine() -> Iterator[Check]:
    """Yield every check, each independent of the others' outcome where it can be."""
    yield from _versions()
    yield from _server_extension()
    configured, check = _guarded("settings", settings.load)
    path, _ = settings.settings_path()
    yield check or Check(
        name="settings",
        verdict="ok",
        found=str(path) if path.exists() else f"defaults ({path} does not exist)",
    )
    found, check = _guarded("places", places)
    if found is None:
        if check is not None:
            yield check
        return
    yield from _places(found)
    yield from _connection(found)
    if configured is not None:
        yield from _gateway(found, configured)


def _guarded(name: str, look: Callable[[], _T]) -> tuple[_T | None, Check | None]:
    try:
        return look(), None
    except QmioError as error:
        return None, Check(name=name, verdict="problem", found=error.message, todo=error.hint)


def _versions() -> Iterator[Check]:
    yield Check(
        name="qmio_jupyter", verdict="ok", found=f"{__version__} on Python {platform.python_version()}"
    )
    for name, is_needed in _PACKAGES:
        try:
            yield Check(name=name, verdict="ok", found=metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(
                name=name,
                verdict="problem" if is_needed else "warning",
                found="not installed",
                todo=f"pip install {name}",
            )
    if not zmq.has("curve"):
        yield Check(
            name="CURVE",
            verdict="problem",
            found="this pyzmq has no CURVE encryption",
            todo="pip install --force-reinstall pyzmq (from a wheel)",
        )


def _server_extension() -> Iterator[Check]:
    """Say whether a Jupyter server started from this environment gets the extension, as that server finds out."""
    name = "server extension"
    try:
        from jupyter_core.paths import jupyter_config_path
        from jupyter_server.extension.config import ExtensionConfigManager

        import_module("qmio_jupyter.server.extension")
        manager = ExtensionConfigManager(read_config_path=jupyter_config_path())
        enabled = manager.get_jpserver_extensions()  # type: ignore[no-untyped-call]
    except ImportError as problem:
        yield Check(
            name=name,
            verdict="warning",
            found=f"it cannot be loaded ({problem}): cells have no Cancel button",
            todo="See: jupyter server extension list",
        )
        return
    if enabled.get("qmio_jupyter"):
        yield Check(name=name, verdict="ok", found="enabled: JupyterLab and Notebook show a Cancel button")
    else:
        yield Check(
            name=name,
            verdict="warning",
            found="not enabled: cells have no Cancel button; interrupting the kernel cancels as well",
            todo="jupyter server extension enable qmio_jupyter --sys-prefix, then restart the Jupyter server",
        )


def _places(found: Places) -> Iterator[Check]:
    for name, path in (("runtime directory", found.runtime), ("state directory", found.state)):
        kind = filesystem_type(path) or "unknown file system"
        remote = is_network(path)
        yield Check(
            name=name,
            verdict="warning" if remote else "ok",
            found=f"{path} ({kind})",
            todo="Set QMIO_HOME to a node-local directory." if remote else "",
        )
    for line in found.notes:
        yield Check(name="home", verdict="warning", found=line)


def _connection(found: Places) -> Iterator[Check]:
    path = found.connection_file
    if not path.exists():
        yield Check(
            name="connection file",
            verdict="ok",
            found="none: no gateway of yours runs here",
            todo="It is started when it is needed, or by: jupyter qmio up",
        )
        return
    written, check = _guarded("connection file", lambda: connection.read(path))
    if written is None:
        if check is not None:
            yield check
    elif connection.is_alive(written):
        yield Check(name="connection file", verdict="ok", found=f"{path} (process {written.pid})")
    else:
        yield Check(
            name="connection file",
            verdict="warning",
            found=f"{path} names process {written.pid}, which is gone: the gateway was killed",
            todo="Start it again: jupyter qmio up",
        )


def _gateway(found: Places, configured: Settings) -> Iterator[Check]:
    if not configured.client.gateways and running(found) is None:
        return
    client, check = _guarded("gateway", lambda: connect(start=False, timeout_s=_PING_S))
    if client is None:
        if check is not None:
            yield check
        return
    with client:
        try:
            yield from _answers(client, configured)
        except QmioError as error:
            yield Check(name="gateway", verdict="problem", found=error.message, todo=error.hint)


def _answers(client: Client, configured: Settings) -> Iterator[Check]:
    began = time.monotonic()
    client.ping(_PING_S)
    took_ms = 1000 * (time.monotonic() - began)
    state = client.gateway(_PING_S)
    yield Check(
        name="gateway", verdict="ok", found=f"{state.gateway}, {state.software}: ping {took_ms:.1f} ms"
    )
    yield Check(
        name="ledger",
        verdict="ok" if state.store_ok else "problem",
        found=f"{state.store}, {'sound' if state.store_ok else 'refusing writes'}",
        todo="" if state.store_ok else f"Is the disk full? See {state.log}",
    )
    welcome = client.welcome
    if welcome is not None:
        # The welcome is a moment old: its age is part of the difference, and far below what is told.
        skew = time.time_ns() / 1e9 - welcome.now_ms / 1000 - (time.monotonic() - began)
        yield Check(
            name="clock",
            verdict="ok" if abs(skew) < _SKEW_S else "warning",
            found=f"{skew:+.1f} s against the gateway",
            todo="" if abs(skew) < _SKEW_S else "Synchronise this host's clock (NTP).",
        )
    devices = {view.description.name: view for view in client.devices(_PING_S)}
    wanted = {agent.device for agent in configured.gateway.agents if agent.is_started}
    for name in sorted(wanted | set(devices) if not configured.client.gateways else set(devices)):
        view = devices.get(name)
        if view is None or view.state is DeviceState.OFFLINE or not view.agents:
            note = "" if view is None else view.note
            yield Check(
                name=f"device {name}",
                verdict="problem",
                found=note or "no agent",
                todo="Correct its configuration." if note else f"See the log: {state.log}",
            )
        else:
            yield Check(name=f"device {name}", verdict="ok", found=f"{view.state}, {view.queued} queued")
