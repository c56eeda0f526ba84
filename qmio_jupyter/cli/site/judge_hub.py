"""What the hub's facts mean. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from qmio_jupyter.cli.site.facts import HubFacts, MungeFacts, NodeFacts, PathFacts, RunAsFacts
from qmio_jupyter.cli.site.findings import Finding, ok, unasked, wrong
from qmio_jupyter.cli.site.judge_files import fault_of_config, fault_of_directory, fault_of_secret

#: JupyterHub's versions with which the spawner works: from, and before.
VERSIONS = ((5, 3), (7,))
#: A start that has been undone for so long waits for something that does not come, in s.
OLD_DEBT_S = 600.0
#: MUNGE's credentials are good for a minute; a clock that is set meanwhile shows as an age, in s.
_AGE_S = 5.0

Names = Callable[[int], str]


def config(path: PathFacts, uid: int, name_of: Names) -> Finding:
    """Judge the hub's configuration file."""
    found, todo = fault_of_config(path, uid, name_of)
    if found:
        return wrong("site.hub.config", found, todo)
    return ok("site.hub.config", f"{path.path} (mode {path.mode:04o}, {name_of(path.uid)}'s)")


def hub(facts: HubFacts, uid: int, name_of: Names, nodes: tuple[NodeFacts, ...]) -> Iterator[Finding]:
    """Judge everything that the hub's configuration says, but for Slurm and the gateway."""
    yield version(facts.version)
    if facts.why:
        yield wrong(
            "site.hub.loads",
            facts.why,
            "Correct the named line; docs/how-to/install-at-a-centre has an example.",
        )
        if not facts.spawner:
            return
    else:
        yield ok("site.hub.loads", "it loads")
    if facts.unknown:
        names = ", ".join(facts.unknown)
        yield wrong(
            "site.hub.traits",
            f"JupyterHub knows no {names}, and ignores it",
            "Correct the name, or remove it.",
        )
    else:
        yield ok("site.hub.traits", "every setting is known")
    if not facts.is_ours:
        todo = 'c.JupyterHub.spawner_class = "qmio"'
        yield wrong("site.hub.spawner", f"the spawner is {facts.spawner}", todo)
        return
    yield ok("site.hub.spawner", facts.spawner)
    yield proxy(facts)
    yield address(facts.api_url, nodes)
    if facts.cleans_up:
        found = "a restart of the hub ends all servers (JupyterHub.cleanup_servers is on)"
        yield wrong("site.hub.cleanup", found, "c.JupyterHub.cleanup_servers = False")
    else:
        yield ok("site.hub.cleanup", "servers outlive a restart of the hub")
    if facts.why:
        return
    yield from keys(facts, uid, name_of)
    yield from journal(facts, uid, name_of)
    yield from run_as(facts.exec_prefix, facts.run_as)
    yield munge(facts.munge, "the hub's host")


def version(found: str) -> Finding:
    """Judge JupyterHub's version."""
    if not found:
        return wrong("site.hub.version", "JupyterHub is not installed", "pip install 'qmio_jupyter[hub]'")
    numbers = tuple(int(part) for part in found.split(".")[:2] if part.isdigit())
    low, high = VERSIONS
    if low <= numbers < high:
        return ok("site.hub.version", f"JupyterHub {found}")
    wanted = f"{'.'.join(map(str, low))} or newer, before {high[0]}"
    return wrong(
        "site.hub.version", f"JupyterHub {found}; {wanted} is needed", "pip install 'qmio_jupyter[hub]'"
    )


def proxy(facts: HubFacts) -> Finding:
    """Judge whether the proxy can be started."""
    if not facts.proxy_starts:
        return ok("site.hub.proxy", f"{facts.proxy}, which somebody else starts")
    if not facts.proxy_command:
        return ok("site.hub.proxy", facts.proxy)
    if not facts.proxy_path:
        found = f"{facts.proxy_command} is not on the hub's PATH"
        return wrong(
            "site.hub.proxy",
            found,
            "Install it (npm install -g configurable-http-proxy), or name its path in c.ConfigurableHTTPProxy.command.",
        )
    return ok("site.hub.proxy", facts.proxy_path)


