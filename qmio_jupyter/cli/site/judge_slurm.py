"""What Slurm's facts mean. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qmio_jupyter.cli.site.facts import CommandFacts, SlurmFacts
from qmio_jupyter.cli.site.findings import Finding, ok, unasked, wrong

#: Beginning of the name of our scripts, as jupyterhub_config/slurm has them.
_OURS = "qmio"
_STICKY = 0o1000


def slurm(
    facts: SlurmFacts,
    devices: Sequence[str],
    *,
    prefix: str,
    required: bool | None,
    seal: bool,
    needs_secret: bool = False,
) -> Iterator[Finding]:
    """Judge Slurm as the hub, or the gateway, uses it.

    Parameters
    ----------
    facts : SlurmFacts
        What was found.
    devices : sequence of str
        The gateway's devices.
    prefix : str
        Of licences' names.
    required : bool, optional
        Whether the gateway opens sessions only for a licence; None: not known here.
    seal : bool
        Whether tokens stay out of jobs' environments.
    needs_secret : bool
        Whether the gateway takes no proofs but secrets that the prolog hands out.
    """
    yield commands(facts.commands)
    if facts.why:
        todo = "Is slurmctld up (scontrol ping), and slurm.conf the cluster's?"
        yield unasked("site.slurm.answers", facts.why, todo)
        return
    version = facts.config.get("SLURM_VERSION", "?")
    yield ok("site.slurm.answers", f"cluster {facts.cluster}, Slurm {version}")
    yield authentication(facts.config, seal=seal)
    yield sees_all(facts)
    if facts.accounts_why is not None:
        yield accounts(facts.accounts_why)
    yield from licences(facts, devices, prefix=prefix, required=required)
    yield scripts(facts.config, needs_secret=needs_secret)
    usable = [node.name for node in facts.nodes if node.is_usable]
    if usable:
        yield ok("site.slurm.nodes", f"{len(usable)} of {len(facts.nodes)} nodes take jobs")
    else:
        todo = "sinfo -R says why they are down or drained."
        yield wrong("site.slurm.nodes", f"none of {len(facts.nodes)} nodes takes jobs", todo)


def commands(found: Sequence[CommandFacts]) -> Finding:
    """Judge the commands: there, answering, and for nobody but root to change."""
    for command in found:
        path = command.path
        if command.why:
            todo = (
                "Correct its path (c.QmioSpawner.slurm, [gateway.slurm]), and install Slurm's clients here."
            )
            return wrong("site.slurm.commands", command.why, todo)
        for where, uid, mode in ((path.path, path.uid, path.mode), *path.above):
            if uid != 0 or (mode & 0o022 and not mode & _STICKY):
                found_text = f"{where} can be changed by others than root, and {path.path} is run from it"
                return wrong("site.slurm.commands", found_text, f"chown root {where} && chmod go-w {where}")
    versions = sorted({command.version for command in found})
    if len(versions) > 1:
        todo = "Use the clients of one installation."
        return wrong("site.slurm.commands", f"they are of different versions: {', '.join(versions)}", todo)
    names = ", ".join(command.path.path for command in found)
    return ok("site.slurm.commands", f"{names} ({versions[0] if versions else 'none'})")


def authentication(config: dict[str, str], *, seal: bool) -> Finding:
    """Judge what vouches for users, and whether Slurm would keep what is none of its business."""
    kind = config.get("AuthType", "")
    if kind != "auth/munge":
        return wrong(
            "site.slurm.auth", f"AuthType is {kind or 'not set'}", "AuthType=auth/munge in slurm.conf"
        )
    flags = config.get("AccountingStoreFlags", "").split(",")
    if "job_env" in flags and not seal:
        found = "AccountingStoreFlags=job_env stores jobs' environments, which hold servers' tokens"
        return wrong("site.slurm.auth", found, "Remove job_env, or c.QmioSpawner.seal = False.")
    return ok("site.slurm.auth", "auth/munge; tokens never pass through Slurm" if seal else "auth/munge")


def sees_all(facts: SlurmFacts) -> Finding:
    """Judge whether Slurm hides jobs from whoever asks it for all of them."""
    code = "site.slurm.sees_all"
    if "jobs" not in facts.config.get("PrivateData", "").split(","):
        return ok(code, "everybody is shown all jobs")
    if facts.user == "root" or facts.level in ("Operator", "Administrator"):
        return ok(code, f"PrivateData hides jobs, but not from {facts.user} ({facts.level or 'root'})")
    found = f"PrivateData=jobs hides everybody's jobs from {facts.user}, who takes them to have ended"
    return wrong(code, found, f"sacctmgr modify user {facts.user} set adminlevel=Operator")


def accounts(why: str) -> Finding:
    """Judge the accounting that ``has_accounts`` asks for."""
    if why:
        found = f"c.QmioSpawner.has_accounts is on, and {why}"
        return wrong(
            "site.slurm.accounts", found, "Set it only where slurmdbd runs: without, nobody can start."
        )
    return ok("site.slurm.accounts", "users are offered their accounts and QOS")


def licences(
    facts: SlurmFacts, devices: Sequence[str], *, prefix: str, required: bool | None
) -> Iterator[Finding]:
    """Judge the devices' licences, and whether Slurm plans for those that wait for one."""
    counted = 0
    for device in devices:
        name = f"{prefix}{device}"
        count = facts.licences.get(name)
        if count:
            counted += 1
            yield ok("site.slurm.licence", f"{name}: {count}")
        elif count == 0:
            yield wrong("site.slurm.licence", f"there are 0 of {name}", f"Licenses={name}:8 in slurm.conf")
        elif required:
            found = f"no licence {name}, and the gateway wants one for a session"
            yield wrong(
                "site.slurm.licence", found, f"Licenses={name}:8 in slurm.conf, then: scontrol reconfigure"
            )
        elif required is None:
            found = f"no licence {name}: its sessions are not counted"
            yield ok("site.slurm.licence", f"{found} (the gateway must have licence_required = false)")
        else:
            yield ok("site.slurm.licence", f"no licence {name}: its sessions are not counted")
    if not counted:
        return
    parameters = facts.config.get("SchedulerParameters", "").split(",")
    if "bf_licenses" in parameters:
        yield ok("site.slurm.bf_licenses", "SchedulerParameters has bf_licenses")
    else:
        found = "SchedulerParameters lacks bf_licenses: who waits for a licence has no expected start"
        yield wrong(
            "site.slurm.bf_licenses",
            found,
            "Add bf_licenses to SchedulerParameters, then: scontrol reconfigure",
        )


