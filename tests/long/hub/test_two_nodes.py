"""Two users at once on two nodes with addresses of their own: neither reads, ends or passes for the other."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from qmio_jupyter.auth.keys import read_keys
from qmio_jupyter.model.access import Role
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.door import Door, credential, refusal
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub, Kernel
from qmio_jupyter.testing.slurm import MiniSlurm, NodeSpec
from qmio_jupyter.testing.visitor import Visitor
from qmio_jupyter.wire import messages as m
from tests.integration.hub.conftest import NAMES
from tests.integration.hub.test_both_or_neither import nothing_is_left
from tests.long.hub.test_failures import Asked

pytestmark = [pytest.mark.timeout(400), pytest.mark.root]

#: What a user's own kernel is told to try at the other's, in the kernel; prints one line of JSON.
TRY = """
import glob, json, os, pathlib, subprocess, urllib.error, urllib.request
other = json.loads({other!r})
done = {{}}

def attempt(what, deed):
    try:
        done[what] = ["done", str(deed())[:200]]
    except BaseException as problem:
        done[what] = [type(problem).__name__, str(problem)[:200]]

def of_other():
    found = []
    for path in glob.glob("/proc/[0-9]*"):
        try:
            if os.stat(path).st_uid == other["uid"]:
                found.append(path)
        except OSError:
            pass
    return found

processes = of_other()
done["processes"] = len(processes)
for part in ("environ", "mem", "root", "cwd", "fd"):
    readable = []
    for path in processes:
        try:
            (os.listdir if part in ("root", "cwd", "fd") else lambda p: open(p, "rb").read(1))(path + "/" + part)
            readable.append(path)
        except OSError:
            pass
    done[part] = readable
attempt("home", lambda: os.listdir(other["home"]))
attempt("log", lambda: open(other["home"] + "/.local/state/qmio/server.log").read())
attempt("local", lambda: os.listdir(other["local"]))
attempt("key", lambda: open(other["key"]).read())
attempt("plant", lambda: open(other["home"] + "/planted", "w"))
attempt("kill", lambda: [os.kill(int(path[6:]), 15) for path in processes])

def say(argv):
    said = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    if said.returncode or said.stderr:
        # scontrol says no with status 0.
        raise PermissionError(said.stderr)
    return said.stdout

attempt("scancel", lambda: say(["/usr/bin/scancel", other["job"]]))
attempt("signal", lambda: say(["/usr/bin/scancel", "--signal=KILL", other["job"]]))
attempt("attach", lambda: say(["/usr/bin/srun", "--overlap", "--jobid=" + other["job"], "id"]))
attempt("hold", lambda: say(["/usr/bin/scontrol", "update", "jobid=" + other["job"], "timelimit=1"]))
attempt("script", lambda: say(["/usr/bin/scontrol", "write", "batch_script", other["job"], "-"]))

token = os.environ["JUPYTERHUB_API_TOKEN"]
api = os.environ["JUPYTERHUB_API_URL"]

def ask(url, method="GET", body=None):
    request = urllib.request.Request(url, method=method, data=body, headers={{"Authorization": "token " + token}})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    with opener.open(request, timeout=30) as reply:
        if "/hub/" in reply.url and "/hub/" not in url:
            raise PermissionError("sent to log in")
        return reply.read()

attempt("stop", lambda: ask(api + "/users/" + other["user"] + "/server", "DELETE"))
attempt("start", lambda: ask(api + "/users/" + other["user"] + "/servers/x", "POST", b"{{}}"))
attempt("state", lambda: ask(api + "/users/" + other["user"]))
attempt("report", lambda: ask(api + "/qmio/starts/" + other["grant"], "POST", b'{{"type": "failed", "why": "x"}}'))
attempt("proxied", lambda: ask(other["proxied"] + "api/contents"))
attempt("direct", lambda: ask(other["direct"] + "api/contents"))
attempt("own hub", lambda: ask(api + "/user"))