def address(api_url: str, nodes: tuple[NodeFacts, ...]) -> Finding:
    """Judge whether nodes can have any use for the address they are told."""
    host = urlsplit(api_url).hostname or ""
    elsewhere = [node.name for node in nodes if not _is_loopback(node.address)]
    if _is_loopback(host) and elsewhere:
        found = f"nodes are told that the hub is at {api_url}, which is themselves"
        return wrong(
            "site.hub.address", found, "Set c.JupyterHub.hub_bind_url to an address that they reach."
        )
    return ok("site.hub.address", f"nodes are told {api_url}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def keys(facts: HubFacts, uid: int, name_of: Names) -> Iterator[Finding]:
    """Judge the hub's key files."""
    if not facts.gateways:
        yield wrong(
            "site.hub.key",
            "c.QmioSpawner.gateways is empty",
            "Name the gateway, its key, and the hub's key file.",
        )
    for pin in facts.gateways:
        found, todo = fault_of_secret(pin.key_file, uid, name_of)
        if not found and pin.key_why:
            found, todo = pin.key_why, "Make a new one, and enrol it."
        if found:
            yield wrong("site.hub.key", found, todo)
        else:
            yield ok("site.hub.key", f"{pin.key_file.path} (mode {pin.key_file.mode:04o}, {name_of(uid)}'s)")


def journal(facts: HubFacts, uid: int, name_of: Names) -> Iterator[Finding]:
    """Judge the journal's directory, and what is in it."""
    place = facts.journal
    if place is None:
        yield wrong(
            "site.hub.journal",
            "c.QmioSpawner.journal is no absolute path",
            "Name a directory on a local disk.",
        )
        return
    if place.why == "No such file or directory":
        yield ok("site.hub.journal", f"{place.path} is made when the hub starts first")
    else:
        found, todo = fault_of_directory(place, uid, name_of)
        if found:
            yield wrong("site.hub.journal", found, todo)
        else:
            yield ok("site.hub.journal", f"{place.path} (mode {place.mode:04o}, {place.filesystem})")
    old = [(name, age_s) for name, age_s in facts.undoing if age_s > OLD_DEBT_S]
    if facts.unreadable:
        found = f"{place.path}/{facts.unreadable[0]} cannot be read ({len(facts.unreadable)} such)"
        yield wrong(
            "site.hub.debts",
            found,
            "Its name is a Slurm job's: scancel --name=qmio-<name>, then remove the file.",
        )
    elif old:
        name, age_s = max(old, key=lambda one: one[1])
        found = f"{len(old)} starts have not been undone, {name} for {age_s / 60:.0f} min"
        yield wrong(
            "site.hub.debts", found, "The hub's log says what does not answer: Slurm, or the gateway."
        )
    else:
        undone = f", {len(facts.undoing)} are being undone" if facts.undoing else ""
        yield ok("site.hub.debts", f"{facts.entries} starts and servers are written down{undone}")


def run_as(prefix: tuple[str, ...], tried: RunAsFacts | None) -> Iterator[Finding]:
    """Judge the run-as prefix."""
    if not prefix:
        found = (
            "c.QmioSpawner.exec_prefix is empty: all servers run as the hub's user, and nobody is isolated"
        )
        yield wrong("site.hub.run_as", found, "Use sudo: docs/how-to/install-at-a-centre says how.")
        return
    if tried is None:
        todo = "Name a user of the hub: --user NAME"
        yield unasked("site.hub.run_as", f"{' '.join(prefix)} was tried for nobody", todo)
        return
    failed = [(command, why) for command, why in tried.tried.items() if why]
    if failed:
        command, why = failed[0]
        found = f"{command} does not run for {tried.user}: {why}"
        todo = "Install jupyterhub_config/sudoers.d/jupyterhub (mode 0440), and put her into the group that it names."
        yield wrong("site.hub.run_as", found, todo)
    else:
        yield ok("site.hub.run_as", f"{' and '.join(tried.tried)} run for {tried.user}")
    if tried.too_much:
        found = f"the hub may run {'; '.join(tried.too_much)}"
        yield wrong(
            "site.hub.run_as_narrow", found, "Allow sbatch and scancel for the users' group only, by sudo."
        )
    else:
        yield ok("site.hub.run_as_narrow", "nothing else, and nothing for root")


def munge(facts: MungeFacts | None, where: str) -> Finding:
    """Judge a host's MUNGE."""
    if facts is None:
        found = "c.QmioSpawner.seal is off: servers' tokens travel in their jobs' environments"
        return wrong("site.munge", found, "Install MUNGE, and remove the setting.")
    if facts.why:
        todo = "Start munged (systemctl start munge); where its socket is elsewhere, name it in munge_socket."
        return wrong("site.munge", f"on {where}: {facts.why}", todo)
    if abs(facts.age_s) > _AGE_S:
        return wrong("site.munge", f"on {where} the clock jumped by {facts.age_s:.0f} s", "See to NTP.")
    return ok("site.munge", f"on {where} it encodes and decodes")
