"""What the gateway's facts mean, its own files' and those over the wire. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qmio_jupyter.cli.site.facts import DeviceFacts, GatewayFacts, HubFacts, LinkFacts, PathFacts
from qmio_jupyter.cli.site.findings import Finding, ok, unasked, wrong
from qmio_jupyter.cli.site.judge_files import fault_of_config, fault_of_directory, fault_of_secret
from qmio_jupyter.cli.site.judge_hub import munge

#: A clock that differs by more than this, in s, makes times confusing, and credentials look old.
SKEW_S = 2.0
#: A real device's calibration is taken every day; older, in s, nobody should trust it.
OLD_CALIBRATION_S = 2 * 86_400.0
#: How a proof for a job that there is not is refused where everything before that is good.
_NO_SUCH_JOB = "no job "

_PIN = "Put the gateway's public key into c.QmioSpawner.gateways (server_key)."

Names = Callable[[int], str]


def files(facts: GatewayFacts, config: PathFacts, uid: int, name_of: Names) -> Iterator[Finding]:
    """Judge settings, directories and keys on the gateway's host."""
    found, todo = fault_of_config(config, uid, name_of)
    if not found and facts.why:
        found, todo = facts.why, "Correct the named key; docs/reference/config lists all."
    if not found and facts.is_embedded:
        found, todo = (
            "the gateway is an embedded one, its owner's alone",
            "Set embedded = false in [gateway].",
        )
    if not found and facts.verifier != "slurm":
        found, todo = "the gateway opens no sessions for Slurm jobs", 'Set verifier = "slurm" in [gateway].'
    if not found and not facts.issuers:
        todo = "Add a [[gateway.keys]] table with the hub's public key, and restart it."
        found = "the settings name no issuer: no hub can ask for sessions"
    if found:
        yield wrong("site.gateway.settings", found, todo)
    else:
        yield ok("site.gateway.settings", f"{config.path}: {facts.endpoint}, {', '.join(facts.devices)}")
    yield _all(
        facts.home, "site.gateway.home", lambda one: fault_of_directory(one, uid, name_of), "not there yet"
    )
    yield _all(
        facts.keys,
        "site.gateway.keys",
        lambda one: fault_of_secret(one, uid, name_of),
        "made at the first start",
    )
    if facts.verifier == "slurm":
        yield munge(facts.munge, "the gateway's host")


def _all(
    paths: tuple[PathFacts, ...], code: str, fault: Callable[[PathFacts], tuple[str, str]], none: str
) -> Finding:
    for path in paths:
        found, todo = fault(path)
        if found:
            return wrong(code, found, todo)
    return ok(code, ", ".join(path.path for path in paths) or none)


def link(facts: LinkFacts, hub: HubFacts, own: GatewayFacts | None) -> Iterator[Finding]:
    """Judge what the gateway says to the hub; `own` are its files, where it is on this host."""
    pin = next((one for one in hub.gateways if one.endpoint == facts.endpoint), None)
    if own is not None and own.public and pin is not None and own.public != pin.server_key:
        found = f"the pinned key of {facts.endpoint} is {pin.server_key}, the gateway's is {own.public}"
        yield wrong("site.gateway.reach", found, _PIN)
        return
    first = reach(facts)
    yield first
    if first.verdict != "ok":
        return
    yield clock("site.gateway.clock", facts.skew_s, "this host's clock")
    yield issuer(facts, "" if pin is None else pin.public)
    if facts.devices is None:
        yield unasked(
            "site.gateway.device", facts.devices_why, "Mend what is wrong with the hub's key first."
        )
    else:
        if facts.store_ok:
            yield ok("site.gateway.ledger", "it is sound")
        else:
            yield wrong(
                "site.gateway.ledger", "the gateway cannot write it", f"Is its disk full? See {facts.log}"
            )
        if not facts.devices:
            yield wrong("site.gateway.device", "the gateway has no device", "Add a [[gateway.agents]] table.")
        for one in facts.devices:
            yield device(one)
    yield proofs(facts)