from qmio_jupyter.client.sync import connect
client = connect(timeout_s=60)
try:
    attempt("own session", lambda: client.session().uid)
    for what in ("show", "result", "cancel", "forget"):
        attempt("task " + what, lambda: getattr(client, what)(other["task"]))
        attempt("nowhere " + what, lambda: getattr(client, what)(other["nowhere"]))
    attempt("tasks", lambda: [one.task_id for one in client.tasks()])
finally:
    client.close()
print(json.dumps(done))
"""
DENIED = {"PermissionError", "HTTPError"}
NOWHERE = "t-" + "0" * 26
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


@pytest.fixture(scope="module")
def cluster(site: Path) -> Iterator[MiniSlurm]:
    """Two nodes, each with an address and a munged of its own."""
    if os.geteuid() != 0:
        pytest.skip("distinct users need root")
    directory = Path(tempfile.mkdtemp(dir=site)) / "slurm"
    directory.parent.chmod(0o755)
    directory.mkdir()
    made = MiniSlurm(directory, nodes=(NodeSpec("n1"), NodeSpec("n2")), own_addresses=True)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def facts(hub: Hub, cluster: MiniSlurm, user: str, kernel: Kernel) -> dict[str, Any]:
    """Return all that the other could possibly learn of a user, and more."""
    kernel.run(f"%%qpu --shots 20\n{BELL}")
    told: dict[str, Any] = json.loads(
        kernel.run(
            "import json, os\n"
            "from qmio_jupyter.client.sync import connect\n"
            "from qmio_jupyter.config.places import node_local\n"
            "client = connect(timeout_s=60)\n"
            "told = dict(uid=os.getuid(), home=os.path.expanduser('~'), local=str(node_local()), "
            "job=os.environ['SLURM_JOB_ID'], node=os.environ['SLURMD_NODENAME'], "
            "task=client.tasks()[0].task_id, direct=os.environ['JUPYTERHUB_SERVICE_URL'], "
            "grant=os.environ['QMIO_GRANT'], token=os.environ['JUPYTERHUB_API_TOKEN'])\n"
            "client.close()\n"
            "print(json.dumps(told))"
        ).strip()
    )
    keys = list(Path(told["local"]).glob("jobs/*/session.key"))
    key = next(one for one in keys if f"-{told['job']}-" in one.parent.name)
    return told | {
        "user": user,
        "key": str(key),
        "proxied": f"{hub.url}/user/{user}/",
        "nowhere": NOWHERE,
    }


def test_neither_reads_ends_or_passes_for_the_other(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, centre: Centre, users: dict[str, str]
) -> None:
    for name in users.values():
        # As a centre makes them; what a user opens to others is hers to decide.
        Path(pwd.getpwnam(name).pw_dir).chmod(0o700)
    hub = make_hub(limits={"cores": 4, "memory_mib": 1000, "walltime_min": 30})
    paths = {name: hub.user(name) for name in NAMES}
    told: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    asked = {name: Asked(hub, paths[name]) for name in NAMES}
    for name in NAMES:
        wait_until(
            lambda path=paths[name]: hub.api(f"users/{path}")["servers"], "her server is on its way", 60
        )
        hub.progress(paths[name], 120.0, told[name])
    assert {name: one.answer() for name, one in asked.items()} == dict.fromkeys(NAMES, "")
    jobs = {job.user: job for job in cluster.slurm().jobs()}
    assert {job.nodes for job in jobs.values()} == {("n1",), ("n2",)}
    with hub.kernel(paths[NAMES[0]]) as first, hub.kernel(paths[NAMES[1]]) as second:
        kernels = dict(zip(NAMES, (first, second), strict=True))
        known = {name: facts(hub, cluster, paths[name], kernels[name]) for name in NAMES}
        assert known[NAMES[0]]["uid"] != known[NAMES[1]]["uid"]
        for me, other in (NAMES, NAMES[::-1]):
            their = {key: value for key, value in known[other].items() if key != "token"}
            shown = kernels[me].run(TRY.format(other=json.dumps(their)))
            tried = json.loads(next(line for line in shown.splitlines() if line.startswith("{")))
            check(tried, known[me], known[other])
            keys_and_grants(centre, cluster, users, (me, known[me]), known[other])
        # Everything is as it was.
        for name in NAMES:
            assert kernels[name].run("print(6 * 7)").strip() == "42"
    assert {job.user for job in cluster.slurm().jobs()} == set(users.values())
    odd_names(hub, cluster, told)
    for name in NAMES:
        hub.api(f"users/{paths[name]}/server", "DELETE")
    nothing_is_left(hub, cluster)


def check(tried: dict[str, Any], mine: dict[str, Any], other: dict[str, Any]) -> None:
    """Every attempt was refused, and what is one's own was not."""
    assert tried["processes"] >= 3, "the other's processes are there to be tried"
    for part in ("environ", "mem", "root", "cwd", "fd"):
        assert tried[part] == [], part
    refused = (
        "home", "log", "local", "key", "plant", "kill", "scancel", "signal", "attach", "hold", "script",
        "stop", "start", "state", "report", "proxied", "direct",
    )  # fmt: skip
    for what in refused:
        assert tried[what][0] in DENIED, (what, tried[what])
    assert tried["own hub"][0] == "done"
    assert tried["own session"] == ["done", str(mine["uid"])]
    # Another's task cannot be told from one that there is not.
    for what in ("show", "result", "cancel", "forget"):
        kind, said = tried[f"task {what}"]
        assert kind != "done"
        assert [kind, said.replace(other["task"], NOWHERE)] == tried[f"nowhere {what}"], what
    assert mine["task"] in tried["tasks"][1]
    assert other["task"] not in tried["tasks"][1]


