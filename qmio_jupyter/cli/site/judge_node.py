"""What a job on a node found. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from qmio_jupyter.cli.site.facts import JobFacts, ProbeJob
from qmio_jupyter.cli.site.findings import Finding, ok, unasked, wrong
from qmio_jupyter.cli.site.judge_gateway import clock


def job(probe: ProbeJob, *, python: str, version: str) -> Iterator[Finding]:
    """Judge a probe job.

    Parameters
    ----------
    probe : ProbeJob
        How it went.
    python : str
        The interpreter it was to run.
    version : str
        Our version here.
    """
    facts = probe.facts
    if facts is None and not probe.has_run:
        todo = f"srun as {probe.user} says more; is a node free?"
        yield unasked("site.node.job", f"no job of {probe.user} has run: {probe.why}", todo)
        return
    yield ok("site.node.job", f"a job of {probe.user} ran{f' on {facts.node}' if facts is not None else ''}")
    if facts is None:
        todo = "Install qmio_jupyter there, or correct c.QmioSpawner.python."
        yield wrong("site.node.python", f"{python} cannot be used on the node: {probe.why}", todo)
        return
    if facts.version != version:
        found = f"{python} on {facts.node} has qmio_jupyter {facts.version}, here it is {version}"
        yield wrong("site.node.python", found, "Install the same version on the nodes.")
    else:
        yield ok("site.node.python", f"{facts.python} on {facts.node}: {facts.version}")
    yield from _more(facts)
    if facts.port_why:
        yield wrong(
            "site.node.listens",
            f"no port can be had on {facts.node}: {facts.port_why}",
            "See NodeAddr in slurm.conf.",
        )
    elif probe.reached_why:
        todo = "Open the nodes' ports to the hub's host and its proxy: docs/how-to/open-ports has the table."
        yield wrong("site.node.listens", f"the hub's host cannot reach {probe.reached_why}", todo)
    else:
        yield ok("site.node.listens", f"{facts.address}:{facts.port} was reached from here")


def _more(facts: JobFacts) -> Iterator[Finding]:
    server = facts.server
    if server is not None:
        if server.kind != "file" or not server.mode & 0o111:
            found = f"{server.path} on {facts.node} is not there, or not executable"
            yield wrong(
                "site.node.server", found, "Install jupyterhub and jupyterlab beside the nodes' interpreter."
            )
        else:
            yield ok("site.node.server", f"{server.path} on {facts.node}")
    yield from _scripts(facts)
    if facts.disk_why:
        yield wrong(
            "site.node.disk",
            f"on {facts.node}: {facts.disk_why}",
            "Have /tmp or /run/user on the node itself.",
        )
    else:
        yield ok("site.node.disk", f"{facts.disk} on {facts.node}")
    if facts.hub_url:
        if facts.hub_why:
            todo = "Does the hub run, and may the nodes connect to it (firewall, c.JupyterHub.hub_bind_url)?"
            yield wrong(
                "site.node.hub", f"{facts.node} does not reach {facts.hub_url}: {facts.hub_why}", todo
            )
        else:
            yield ok("site.node.hub", f"{facts.node} reaches {facts.hub_url}")
    if facts.endpoint:
        if facts.session_why:
            found = f"no session for a job on {facts.node}: [{facts.session_code}] {facts.session_why}"
            yield wrong(
                "site.node.session", found, "The gateway's log says more; the same holds for every job."
            )
        else:
            yield ok(
                "site.node.session",
                f"a job on {facts.node} opened a session at {facts.endpoint}, and closed it",
            )
    if facts.skew_s is not None:
        yield clock("site.node.clock", facts.skew_s, f"{facts.node}'s clock")


def _scripts(facts: JobFacts) -> Iterator[Finding]:
    """Judge the scripts: Slurm runs them as root, and takes a node out whose script cannot be run."""
    for one in facts.scripts:
        if one.kind != "file" or not one.mode & 0o111:
            found = f"{one.path} on {facts.node} is not there, or not executable"
            yield wrong("site.node.scripts", found, "Put it there (jupyterhub_config/slurm), mode 0755.")
        elif one.uid != 0 or one.mode & 0o022:
            found = f"{one.path} on {facts.node} can be changed by others than root, who runs it"
            yield wrong("site.node.scripts", found, f"chown root {one.path}; chmod 755 {one.path}")
        else:
            yield ok("site.node.scripts", f"{one.path} on {facts.node}")
