"""Every part of the installation is broken in turn, for real, and the doctor names it; mended, all is good again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from qmio_jupyter.testing.host import Host, until

HUB = "/etc/jupyterhub/jupyterhub_config.py"
GATEWAY = "/etc/qmio/config.toml"
RULE = "/etc/sudoers.d/jupyterhub"
JOURNAL = "/var/lib/jupyterhub/qmio"
SLURM = "/etc/slurm/slurm.conf"


def setting(name: str, value: object) -> str:
    """Return shell that sets something in the hub's configuration."""
    written = repr(value).replace("'", '"')
    return f"echo 'c.{name} = {written}' >> {HUB}"


class Break(NamedTuple):
    """What is done, and what the doctor says to it."""

    code: str
    done: str
    #: Words that its line holds.
    says: str
    verdict: str = "wrong"


ANOTHER_PIN = f"install -m 0644 jupyterhub_config/jupyterhub_config.py {HUB}"
OWN_SQUEUE = "cp /usr/bin/squeue /opt/squeue; chown ana /opt/squeue; "

#: What does not hide one another is broken at once: the doctor is to name all of it. With more of its words.
TOGETHER: dict[str, tuple[str, list[Break]]] = {
    "many": (
        "",
        [
            Break("site.hub.traits", setting("QmioSpawner.partitons", ["ilk"]), "c.QmioSpawner.partitons"),
            Break("site.hub.traits", setting("JupyterHub.hub_ipp", "10.0.0.4"), "c.JupyterHub.hub_ipp"),
            Break("site.hub.proxy", setting("ConfigurableHTTPProxy.command", ["no-such"]), "no-such"),
            Break("site.hub.cleanup", setting("JupyterHub.cleanup_servers", True), "ends all servers"),
            Break("site.hub.journal", f"rm -rf {JOURNAL}; install -d -m 755 -o jupyterhub {JOURNAL}", "0755"),
            Break("site.hub.run_as", f"rm {RULE}", "does not run for ana"),
            Break("site.gateway.settings", f"chmod g+w {GATEWAY}", "can be changed by others"),
            Break("site.gateway.home", "chmod 755 /var/lib/qmio/state", "state is open to others"),
            Break("site.gateway.keys", "chmod 640 /var/lib/qmio/state/server.key", "wider than 0600"),
            Break("site.slurm.licence", f"sed -i /^Licenses=/d {SLURM}; scontrol reconfigure", "no licence"),
            Break("site.slurm.accounts", setting("QmioSpawner.has_accounts", True), "has_accounts"),
            Break("site.slurm.nodes", "scontrol update nodename=n1,n2,n3 state=drain reason=x", "none of 3"),
            Break(
                "site.slurm.commands",
                OWN_SQUEUE + setting("QmioSpawner.slurm", {"squeue": "/opt/squeue"}),
                "can be changed by others than root",
            ),
        ],
    ),
    "more": (
        "",
        [
            Break("site.hub.key", "chmod 644 /var/lib/jupyterhub/hub.key", "wider than 0600"),
            Break("site.hub.journal", f"rm -rf {JOURNAL}; install -d -m 700 {JOURNAL}", "belongs to root"),
            Break("site.hub.run_as", f"sed -i s/SETENV:// {RULE}", "does not run for ana"),
            Break("site.gateway.settings", f"echo 'colour = 1' >> {GATEWAY}", "colour"),
            Break(
                "site.slurm.commands",
                setting("QmioSpawner.slurm", {"squeue": "/opt/squeue"}),
                "/opt/squeue cannot be run",
            ),
        ],
    ),
    "rights": (
        "",
        [
            Break("site.hub.key", "chown root /var/lib/jupyterhub/hub.key", "belongs to root"),
            Break("site.hub.journal", setting("QmioSpawner.journal", "journal"), "no absolute path"),
            Break(
                "site.hub.run_as_narrow",
                f"sed -i 's/(%qmio-users)/(ALL)/; s/QMIO_SLURM$/ALL/' {RULE}",
                "/bin/sh",
            ),
            Break("site.hub.run_as_narrow", ":", "for root"),
            Break("site.slurm.prolog", f"sed -i s/^Epilog=/Prolog=/ {SLURM}", "is not ours"),
            Break(
                "site.slurm.bf_licenses", f"sed -i s/,bf_licenses// {SLURM}; scontrol reconfigure", "lacks"
            ),
            Break("site.gateway.settings", f'sed -i \'s/"issuer"/"monitor"/\' {GATEWAY}', "no issuer"),
        ],
    ),
    "absent": (
        f"--gateway-config {GATEWAY}",
        [
            Break("site.hub.key", "rm /var/lib/jupyterhub/hub.key", "No such file"),
            Break("site.hub.run_as", "gpasswd --delete ana qmio-users", "does not run for ana"),
            Break("site.gateway.settings", f"rm {GATEWAY}", "No such file"),
        ],
    ),
    "empty": (
        "",
        [
            Break("site.hub.run_as", setting("QmioSpawner.exec_prefix", []), "nobody is isolated"),
            Break("site.hub.key", setting("QmioSpawner.gateways", []), "gateways is empty"),
        ],
    ),
    "configuration": ("", [Break("site.hub.config", f"chmod o+w {HUB}", "can be changed by others")]),
    "syntax": ("", [Break("site.hub.loads", f"echo 'c.QmioSpawner.limits = (' >> {HUB}", "SyntaxError")]),
    "value": ("", [Break("site.hub.loads", setting("QmioSpawner.limits", 3), "limits")]),
    "spawner": (
        "",
        [Break("site.hub.spawner", setting("JupyterHub.spawner_class", "simple"), "SimpleLocal")],
    ),
    "gone": (
        "",
        [
            Break(
                "site.gateway.reach",
                "systemctl stop qmio-gateway.service",
                "cannot be connected",
                "could not ask",
            )
        ],
    ),
    "pin": ("", [Break("site.gateway.reach", ANOTHER_PIN, "the pinned key of")]),
    "elsewhere": (
        "--gateway-config ''",
        [Break("site.gateway.reach", ANOTHER_PIN, "is not the one whose key is pinned")],
    ),
    "stranger": (
        "",
        [
            Break(
                "site.gateway.issuer",
                "rm /var/lib/jupyterhub/hub.key\n"
                "runuser -u jupyterhub -- /opt/qmio/bin/jupyter-qmio key --make /var/lib/jupyterhub/hub.key",
                "a stranger",
            )
        ],
    ),
    "agent": (
        "",
        [Break("site.gateway.device", "systemctl stop qmio-agent@fake-qmio.service", "fake-qmio is offline")],
    ),
    "no node": (
        "--job --partition none",
        [Break("site.node.job", ":", "no job of ana has run", "could not ask")],
    ),
    "interpreter": (
        "--job",
        [Break("site.node.python", setting("QmioSpawner.python", "/opt/none/python"), "/opt/none/python")],
    ),
    "package": (
        "--job",
        [Break("site.node.python", setting("QmioSpawner.python", "/usr/bin/python3"), "No module named")],
    ),
    "node": (
        "--job",
        [
            Break(
                "site.node.server", setting("QmioSpawner.cmd", ["/opt/qmio/bin/labb"]), "/opt/qmio/bin/labb"
            ),
            Break("site.node.scripts", "chmod 777 /etc/slurm/qmio-task-prolog", "by others than root"),
            Break("site.node.hub", "systemctl stop jupyterhub.service", "does not reach"),
            Break(
                "site.node.session",
                f"sed -i '/^addresses/d' {GATEWAY}; systemctl restart qmio-gateway.service",
                "no session for a job",
            ),
        ],
    ),
    "disk": (
        "--job",
        [
            Break(
                "site.node.disk",
                "rm -rf /tmp/qmio-$(id -u ana); mkdir /tmp/qmio-$(id -u ana)",
                "belongs to another user",
            )
        ],
    ),
}