def keys_and_grants(
    centre: Centre,
    cluster: MiniSlurm,
    users: dict[str, str],
    me: tuple[str, dict[str, Any]],
    other: dict[str, Any],
) -> None:
    """Her key carried to his node opens nothing, nor does her grant with his proof, nor his proof for her job."""
    name, mine = me
    address, gateway = cluster.addresses[mine["node"]], centre.address()
    there = cluster.directory / "run" / f"munged-{address}.sock"
    with tempfile.TemporaryDirectory() as kept_in:
        # A copy is nobody's but whose who made it.
        copied = Path(kept_in) / "session.key"
        copied.touch(0o600)
        copied.write_bytes(Path(other["key"]).read_bytes())
        door = Door(gateway, read_keys(copied), source=address)
    try:
        welcome = door.ask(m.Hello())
        assert isinstance(welcome, m.Welcome)
        assert welcome.role is Role.NONE
    finally:
        door.close()
    for job, grant in ((mine["job"], other["grant"]), (other["job"], other["grant"]), (other["job"], None)):
        door = Door(gateway, cluster=cluster.cluster, source=address)
        try:
            payload = door.payload(door.nonce(), job, grant_id=grant)
            made = credential(payload, there, user=users[name], only_for=os.geteuid())
            opened = door.ask(
                m.SessionOpen(cluster=cluster.cluster, job_id=job, grant_id=grant, credential=made)
            )
            code, _ = refusal(opened)
            assert code.startswith(("auth", "grant")), code
        finally:
            door.close()


def odd_names(hub: Hub, cluster: MiniSlurm, told: dict[str, list[dict[str, Any]]]) -> None:
    """A name that would break out of a page, an argument or a script does so nowhere."""
    odd = NAMES[0]
    visitor = Visitor(hub, odd)
    for page in (visitor.form(), visitor.get("home"), *(one.get("html_message", "") for one in told[odd])):
        assert odd not in page
    assert odd in unescape(visitor.get("home"))
    for job in cluster.slurm().jobs():
        assert job.name.startswith("qmio-g-")
    said = (cluster.directory / "log" / "slurmctld.log").read_text(errors="replace")
    assert "garc" not in said
