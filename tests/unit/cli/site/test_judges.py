"""What facts mean: each verdict of each check, by its facts alone."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.cli.site import judge_files, judge_gateway, judge_hub, judge_node, judge_slurm
from qmio_jupyter.cli.site.facts import (
    CommandFacts,
    DeviceFacts,
    GatewayFacts,
    HubFacts,
    JobFacts,
    LinkFacts,
    MungeFacts,
    NodeFacts,
    PathFacts,
    PinFacts,
    ProbeJob,
    RunAsFacts,
    SlurmFacts,
)
from qmio_jupyter.cli.site.findings import CHECKS, Finding, Verdict, exit_of, ok, unasked, wrong

UID = 990


def name_of(uid: int) -> str:
    return {0: "root", UID: "jupyterhub"}.get(uid, f"uid {uid}")


def file(path: str = "/etc/x", **changes: Any) -> PathFacts:
    usual: dict[str, Any] = {"kind": "file", "uid": UID, "mode": 0o600, "filesystem": "ext4"}
    return PathFacts(path=path, **(usual | changes))


def only(findings: Any) -> Finding:
    (found,) = findings
    assert isinstance(found, Finding)
    return found


# ---------------------------------------------------------------- findings


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [("", 0), ("o", 0), ("ou", 6), ("ouw", 1), ("ow", 1)],
)
def test_exit_status(verdicts: str, status: int) -> None:
    made = {
        "o": ok("site.munge", "x"),
        "u": unasked("site.munge", "x", "y"),
        "w": wrong("site.munge", "x", "y"),
    }
    assert exit_of(made[one] for one in verdicts) == Exit(status)


def test_a_finding_is_one_line_with_code_and_advice() -> None:
    line = wrong("site.munge", "it is\nout.", "Mend it.").line()
    assert line.split(maxsplit=2) == ["wrong", "site.munge", "it is out. Mend it."]
    assert "\n" not in line


def test_no_check_is_without_a_meaning() -> None:
    assert all(code.startswith("site.") and title for code, title in CHECKS.items())


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"uid": 0, "mode": 0o644}, ""),
        ({"uid": 7}, "belongs to uid 7"),
        ({"mode": 0o664}, "mode 0664"),
        ({"kind": "link"}, "is a link"),
        ({"why": "Permission denied"}, "Permission denied"),
        ({"above": (("/etc", 0, 0o755), ("/", 0, 0o755))}, ""),
        ({"above": (("/tmp", 0, 0o1777),)}, ""),
        ({"above": (("/etc", 0, 0o777),)}, "/etc is open to others"),
        ({"above": (("/etc", 7, 0o755),)}, "/etc belongs to uid 7"),
    ],
)
def test_configuration(changes: dict[str, Any], says: str) -> None:
    found, todo = judge_files.fault_of_config(file(**changes), UID, name_of)
    assert says in found
    assert bool(found) == bool(todo) == bool(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"mode": 0o400}, ""),
        ({"mode": 0o640}, "wider than 0600"),
        ({"uid": 0}, "belongs to root"),
        ({"kind": "directory"}, "is a directory"),
        ({"why": "No such file or directory"}, "No such file"),
    ],
)
def test_secret_files(changes: dict[str, Any], says: str) -> None:
    found, todo = judge_files.fault_of_secret(file(**changes), UID, name_of)
    assert says in found
    assert bool(found) == bool(todo) == bool(says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"mode": 0o750}, "open to others"),
        ({"uid": 0}, "belongs to root"),
        ({"is_remote": True, "filesystem": "nfs4"}, "network file system (nfs4)"),
        ({"kind": "file"}, "is a file"),
    ],
)
def test_directories(changes: dict[str, Any], says: str) -> None:
    usual: dict[str, Any] = {"kind": "directory", "mode": 0o700}
    found, _ = judge_files.fault_of_directory(file(**(usual | changes)), UID, name_of)
    assert says in found
    assert bool(found) == bool(says)


# ---------------------------------------------------------------- hub


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("5.3.0", "ok"),
        ("6.1.1", "ok"),
        ("5.2.9", "wrong"),
        ("7.0.0", "wrong"),
        ("4.1", "wrong"),
        ("", "wrong"),
    ],
)
def test_versions_of_the_hub(version: str, verdict: str) -> None:
    assert judge_hub.version(version).verdict == verdict


@pytest.mark.parametrize(
    ("url", "address", "verdict"),
    [
        ("http://127.0.0.1:8081/hub/api", "10.0.0.7", "wrong"),
        ("http://localhost:8081/hub/api", "10.0.0.7", "wrong"),
        ("http://10.0.0.4:8081/hub/api", "10.0.0.7", "ok"),
        ("http://127.0.0.1:8081/hub/api", "127.0.0.1", "ok"),
        ("http://hub.example.org:8081/hub/api", "n1.example.org", "ok"),
    ],
)
def test_the_hubs_address_is_of_use_to_the_nodes(url: str, address: str, verdict: str) -> None:
    nodes = (NodeFacts(name="n1", address=address, is_usable=True),)
    assert judge_hub.address(url, nodes).verdict == verdict


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"proxy_starts": False}, "ok"),
        ({"proxy_starts": True, "proxy_command": "chp", "proxy_path": "/usr/bin/chp"}, "ok"),
        ({"proxy_starts": True, "proxy_command": "chp"}, "wrong"),
        ({"proxy_starts": True}, "ok"),
    ],
)
def test_proxies(changes: dict[str, Any], verdict: str) -> None:
    assert judge_hub.proxy(HubFacts(proxy="P", **changes)).verdict == verdict


@pytest.mark.parametrize(
    ("undoing", "unreadable", "verdict"),
    [
        ((), (), "ok"),
        ((("qmio-g", 30.0),), (), "ok"),
        ((("qmio-g", 30.0), ("qmio-h", 601.0)), (), "wrong"),
        ((), ("g-0.json",), "wrong"),
    ],
)
def test_debts(undoing: Any, unreadable: Any, verdict: str) -> None:
    facts = HubFacts(journal=file(kind="directory", mode=0o700), undoing=undoing, unreadable=unreadable)
    _, debts = judge_hub.journal(facts, UID, name_of)
    assert debts.verdict == verdict


def test_the_run_as_prefix() -> None:
    sudo = ("/usr/bin/sudo",)
    assert [one.verdict for one in judge_hub.run_as((), None)] == ["wrong"]
    assert [one.verdict for one in judge_hub.run_as(sudo, None)] == ["could not ask"]
    good = RunAsFacts(user="ana", tried={"/usr/bin/sbatch": ""})
    assert [one.verdict for one in judge_hub.run_as(sudo, good)] == ["ok", "ok"]
    bad = replace(good, tried={"/usr/bin/sbatch": "a password is required"}, too_much=("sbatch for root",))
    first, second = judge_hub.run_as(sudo, bad)
    assert (first.verdict, second.verdict) == ("wrong", "wrong")
    assert "a password is required" in first.found
    assert "sbatch for root" in second.found


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (None, "wrong"),
        (MungeFacts(), "ok"),
        (MungeFacts(why="munged could not be asked"), "wrong"),
        (MungeFacts(age_s=-40.0), "wrong"),
    ],
)
def test_munge(facts: MungeFacts | None, verdict: str) -> None:
    assert judge_hub.munge(facts, "this host").verdict == verdict


# ---------------------------------------------------------------- Slurm

GOOD = SlurmFacts(
    commands=(CommandFacts(path=file("/usr/bin/squeue", uid=0, mode=0o755), version="slurm 22.05.8"),),
    cluster="c",
    config={"AuthType": "auth/munge", "SchedulerParameters": "a,bf_licenses", "SLURM_VERSION": "22.05.8"},
    licences={"qpu_echo": 8},
    nodes=(NodeFacts(name="n1", address="10.0.0.7", is_usable=True),),
)


def slurm(facts: SlurmFacts, *, required: bool | None = True, seal: bool = True) -> dict[str, Verdict]:
    found = list(judge_slurm.slurm(facts, ["echo"], prefix="qpu_", required=required, seal=seal))
    return {one.code.removeprefix("site.slurm."): one.verdict for one in found if one.verdict != "ok"}


def config(**changes: str) -> SlurmFacts:
    return replace(GOOD, config=GOOD.config | changes)


@pytest.mark.parametrize(
    ("facts", "bad"),
    [
        (GOOD, {}),
        (replace(GOOD, why="Unable to contact slurm controller"), {"answers": "could not ask"}),
        (replace(GOOD, licences={}), {"licence": "wrong"}),
        (replace(GOOD, licences={"qpu_echo": 0}), {"licence": "wrong"}),
        (config(SchedulerParameters="bf_interval=1"), {"bf_licenses": "wrong"}),
        (config(AuthType="auth/none"), {"auth": "wrong"}),
        (config(AccountingStoreFlags="job_comment,job_env"), {}),
        (config(Epilog="/etc/slurm/qmio-epilog"), {}),
        (config(Prolog="/etc/slurm/qmio/prolog"), {"prolog": "wrong"}),
        (config(Prolog="/etc/slurm/qmio-prolog", Epilog="/etc/slurm/qmio-epilog"), {}),
        (config(Prolog="/etc/slurm/other", Epilog="/etc/slurm/more"), {}),
        (replace(GOOD, nodes=()), {"nodes": "wrong"}),
        (replace(GOOD, nodes=(replace(GOOD.nodes[0], is_usable=False),)), {"nodes": "wrong"}),
        (replace(config(PrivateData="accounts,jobs"), user="jupyterhub"), {"sees_all": "wrong"}),
        (replace(config(PrivateData="jobs"), user="jupyterhub", level="Operator"), {}),
        (replace(config(PrivateData="jobs"), user="root"), {}),
        (config(PrivateData="usage"), {}),
        (replace(GOOD, accounts_why=""), {}),
        (replace(GOOD, accounts_why="slurmdbd does not answer"), {"accounts": "wrong"}),
    ],
)
def test_slurm(facts: SlurmFacts, bad: dict[str, str]) -> None:
    assert slurm(facts) == bad


def test_a_gateway_that_takes_only_secrets_needs_the_prolog() -> None:
    for prolog, verdict in (("", "wrong"), ("/etc/slurm/qmio-prolog", "ok")):
        found = {"Prolog": prolog, "Epilog": "/etc/slurm/qmio-epilog"}
        assert judge_slurm.scripts(found, needs_secret=True).verdict == verdict
    assert judge_slurm.scripts_of(found | {"TaskProlog": "/etc/other"}) == tuple(found.values())


def test_tokens_in_environments_that_slurm_stores() -> None:
    assert slurm(config(AccountingStoreFlags="job_env"), seal=False) == {"auth": "wrong"}


@pytest.mark.parametrize("required", [False, None])
def test_a_licence_that_nobody_asks_for(required: bool | None) -> None:
    assert slurm(replace(GOOD, licences={}), required=required) == {}


def test_commands() -> None:
    good = GOOD.commands[0]
    assert judge_slurm.commands([good]).verdict == "ok"
    assert judge_slurm.commands([replace(good, why="it is not there")]).verdict == "wrong"
    other = replace(good, version="slurm 24.11.5")
    assert "different versions" in judge_slurm.commands([good, other]).found
    for changed in (
        replace(good.path, uid=7),
        replace(good.path, mode=0o775),
        replace(good.path, above=(("/opt", 7, 0o755),)),
        replace(good.path, above=(("/opt", 0, 0o777),)),
    ):
        assert judge_slurm.commands([replace(good, path=changed)]).verdict == "wrong"
    sticky = replace(good.path, above=(("/tmp", 0, 0o1777),))
    assert judge_slurm.commands([replace(good, path=sticky)]).verdict == "ok"


# ---------------------------------------------------------------- gateway

DEVICE = DeviceFacts(
    name="qpu", state="idle", takes_tasks=True, agents=1, is_simulator=False, snapshot_age_s=60
)
LINK = LinkFacts(
    endpoint="tcp://g:1",
    role="issuer",
    software="centre",
    store_ok=True,
    devices=(DEVICE,),
    cluster="c",
    proof_code="auth.credential",
    proof_why="no job '0' of uid 990 runs",
)
PIN = PinFacts(endpoint="tcp://g:1", server_key="K" * 40, key_file=file(), public="P" * 40)


def link(facts: LinkFacts, own: GatewayFacts | None = None) -> dict[str, Verdict]:
    found = list(judge_gateway.link(facts, HubFacts(gateways=(PIN,)), own))
    return {one.code.removeprefix("site.gateway."): one.verdict for one in found if one.verdict != "ok"}


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({}, {}),
        ({"port_why": "refused"}, {"reach": "could not ask"}),
        ({"code": "auth", "why": "the handshake failed"}, {"reach": "wrong"}),
        ({"code": "deadline", "why": "no answer"}, {"reach": "could not ask"}),
        ({"skew_s": -2.5}, {"clock": "wrong"}),
        ({"skew_s": 1.9}, {}),
        ({"role": "none"}, {"issuer": "wrong"}),
        ({"role": "monitor"}, {"issuer": "wrong"}),
        ({"store_ok": False}, {"ledger": "wrong"}),
        ({"devices": ()}, {"device": "wrong"}),
        ({"devices": None, "devices_why": "no role"}, {"device": "could not ask"}),
        ({"cluster": ""}, {"proofs": "could not ask"}),
        ({"proof_code": "auth.munge", "proof_why": "munged"}, {"proofs": "could not ask"}),
        ({"proof_code": "slurm.unreachable", "proof_why": "squeue"}, {"proofs": "wrong"}),
        ({"proof_why": "the MUNGE credential is not valid here"}, {"proofs": "wrong"}),
        ({"proof_why": "This gateway takes no proofs from Slurm jobs"}, {"proofs": "wrong"}),
        ({"proof_code": "deadline", "proof_why": "no answer"}, {"proofs": "could not ask"}),
        ({"proof_code": "", "proof_why": "a session was opened"}, {"proofs": "could not ask"}),
    ],
)
def test_the_gateway_over_the_wire(changes: dict[str, Any], bad: dict[str, str]) -> None:
    assert link(replace(LINK, **changes)) == bad


def test_the_pinned_key_is_compared_where_both_are_here() -> None:
    assert link(LINK, GatewayFacts(public="K" * 40)) == {}
    assert link(LINK, GatewayFacts(public="L" * 40)) == {"reach": "wrong"}
    assert link(LINK, GatewayFacts()) == {}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "ok"),
        ({"agents": 0}, "wrong"),
        ({"takes_tasks": False, "state": "offline"}, "wrong"),
        ({"snapshot_age_s": None}, "ok"),
        ({"snapshot_age_s": 3 * 86_400.0}, "wrong"),
        ({"snapshot_age_s": 3 * 86_400.0, "is_simulator": True}, "ok"),
    ],
)
def test_devices(changes: dict[str, Any], verdict: str) -> None:
    assert judge_gateway.device(replace(DEVICE, **changes)).verdict == verdict


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({}, set()),
        ({"why": "$.gateway.colour"}, {"site.gateway.settings"}),
        ({"is_embedded": True}, {"site.gateway.settings"}),
        ({"verifier": ""}, {"site.gateway.settings"}),
        ({"issuers": ()}, {"site.gateway.settings"}),
        ({"home": (file(kind="directory", mode=0o755),)}, {"site.gateway.home"}),
        ({"keys": (file(mode=0o644),)}, {"site.gateway.keys"}),
        ({"munge": MungeFacts(why="no")}, {"site.munge"}),
    ],
)
def test_the_gateways_own_files(changes: dict[str, Any], bad: set[str]) -> None:
    usual: dict[str, Any] = {
        "verifier": "slurm",
        "issuers": ("P" * 40,),
        "munge": MungeFacts(),
        "devices": ("echo",),
    }
    facts = GatewayFacts(**(usual | changes))
    found = judge_gateway.files(facts, file(mode=0o644), UID, name_of)
    assert {one.code for one in found if one.verdict != "ok"} == bad


# ---------------------------------------------------------------- nodes

JOB = JobFacts(
    node="n1",
    version="1",
    python="/opt/python",
    server=file("/opt/lab", mode=0o755),
    disk="/tmp/qmio-990",
    hub_url="http://h",
    endpoint="tcp://g:1",
    skew_s=0.1,
    address="10.0.0.7",
    port=4000,
)


@pytest.mark.parametrize(
    ("changes", "bad"),
    [
        ({}, {}),
        ({"version": "2"}, {"python": "wrong"}),
        ({"server": file(mode=0o644)}, {"server": "wrong"}),
        ({"server": PathFacts(path="/opt/lab", why="No such file")}, {"server": "wrong"}),
        ({"scripts": (file("/etc/slurm/qmio-epilog", uid=0, mode=0o755),)}, {}),
        ({"scripts": (file("/etc/slurm/qmio-epilog", uid=0, mode=0o644),)}, {"scripts": "wrong"}),
        ({"scripts": (file("/etc/slurm/qmio-epilog", uid=0, mode=0o775),)}, {"scripts": "wrong"}),
        ({"scripts": (file("/etc/slurm/qmio-epilog", mode=0o755),)}, {"scripts": "wrong"}),
        ({"scripts": (PathFacts(path="/etc/slurm/qmio-epilog", why="No such file"),)}, {"scripts": "wrong"}),
        ({"disk_why": "another user's"}, {"disk": "wrong"}),
        ({"hub_why": "timed out"}, {"hub": "wrong"}),
        ({"session_code": "auth", "session_why": "no"}, {"session": "wrong"}),
        ({"skew_s": 70.0}, {"clock": "wrong"}),
        ({"port": 0, "port_why": "no address"}, {"listens": "wrong"}),
    ],
)
def test_a_node(changes: dict[str, Any], bad: dict[str, str]) -> None:
    probe = ProbeJob(user="ana", has_run=True, facts=replace(JOB, **changes), reached_why="")
    found = judge_node.job(probe, python="/opt/python", version="1")
    assert {one.code.removeprefix("site.node."): one.verdict for one in found if one.verdict != "ok"} == bad


def test_a_node_that_cannot_be_reached_from_the_hub() -> None:
    probe = ProbeJob(user="ana", has_run=True, facts=JOB, reached_why="10.0.0.7:4000: timed out")
    found = [one for one in judge_node.job(probe, python="p", version="1") if one.verdict != "ok"]
    assert only(found).code == "site.node.listens"


def test_a_job_that_does_not_run_and_one_that_cannot() -> None:
    found = list(judge_node.job(ProbeJob(user="ana", why="no node"), python="p", version="1"))
    assert only(found).verdict == "could not ask"
    probe = ProbeJob(user="ana", has_run=True, why="No module named 'qmio_jupyter'")
    assert [one.verdict for one in judge_node.job(probe, python="p", version="1")] == ["ok", "wrong"]


def test_the_whole_hub() -> None:
    facts = HubFacts(
        version="6.1.1",
        spawner="qmio_jupyter.hub.spawner.QmioSpawner",
        is_ours=True,
        api_url="http://10.0.0.4:8081/hub/api",
        proxy_starts=False,
        journal=file(kind="directory", mode=0o700),
        gateways=(PIN,),
        exec_prefix=("/usr/bin/sudo",),
        run_as=RunAsFacts(user="ana", tried={"/usr/bin/sbatch": ""}),
        munge=MungeFacts(),
    )
    found = list(judge_hub.hub(facts, UID, name_of, ()))
    assert {one.verdict for one in found} == {"ok"}
    for changes, code in (
        ({"unknown": ("c.QmioSpawner.x",)}, "traits"),
        ({"is_ours": False}, "spawner"),
        ({"cleans_up": True}, "cleanup"),
        ({"why": "TraitError: limits"}, "loads"),
        ({"gateways": ()}, "key"),
        ({"gateways": (replace(PIN, key_why="it is not a key file"),)}, "key"),
        ({"journal": None}, "journal"),
    ):
        bad = [
            one for one in judge_hub.hub(replace(facts, **changes), UID, name_of, ()) if one.verdict != "ok"
        ]
        assert only(bad).code == f"site.hub.{code}"
