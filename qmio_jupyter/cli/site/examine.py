"""Puts the doctor's halves together: asks part by part, judges, and never lets one part keep the others from it."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

import msgspec

from qmio_jupyter._version import __version__
from qmio_jupyter.cli.site import as_user, judge_gateway, judge_hub, judge_node, judge_slurm, probe_job
from qmio_jupyter.cli.site.ask_gateway import GatewayAsk
from qmio_jupyter.cli.site.ask_hub import HubAsk
from qmio_jupyter.cli.site.ask_node import NodeAsk
from qmio_jupyter.cli.site.ask_paths import look_at
from qmio_jupyter.cli.site.facts import GatewayFacts, HubFacts, SlurmFacts
from qmio_jupyter.cli.site.findings import Finding, ok, unasked
from qmio_jupyter.cli.site.probe_job import JobAsk
from qmio_jupyter.errors import ConfigError


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Where an installation's parts are; what is not on this host is empty."""

    hub_config: str = ""
    hub_user: str = ""
    gateway_config: str = ""
    gateway_home: str = ""
    gateway_user: str = ""
    #: A user of the hub, for what is tried for one.
    user: str = ""
    #: Run a job of hers.
    with_job: bool = False
    partition: str = ""
    device: str = ""


def examine(site: Site) -> Iterator[Finding]:
    """Yield a finding for every check that this host, and this user, can make."""
    if not site.hub_config and not site.gateway_config:
        todo = "Name them: --hub-config FILE, --gateway-config FILE."
        yield unasked(
            "site.here", "neither a hub's configuration nor a gateway's settings are on this host", todo
        )
        return
    parts = [name for name, path in (("hub", site.hub_config), ("gateway", site.gateway_config)) if path]
    yield ok("site.here", f"on this host: {' and '.join(parts)}")
    gateway: GatewayFacts | None = None
    hub: HubFacts | None = None
    if site.gateway_config:
        gateway, findings = _gateway(site)
        yield from findings
    if site.hub_config:
        hub, findings = _hub(site, gateway)
        yield from findings
    elif gateway is not None and gateway.link is not None:
        yield from judge_gateway.stranger(gateway.link)
    slurm = _slurm_of(hub, gateway)
    if slurm is not None:
        yield from _slurm(slurm, hub, gateway)
    own = None if gateway is None else gateway.slurm
    if own is not None and own is not slurm and not own.why:
        # The gateway asks as another user.
        yield judge_slurm.sees_all(own)
    if site.with_job and hub is not None and hub.is_ours:
        yield from _job(site, hub, slurm)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _gateway(site: Site) -> tuple[GatewayFacts | None, list[Finding]]:
    try:
        user = as_user.account(site.gateway_user)
        # The hub's part asks it better, with the hub's key.
        question = GatewayAsk(
            config=site.gateway_config, home=site.gateway_home, over_the_wire=not site.hub_config
        )
        facts = as_user.ask("gateway", question, GatewayFacts, user)
    except ConfigError as error:
        return None, [unasked("site.gateway.settings", error.message, error.hint)]
    path = look_at(Path(site.gateway_config), with_parents=True)
    return facts, list(judge_gateway.files(facts, path, user.pw_uid, _name_of))


def _hub(site: Site, gateway: GatewayFacts | None) -> tuple[HubFacts | None, list[Finding]]:
    try:
        user = as_user.account(site.hub_user)
    except ConfigError as error:
        return None, [unasked("site.hub.config", error.message, error.hint)]
    first = judge_hub.config(look_at(Path(site.hub_config), with_parents=True), user.pw_uid, _name_of)
    if first.verdict != "ok":
        # It is a program, and would be run.
        return None, [first]
    try:
        facts = as_user.ask("hub", HubAsk(config=site.hub_config, user=site.user), HubFacts, user)
    except ConfigError as error:
        return None, [first, unasked("site.hub.loads", error.message, error.hint)]
    nodes = facts.slurm.nodes if facts.slurm is not None else ()
    findings = [first, *judge_hub.hub(facts, user.pw_uid, _name_of, nodes)]
    for link in facts.links:
        findings += judge_gateway.link(link, facts, gateway)
    return facts, findings


def _slurm_of(hub: HubFacts | None, gateway: GatewayFacts | None) -> SlurmFacts | None:
    if hub is not None and hub.slurm is not None:
        return hub.slurm
    return None if gateway is None else gateway.slurm


def _devices(hub: HubFacts | None, gateway: GatewayFacts | None) -> tuple[str, ...]:
    for link in hub.links if hub is not None else ():
        if link.devices is not None:
            return tuple(device.name for device in link.devices)
    return () if gateway is None else gateway.devices


def _slurm(slurm: SlurmFacts, hub: HubFacts | None, gateway: GatewayFacts | None) -> Iterator[Finding]:
    prefix = (
        hub.licence_prefix if hub is not None else gateway.licence_prefix if gateway is not None else "qpu_"
    )
    required = gateway.licence_required if gateway is not None and not gateway.why else None
    needs_secret = gateway is not None and bool(gateway.proofs) and "munge" not in gateway.proofs
    yield from judge_slurm.slurm(
        slurm,
        _devices(hub, gateway),
        prefix=prefix,
        required=required,
        seal=hub is None or hub.seal,
        needs_secret=needs_secret,
    )


def _job(site: Site, hub: HubFacts, slurm: SlurmFacts | None) -> Iterator[Finding]:
    user = site.user or (hub.run_as.user if hub.run_as is not None else "")
    if not user:
        yield unasked("site.node.job", "no job was run", "Name a user of the hub: --user NAME")
        return
    if not hub.gateways or slurm is None or slurm.why:
        yield unasked(
            "site.node.job", "no job was run", "Mend what is wrong with Slurm and the gateways first."
        )
        return
    device = site.device or next(
        (name for name in _devices(hub, None) if slurm.licences.get(f"{hub.licence_prefix}{name}")), ""
    )
    licence = f"{hub.licence_prefix}{device}"
    question = NodeAsk(
        hub_url=hub.api_url,
        endpoint=hub.node_endpoint or hub.gateways[0].endpoint,
        server_key=hub.gateways[0].server_key,
        munge_socket=hub.node_munge_socket,
        command=hub.command,
        ports=hub.server_ports,
        scripts=judge_slurm.scripts_of(slurm.config),
        addresses={node.name: node.address for node in slurm.nodes},
    )
    asked = JobAsk(
        user=user,
        sbatch=hub.sbatch,
        python=hub.python,
        slurm_config=hub.slurm_config,
        partition=site.partition,
        licence=licence if slurm.licences.get(licence) else "",
    )
    yield from judge_node.job(probe_job.run(asked, question), python=hub.python, version=__version__)
