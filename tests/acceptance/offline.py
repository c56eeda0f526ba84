"""What `test_offline` runs where there is a loopback and no way out; the last line it prints is what was counted."""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
#: An address for documentation, which nobody has.
NOBODY = ("192.0.2.1", 443)


def loopback_up() -> None:
    """Bring the loopback up: a new namespace has it down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def counted() -> dict[str, int]:
    """Return what the kernel has counted in this namespace since it began."""
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    table = {
        names[0] + name: int(value)
        for names, values in zip(lines[::2], lines[1::2], strict=True)
        for name, value in zip(names[1:], values[1:], strict=True)
    }
    six = dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return {
        "no route": table["Ip:OutNoRoutes"],
        "no route, IPv6": int(six["Ip6OutNoRoutes"]),
        "datagrams": table["Udp:OutDatagrams"] + int(six["Udp6OutDatagrams"]),
    }


def attempt(kind: str) -> None:
    """Do what nothing of ours may do."""
    with contextlib.suppress(OSError):
        if kind == "name":
            socket.getaddrinfo("example.org", 443)
        else:
            family = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind]
            with socket.socket(socket.AF_INET, family) as outward:
                outward.connect(NOBODY)


def quickstart() -> None:
    """Run the quick-start notebook from top to bottom."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "notebooks" / "quickstart.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(Path.cwd())}}).execute()
    assert any("completed, 1000 shots" in str(cell) for cell in notebook.cells)


def server() -> None:
    """Cancel a task through a Jupyter server with everything that is installed in it."""
    from qmio_jupyter.client.spec import build_spec
    from qmio_jupyter.client.sync import connect
    from qmio_jupyter.model.ids import digest
    from qmio_jupyter.model.program import OCTETS, Program
    from qmio_jupyter.model.task import TaskOptions, TaskState

    program = Program(digest=digest(b"x"), media_type=OCTETS, data=b"x")
    options = TaskOptions(device_options=(("seconds", "60"),))
    argv = ["--no-browser", "--allow-root", "--port=8888", "--IdentityProvider.token=t"]
    serving = subprocess.Popen(
        [sys.executable, "-P", "-m", "jupyterlab", *argv], stdout=sys.stderr, stderr=sys.stderr
    )
    try:
        with connect(start=True, timeout_s=60) as client:
            handle = client.submit(build_spec([program], device="echo", shots=1, options=options), [program])
            request = urllib.request.Request(
                f"http://127.0.0.1:8888/qmio_jupyter/api/tasks/{handle.task_id}/cancel",
                method="POST",
                headers={"Authorization": "token t"},
            )
            until = time.monotonic() + 90
            while True:
                try:
                    with urllib.request.urlopen(request, timeout=30) as reply:
                        assert json.load(reply)["task_id"] == handle.task_id
                    break
                except urllib.error.HTTPError:
                    raise
                except OSError:
                    assert serving.poll() is None
                    assert time.monotonic() < until, "the Jupyter server did not come up"
                    time.sleep(0.1)
            assert handle.wait(30).state is TaskState.CANCELLED
    finally:
        serving.send_signal(signal.SIGTERM)
        serving.wait(60)


def main(what: str) -> None:
    """Do `what`, and print what was counted meanwhile."""
    loopback_up()
    assert not any(counted().values())
    done = {"quickstart": quickstart, "server": server}.get(what)
    if done is None:
        attempt(what)
    else:
        done()
        from qmio_jupyter.client.sync import connect

        with connect(start=False) as client:
            client.stop_gateway()
    print(json.dumps(counted()))


if __name__ == "__main__":
    main(sys.argv[1])