def stranger(facts: LinkFacts) -> Iterator[Finding]:
    """Judge what the gateway says to whom it does not know: on its own host, where the hub's key is not."""
    first = reach(facts)
    yield first
    if first.verdict == "ok":
        yield clock("site.gateway.clock", facts.skew_s, "this host's clock")
        yield proofs(facts)


def reach(facts: LinkFacts) -> Finding:
    """Judge whether the gateway is there, under the pinned key."""
    code = "site.gateway.reach"
    if facts.port_why:
        todo = "Does it run (systemctl status qmio-gateway), and may this host connect to it (firewall)?"
        return unasked(code, f"{facts.endpoint} cannot be connected to: {facts.port_why}", todo)
    if facts.code == "auth":
        return wrong(code, f"{facts.endpoint} is not the one whose key is pinned ({facts.why})", _PIN)
    if facts.code:
        todo = "Its log says why; is it another program that listens there?"
        return unasked(code, f"{facts.endpoint}: {facts.why}", todo)
    return ok(code, f"{facts.endpoint}: {facts.software}")


def clock(code: str, skew_s: float, whose: str) -> Finding:
    """Judge a difference between clocks."""
    found = f"{whose} is {skew_s:+.1f} s against the gateway's"
    if abs(skew_s) > SKEW_S:
        return wrong(code, found, "Synchronise both hosts' clocks (NTP): credentials are good for a minute.")
    return ok(code, found)


def issuer(facts: LinkFacts, public: str) -> Finding:
    """Judge whom the gateway takes the hub for."""
    if facts.role == "issuer":
        return ok("site.gateway.issuer", "it knows the hub's key as an issuer")
    found = f"it takes the hub for {'a stranger' if facts.role == 'none' else f'a {facts.role}'}"
    todo = f"Add to its settings: [[gateway.keys]] public = '{public}' role = \"issuer\"; restart it."
    return wrong("site.gateway.issuer", found, todo)


def device(facts: DeviceFacts) -> Finding:
    """Judge one device."""
    age_s = facts.snapshot_age_s
    of = "" if age_s is None else f", calibration {_age(age_s)} old"
    if not facts.agents or not facts.takes_tasks:
        found = f"{facts.name} is {facts.state}, with {facts.agents} agents{f' ({facts.note})' if facts.note else ''}"
        return wrong(
            "site.gateway.device", found, f"systemctl status qmio-agent@{facts.name}; its log says more."
        )
    if age_s is not None and age_s > OLD_CALIBRATION_S and not facts.is_simulator:
        found = f"{facts.name} is {facts.state}{of}"
        return wrong(
            "site.gateway.device", found, "Calibrate it, or see why its agent does not announce the new one."
        )
    return ok("site.gateway.device", f"{facts.name} is {facts.state}{of}")


def _age(age_s: float) -> str:
    return f"{age_s / 86_400:.0f} days" if age_s > 2 * 86_400 else f"{age_s / 3600:.0f} hours"


def proofs(facts: LinkFacts) -> Finding:
    """Judge how far a credential made here comes at the gateway."""
    code, why = "site.gateway.proofs", facts.proof_why
    if facts.proof_code == "auth.credential" and why.startswith(_NO_SUCH_JOB):
        if not facts.cluster:
            # It asks nobody about a cluster that is not its own.
            found = "it reads this host's MUNGE credentials; whether it can ask Slurm is not known"
            return unasked(code, found, "Have Slurm answer here first.")
        return ok(code, "it reads this host's MUNGE credentials and asks Slurm")
    if facts.proof_code == "auth.munge":
        return unasked(code, why, "Start munged on both hosts (systemctl start munge).")
    if facts.proof_code.startswith("slurm"):
        return wrong(
            code, f"the gateway cannot ask Slurm: {why}", "See squeue and scontrol on its host, as its user."
        )
    if facts.proof_code == "auth.credential":
        todo = "Both hosts need the cluster's /etc/munge/munge.key, and clocks that agree."
        return wrong(code, f"the gateway refuses this host's credential: {why}", todo)
    return unasked(code, why or "the gateway said nothing", "See its log.")