#: What a break may have changed, put back.
SAVED = ("/etc/jupyterhub", "/etc/qmio", "/etc/sudoers.d", "/etc/group", "/etc/gshadow")


@contextmanager
def as_it_was(host: Host, start: str = "start") -> Iterator[None]:
    """Put everything back afterwards, and see that it is; `start` or ``restart`` the gateway."""
    paths = " ".join(path.lstrip("/") for path in (*SAVED, SLURM, "/var/lib/jupyterhub/hub.key"))
    code, said = host.sh(f"tar -C / -cf /run/saved.tar {paths}")
    assert code == 0, said
    try:
        yield
    finally:
        code, said = host.sh(
            "rm -f /opt/squeue; rm -rf /tmp/qmio-$(id -u ana) /var/lib/jupyterhub/qmio\n"
            "for path in /etc/jupyterhub /etc/qmio /etc/sudoers.d; do find $path -mindepth 1 -delete; done\n"
            "tar -C / -xpf /run/saved.tar\n"
            "chmod 700 /var/lib/qmio/state; chmod 600 /var/lib/qmio/state/server.key\n"
            "chmod 755 /etc/slurm/qmio-task-prolog\n"
            "scontrol reconfigure; scontrol update nodename=n1,n2,n3 state=resume || true\n"
            f"systemctl {start} qmio-gateway.service\n"
            "systemctl start qmio-agent@fake-qmio.service jupyterhub.service\n"
        )
        assert code == 0, said


