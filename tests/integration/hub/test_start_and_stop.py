"""A server from the click to its end through the REST interface: real hub, real Slurm, real MUNGE, real kernels."""

from __future__ import annotations

import os
import pwd
import threading
import urllib.error
from collections.abc import Callable

import pytest

from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub
from qmio_jupyter.testing.slurm import MiniSlurm

pytestmark = pytest.mark.timeout(180)
NAME = "ana <'\"&> garcía"
BELL = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


def owner(users: dict[str, str] | None, name: str) -> str:
    """Return the unix user whose job a hub user's is."""
    return pwd.getpwuid(os.getuid()).pw_name if users is None else users[name]


def test_from_the_click_to_the_end(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, centre: Centre, users: dict[str, str] | None
) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    events: list[str] = []
    started = threading.Event()

    def watch() -> None:
        started.wait()
        events.extend(event["message"] for event in hub.progress(user))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    threading.Timer(0.3, started.set).start()
    assert hub.ask_for_server(user, device="echo", cores=2, walltime_min=30) == ""
    watcher.join(60)

    slurm = cluster.slurm()
    (job,) = slurm.jobs()
    assert job.name == f"qmio-{hub.journal()[0]['grant_id']}"
    assert (job.licences, job.limit_s, job.is_running) == ({"qpu_echo": 1}, 1800, True)
    assert job.user == owner(users, NAME)
    assert any("QPU session" in text for text in events), events
    assert events[-1].startswith("Server ready")

    with hub.kernel(user) as kernel:
        shown = kernel.run(f"%%qpu --shots 100\n{BELL}")
        assert "100" in shown, shown
        assert "echo" in shown
        assert kernel.run("import os; print(os.getuid())").strip() == str(job.uid)
        assert kernel.run("import os; print(os.environ['QRMI_JOB_QPU_RESOURCES'])").strip() == "echo"
        transport = kernel.run(
            "from ipykernel.kernelapp import IPKernelApp; print(IPKernelApp.instance().transport)"
        )
        assert transport.strip() == "ipc"

    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the server is stopped")
    wait_until(lambda: not hub.journal(), "nothing is left to undo")
    assert slurm.jobs() == ()
    assert {one.used for one in slurm.licences()} == {0}
    assert "session" in centre.log()


def test_a_running_server_outlives_hub_gateway_and_slurmctld(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, centre: Centre
) -> None:
    hub = make_hub(poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    with hub.kernel(user) as kernel:
        kernel.run("x = 41")
        hub.kill()
        hub.start()
        kernel.connect()
        assert kernel.run("x += 1\nprint(x)").strip() == "42"
        cluster.stop_controller()
        try:
            polls = hub.log().count("its server is taken to run")
            wait_until(
                lambda: hub.log().count("its server is taken to run") > polls, "the hub could not ask", 60
            )
            assert kernel.run("print(x)").strip() == "42"
            assert hub.api(f"users/{user}")["server"] is not None
        finally:
            cluster.start_controller()
        centre.kill()
        centre.start()
        kernel.run("%load_ext qmio_jupyter")
        assert "50" in kernel.run(f"%%qpu --shots 50\n{BELL}")
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)
    assert cluster.slurm().jobs() == ()


def test_a_job_that_others_cancel_is_noticed(make_hub: Callable[..., Hub], cluster: MiniSlurm) -> None:
    hub = make_hub(poll_interval=1)
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    (job,) = cluster.slurm().jobs()
    cluster.slurm().cancel(job.job_id)
    wait_until(lambda: hub.api(f"users/{user}")["server"] is None, "the hub notices", 60)
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)


@pytest.mark.root
def test_two_users_are_apart(
    make_hub: Callable[..., Hub], cluster: MiniSlurm, users: dict[str, str] | None
) -> None:
    if users is None:
        pytest.skip("distinct users need root")
    her, his = users[NAME], users["bob"]
    hub = make_hub(tls=True)
    ana, bob = hub.user(NAME), hub.user("bob")
    asked = [
        threading.Thread(target=hub.ask_for_server, args=(user,), kwargs={"device": "echo"})
        for user in (ana, bob)
    ]
    for one in asked:
        one.start()
    for one in asked:
        one.join(90)
    jobs = {job.user: job for job in cluster.slurm().jobs()}
    assert set(jobs) == {her, his}
    with hub.kernel(bob) as kernel:
        done = kernel.run(
            "import subprocess\n"
            f"argv = ['/usr/bin/scancel', '{jobs[her].job_id}']\n"
            "print(subprocess.run(argv, capture_output=True, text=True))"
        )
        assert "returncode=1" in done or "denied" in done.lower(), done
        # Neither does his server's certificate open hers.
        place = next(one for one in hub.journal() if int(one["job_id"]) == jobs[her].job_id)
        opened = kernel.run(
            "import os, socket, ssl\n"
            "tls = ssl.create_default_context()\n"
            "tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE\n"
            "tls.load_cert_chain(os.environ['JUPYTERHUB_SSL_CERTFILE'], os.environ['JUPYTERHUB_SSL_KEYFILE'])\n"
            "try:\n"
            f"    link = tls.wrap_socket(socket.create_connection(({place['address']!r}, {place['port']})))\n"
            "    link.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
            "    print('answered' if link.recv(1) else 'closed')\n"
            "except OSError as error:\n"
            "    print('refused', error)"
        )
        assert opened.startswith(("refused", "closed")), opened
        environ = kernel.run(
            "import glob\n"
            "seen = []\n"
            "for path in glob.glob('/proc/[0-9]*/environ'):\n"
            "    try: seen.append(open(path).read())\n"
            "    except OSError: pass\n"
            f"print(sum({her!r} in one for one in seen))"
        )
        assert environ.strip() == "0"
    assert {job.user for job in cluster.slurm().jobs()} == {her, his}
    for user in (ana, bob):
        hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)


def test_the_report_route_takes_nothing_from_others(make_hub: Callable[..., Hub]) -> None:
    hub = make_hub()
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo") == ""
    grant = hub.journal()[0]["grant_id"]
    before = hub.api(f"users/{user}")
    for token, body in [
        (hub.token, {"type": "listening", "port": 4711}),
        ("x" * 32, {"type": "listening", "port": 4711}),
    ]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            hub.api(f"qmio/starts/{grant}", "POST", body, token=token)
        with caught.value as refused:
            assert refused.code == 404
    with hub.kernel(user) as kernel:
        token = kernel.run("import os; print(os.environ['JUPYTERHUB_API_TOKEN'])").strip()
    for body in (
        {"type": "listening", "port": 4711},
        {"type": "listening", "port": 22},
        {"type": "listening", "port": 4711, "ip": "10.0.0.1"},
        {"port": 4711},
        {"type": "hello", "node": "../../x"},
        {"type": "hello", "node": "elsewhere"},
        [],
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            hub.api(f"qmio/starts/{grant}", "POST", body, token=token)
        with caught.value as refused:
            assert refused.code in (400, 409)
    after = hub.api(f"users/{user}")
    assert before["servers"][""]["state"] == after["servers"][""]["state"]
    hub.api(f"users/{user}/server", "DELETE")