def scripts(config: dict[str, str], *, needs_secret: bool = False) -> Finding:
    """Judge prolog and epilog: the epilog may be left out, and so may the prolog where MUNGE proves jobs."""
    code = "site.slurm.prolog"
    prolog, epilog = (config.get(name, "") for name in ("Prolog", "Epilog"))
    if needs_secret and not _is_ours(prolog):
        found = (
            f"the gateway takes only secrets, and Prolog is not what hands them out ({prolog or 'not set'})"
        )
        return wrong(code, found, "Set Prolog and PrologFlags=Alloc as jupyterhub_config/slurm has them.")
    if _is_ours(prolog) and not _is_ours(epilog):
        found = f"Prolog={prolog} is set, and Epilog, which ends what it begins, is not ours ({epilog or 'not set'})"
        return wrong(code, found, "Set Epilog as jupyterhub_config/slurm has it.")
    if not _is_ours(epilog):
        return ok(code, "none of ours: sessions end with their jobs all the same, some seconds later")
    return ok(code, f"Epilog={epilog}{f', Prolog={prolog}' if _is_ours(prolog) else ''}")


def scripts_of(config: dict[str, str]) -> tuple[str, ...]:
    """Return those of our scripts that slurm.conf names, for a node to look at."""
    named = (config.get(name, "") for name in ("Prolog", "Epilog", "TaskProlog"))
    return tuple(path for path in named if _is_ours(path))


def _is_ours(path: str) -> bool:
    return re.search(rf"(^|[/,]){_OURS}[^/]*$", path) is not None or f"/{_OURS}/" in path
