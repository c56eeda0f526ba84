"""What a job is given, and which of it is secret."""

from __future__ import annotations

import json
import socket

import pytest

from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.errors import ConfigError, HubError
from qmio_jupyter.hub.environment import SECRETS, job_environment
from qmio_jupyter.hub.names import Account
from qmio_jupyter.hub.node import reserve, with_end, with_port
from qmio_jupyter.hub.ports import ports_of

HUB = {"JUPYTERHUB_API_TOKEN": "opens", "JPY_API_TOKEN": "opens", "JUPYTERHUB_USER": "Ana <'\"&>"}


def made() -> tuple[dict[str, str], dict[str, str]]:
    return job_environment(
        HUB,
        account=Account(name="alice", uid=2001, gid=2001, home="/home/alice"),
        python="/opt/qmio/bin/python",
        command=["/opt/qmio/bin/jupyterhub-singleuser", "--x=a b"],
        grant_id="g-1",
        gateway=GatewayAddress(
            endpoint="tcp://10.0.0.5:7711", server_key="k" * 40, key_file="/etc/qmio/hub.key"
        ),
        device="fake-qmio",
        path="/usr/bin",
        walltime_min=30,
    )


def test_what_opens_something_is_apart() -> None:
    public, secret = made()
    assert secret == {"JUPYTERHUB_API_TOKEN": "opens"}
    assert "opens" not in json.dumps(public)
    assert not set(public) & set(SECRETS)


def test_the_hubs_own_key_stays_at_the_hub() -> None:
    assert "hub.key" not in json.dumps(made())


def test_the_session_is_found_by_any_program_of_the_job() -> None:
    public, _ = made()
    assert (public["QMIO_GATEWAY"], public["QMIO_GATEWAY_KEY"]) == ("tcp://10.0.0.5:7711", "k" * 40)
    assert (public["QMIO_GRANT"], public["QMIO_DEVICE"]) == ("g-1", "fake-qmio")
    assert json.loads(public["QMIO_HUB_COMMAND"]) == ["/opt/qmio/bin/jupyterhub-singleuser", "--x=a b"]
    assert public["HOME"] == "/home/alice"


def test_a_reserved_port_is_given_to_nobody_else_and_can_be_listened_on() -> None:
    kept, port = reserve("127.0.0.1")
    others = [reserve("127.0.0.1") for _ in range(50)]
    assert port not in {other for _, other in others}
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
    for one, _ in [(kept, port), *others]:
        one.close()


def test_of_a_range_every_port_is_given_once_and_then_it_says_so() -> None:
    kept, first = reserve("127.0.0.1")
    kept.close()
    ports = range(first, first + 3)
    held = []

    def take_all() -> None:
        # A port of the three may be somebody else's; nobody is given one twice in any case.
        while True:
            held.append(reserve("127.0.0.1", ports))

    with pytest.raises(HubError) as full:
        take_all()
    assert full.value.code == "hub.ports"
    assert f"{ports[0]}-{ports[-1]}" in full.value.message
    found = [port for _, port in held]
    assert len(set(found)) == len(found)
    assert first in found
    assert set(found) <= set(ports)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", first))
        server.listen()
        with socket.create_connection(("127.0.0.1", first), 5):
            pass
    for one, _ in held:
        one.close()


def test_a_range_of_ports() -> None:
    assert ports_of("50000-50002") == range(50000, 50003)
    assert not ports_of("")
    for wrong in ("50000", "1-2", "50002-50000", "60000-70000", "a-b", "-", "50000-50001-2", "٥٠٠٠٠-50001"):
        with pytest.raises(ConfigError, match="server_ports"):
            ports_of(wrong)


def test_the_servers_url_gets_its_place() -> None:
    url = "http://127.0.0.1:0/user/Ana%20%C3%91/"
    assert with_port(url, "10.0.0.7", 4711) == "http://10.0.0.7:4711/user/Ana%20%C3%91/"
    assert with_port(url, "fd00::7", 4711) == "http://[fd00::7]:4711/user/Ana%20%C3%91/"


def test_the_node_knows_when_its_job_ends() -> None:
    environ = with_end({"QMIO_HUB_WALLTIME_MIN": "30", "A": "b"}, 1_000.5)
    assert environ == {"QMIO_HUB_WALLTIME_MIN": "30", "A": "b", "SLURM_JOB_END_TIME": "2800"}
    # Slurm's own word is better.
    assert (
        with_end({"QMIO_HUB_WALLTIME_MIN": "30", "SLURM_JOB_END_TIME": "7"}, 0.0)["SLURM_JOB_END_TIME"] == "7"
    )
    assert with_end({}, 0.0) == {}