def findings(host: Host, words: str) -> tuple[int, list[dict[str, Any]]]:
    """Return exit status and findings."""
    code, output = host.doctor("--json --user ana", words)
    return code, json.loads(output.splitlines()[-1])["checks"]


@pytest.mark.parametrize("name", TOGETHER)
def test_what_is_broken_is_named(host: Host, name: str) -> None:
    words, breaks = TOGETHER[name]
    is_restarted = any("restart qmio-gateway" in one.done for one in breaks)
    with as_it_was(host, "restart" if is_restarted else "start"):
        code, said = host.sh("\n".join(one.done for one in breaks))
        assert code == 0, said

        def unnamed() -> list[tuple[Break, list[dict[str, Any]]]]:
            status, found = findings(host, words)
            assert status == (1 if any(check["verdict"] == "wrong" for check in found) else 6)
            missed = []
            for one in breaks:
                of = [check for check in found if check["code"] == one.code]
                bad = [check for check in of if check["verdict"] == one.verdict and check["todo"]]
                if not any(one.says in check["found"] for check in bad):
                    missed.append((one, of))
            return missed

        if name == "agent":
            # It is missed after some seconds.
            until(lambda: not unnamed(), "the agent is missed")
        else:
            assert unnamed() == []


def test_a_job_that_was_not_cancelled_is_a_debt(host: Host) -> None:
    entry = {
        "saga": {"grant_id": "g-" + "0" * 26, "job": "yes", "job_id": "7", "is_undoing": True},
        "user": "ana",
        "owner": "ana",
    }
    place = "/var/lib/jupyterhub/qmio"
    name = f"{place}/{entry['saga']['grant_id']}.json"  # type: ignore[index]
    with as_it_was(host):
        host.sh(
            f"install -d -m 700 -o jupyterhub {place}; install -m 600 -o jupyterhub /dev/stdin {name} <<'E'\n"
            f"{json.dumps(entry)}\nE\ntouch --date='1 hour ago' {name}"
        )
        _, found = findings(host, "")
        (debt,) = [check for check in found if check["code"] == "site.hub.debts"]
        assert (debt["verdict"], "60 min" in debt["found"]) == ("wrong", True)
        host.sh(f"echo no >{name}")
        _, found = findings(host, "")
        (debt,) = [check for check in found if check["code"] == "site.hub.debts"]
        assert (debt["verdict"], "cannot be read" in debt["found"]) == ("wrong", True)


def test_slurm_that_does_not_answer(host: Host) -> None:
    host.cluster.stop_controller(signal.SIGKILL)
    try:
        status, found = findings(host, "")
        verdicts = {check["code"]: check["verdict"] for check in found}
        assert verdicts["site.slurm.answers"] == "could not ask"
        assert "site.slurm.licence" not in verdicts
        # The gateway reads the credential; whether it could ask Slurm is not known.
        assert verdicts["site.gateway.proofs"] == "could not ask"
        assert status == 6
    finally:
        host.cluster.start_controller()
        host.cluster.wait_idle()


def test_munge_that_does_not_answer(host: Host) -> None:
    host.cluster.stop_munge()
    try:
        _, found = findings(host, "")
        bad = [check for check in found if check["code"] == "site.munge"]
        assert [check["verdict"] for check in bad] == ["wrong", "wrong"]
    finally:
        host.cluster.start_munge()
        host.cluster.wait_idle()


def test_a_host_with_another_munge_key(host: Host) -> None:
    start = (
        "mkdir -m 755 /run/other; head -c 128 /dev/urandom > /run/other/key; chmod 600 /run/other/key\n"
        "munged --force --key-file=/run/other/key --socket=/run/other/sock --log-file=/run/other/log "
        "--pid-file=/run/other/pid --seed-file=/run/other/seed\n"
    )
    with as_it_was(host):
        code, said = host.sh(start + setting("QmioSpawner.munge_socket", "/run/other/sock"))
        assert code == 0, said
        try:
            _, found = findings(host, "")
            (proofs,) = [check for check in found if check["code"] == "site.gateway.proofs"]
            assert proofs["verdict"] == "wrong"
            assert "munge.key" in proofs["todo"]
        finally:
            host.sh("kill $(cat /run/other/pid)")


def test_without_root_a_part_says_who_could_look(host: Host) -> None:
    code, output = host.sh("runuser -u ana -- /opt/qmio/bin/jupyter-qmio doctor --site --json || [ $? = 6 ]")
    assert code == 0, output
    found = json.loads(output.splitlines()[-1])["checks"]
    assert {check["verdict"] for check in found} == {"ok", "could not ask"}
    assert any("Run it as root, or as qmio" in check["todo"] for check in found)


def test_afterwards_everything_is_good(host: Host) -> None:
    def is_good() -> bool:
        return findings(host, "--job")[0] == 0

    until(is_good, "all is good again")
