"""What the site's doctor says: one finding per check, with a stable code. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from qmio_jupyter.cli.exits import Exit

#: Every check: its stable code and what it looks at. A code never changes its meaning.
CHECKS: dict[str, str] = {
    "site.here": "which parts of the installation are on this host",
    "site.hub.config": "the hub's configuration: a file that only root or the hub's user can change",
    "site.hub.loads": "the hub's configuration loads",
    "site.hub.traits": "every setting in it is one that there is",
    "site.hub.spawner": "the spawner is ours",
    "site.hub.version": "JupyterHub's version",
    "site.hub.proxy": "the proxy is installed",
    "site.hub.address": "the address at which nodes reach the hub",
    "site.hub.cleanup": "a restart of the hub ends nobody's server",
    "site.hub.key": "the hub's key file: its user's, 0600",
    "site.hub.journal": "the hub's journal: its user's, 0700, on a local disk",
    "site.hub.debts": "nothing has waited long in the journal to be undone",
    "site.hub.run_as": "the run-as prefix runs sbatch and scancel for a user",
    "site.hub.run_as_narrow": "the run-as prefix runs nothing else, and for no system account",
    "site.gateway.settings": "the gateway's settings: readable, valid, and not for others to change",
    "site.gateway.home": "the gateway's directories: its user's, 0700, on a local disk",
    "site.gateway.keys": "the gateway's key files: its user's, 0600",
    "site.gateway.reach": "the gateway answers under the key that the hub has pinned",
    "site.gateway.issuer": "the gateway knows the hub's key as an issuer",
    "site.gateway.clock": "this host's clock and the gateway's",
    "site.gateway.ledger": "the gateway writes its ledger",
    "site.gateway.device": "each device has an agent, takes tasks, and how old its calibration is",
    "site.gateway.proofs": "the gateway reads this host's MUNGE credentials, and can ask Slurm",
    "site.munge": "MUNGE encodes and decodes here",
    "site.slurm.commands": "Slurm's commands, at absolute paths",
    "site.slurm.answers": "Slurm's controller answers",
    "site.slurm.auth": "Slurm's authentication is MUNGE's, and job environments are not stored where they hold tokens",
    "site.slurm.sees_all": "hub and gateway are shown everybody's jobs",
    "site.slurm.accounts": "the accounting, where the hub is to offer users their accounts",
    "site.slurm.licence": "each device's licence",
    "site.slurm.bf_licenses": "Slurm plans for those that wait for a licence",
    "site.slurm.prolog": "prolog and epilog",
    "site.slurm.nodes": "there are nodes on which jobs can start",
    "site.node.job": "a job of a user starts",
    "site.node.python": "the nodes' interpreter has this version of qmio_jupyter",
    "site.node.server": "the single-user server's command is on the nodes",
    "site.node.scripts": "our prolog and epilog, where slurm.conf names them, are on the nodes",
    "site.node.disk": "the nodes have a local place for keys",
    "site.node.hub": "a node reaches the hub",
    "site.node.session": "a job on a node proves itself and opens a session",
    "site.node.clock": "a node's clock and the gateway's",
    "site.node.listens": "the hub's host reaches a server's port on a node",
}


class Verdict(StrEnum):
    """How a check ends."""

    OK = "ok"
    WRONG = "wrong"
    #: Nobody knows: what had to be asked did not answer, or may not be asked by whoever asks.
    UNASKED = "could not ask"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's outcome: what was found and where, and what to do next."""

    code: str
    verdict: Verdict
    found: str
    todo: str = ""

    def line(self) -> str:
        """Return it as one line."""
        text = self.found if not self.todo else f"{self.found.rstrip('.')}. {self.todo}"
        return " ".join(f"{self.verdict:<13} {self.code:<24} {text}".split("\n")).rstrip()


def ok(code: str, found: str) -> Finding:
    """Return that a check is good."""
    assert code in CHECKS
    return Finding(code=code, verdict=Verdict.OK, found=found)


def wrong(code: str, found: str, todo: str) -> Finding:
    """Return what is wrong, and how to mend it."""
    assert code in CHECKS
    return Finding(code=code, verdict=Verdict.WRONG, found=found, todo=todo)


def unasked(code: str, found: str, todo: str) -> Finding:
    """Return why nobody knows, and how it can be known."""
    assert code in CHECKS
    return Finding(code=code, verdict=Verdict.UNASKED, found=found, todo=todo)


def exit_of(findings: Iterable[Finding]) -> Exit:
    """Return the exit status: 1 if something is wrong, else 6 if something could not be asked, else 0."""
    verdicts = {finding.verdict for finding in findings}
    if Verdict.WRONG in verdicts:
        return Exit.ERROR
    return Exit.UNREACHABLE if Verdict.UNASKED in verdicts else Exit.OK
