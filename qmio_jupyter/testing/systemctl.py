"""In place of systemd, where there is none: starts and stops what a unit says, as the user it says.

``systemctl daemon-reload | enable --now | disable --now | start | stop | restart UNIT...``. Of a unit it heeds Type,
User, Group, Environment, ExecStart, WorkingDirectory, StateDirectory, UMask; not its sandbox, nor its restarts.
"""

from __future__ import annotations

import configparser
import contextlib
import grp
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

UNITS = Path("/etc/systemd/system")
RUN = Path("/run/units")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_S = 60.0
STOP_S = 30.0


def service(unit: str) -> dict[str, str]:
    """Return a unit's ``[Service]``, its instance filled in."""
    name, at, rest = unit.partition("@")
    path = UNITS / (f"{name}@.service" if at else unit)
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    instance = rest.removesuffix(".service")
    return {key: value.replace("%i", instance) for key, value in parser["Service"].items()}


def start(unit: str) -> None:
    """Start a unit that does not run."""
    if alive(unit):
        return
    of = service(unit)
    user = pwd.getpwnam(of["User"])
    gid = grp.getgrnam(of["Group"]).gr_gid if "Group" in of else user.pw_gid
    if "StateDirectory" in of:
        state = Path("/var/lib") / of["StateDirectory"]
        state.mkdir(exist_ok=True)
        state.chmod(int(of.get("StateDirectoryMode", "0755"), 8))
        os.chown(state, user.pw_uid, gid)
    own = dict(word.split("=", 1) for word in shlex.split(of.get("Environment", "")))
    environ = {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
    }
    # Debian's modules, for a Node that is not Debian's.
    environ |= {"NODE_PATH": "/usr/share/nodejs"}
    RUN.mkdir(exist_ok=True)
    told = listening(unit, user.pw_uid) if of.get("Type") == "notify" else None
    if told is not None:
        environ["NOTIFY_SOCKET"] = str(told.getsockname())
    with (RUN / f"{unit}.log").open("ab") as log:
        process = subprocess.Popen(
            shlex.split(of["ExecStart"]),
            env=environ | own,
            cwd=of.get("WorkingDirectory", "/"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=int(of.get("UMask", "0022"), 8),
            user=user.pw_uid,
            group=gid,
            extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
        )
    (RUN / f"{unit}.pid").write_text(str(process.pid))
    if told is not None:
        wait_ready(told, process, unit)


def wait_ready(told: socket.socket, process: subprocess.Popen[bytes], unit: str) -> None:
    """Wait until a unit of ``Type=notify`` says that it is ready, or has ended."""
    give_up = time.monotonic() + START_S
    with told:
        told.settimeout(0.1)
        while time.monotonic() < give_up and process.poll() is None:
            with contextlib.suppress(TimeoutError):
                if told.recv(4096) == b"READY=1":
                    return
    sys.exit(f"{unit} is not ready: see its log")


def listening(unit: str, uid: int) -> socket.socket:
    """Return the socket at which a unit of ``Type=notify`` says that it is ready."""
    path = RUN / f"{unit}.notify"
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    os.chown(path, uid, -1)
    return made


def alive(unit: str) -> int:
    """Return the process id of a unit that runs, else 0."""
    try:
        pid = int((RUN / f"{unit}.pid").read_text())
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else pid


def stop(unit: str) -> None:
    """End a unit as ``KillMode=mixed`` has it: its main process first, then what is left of the group."""
    pid = alive(unit)
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    give_up = time.monotonic() + STOP_S
    while alive(unit):
        if time.monotonic() > give_up:
            sys.exit(f"{unit} does not end")
        time.sleep(0.05)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def main(words: list[str]) -> None:
    """Do as systemctl does."""
    verb, units = words[0], [word for word in words[1:] if not word.startswith("-")]
    for unit in units:
        service(unit)
        if verb in ("stop", "restart", "disable"):
            stop(unit)
        if verb in ("start", "restart", "enable"):
            start(unit)
        if verb == "status" and not alive(unit):
            sys.exit(3)
    if verb not in ("daemon-reload", "enable", "disable", "start", "stop", "restart", "status"):
        sys.exit(f"systemctl {verb}: not known here")


if __name__ == "__main__":
    main(sys.argv[1:])
