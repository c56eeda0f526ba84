"""A mini cluster that keeps accounts: slurmdbd with a MariaDB of its own, in the cluster's directory.

Accounts, associations, QOS and their limits are then enforced, as at a centre. Debian's ``slurmdbd``,
``mariadb-server-core`` and ``mariadb-client-core``; no service is started and nothing listens on the network but
slurmdbd, on loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from qmio_jupyter.testing.slurm import MiniSlurm, free_ports, until

_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")

_SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={directory}/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos,safe
"""
_DBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={directory}/run/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
LogFile={directory}/log/slurmdbd.log
PidFile={directory}/state/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CommitDelay=1
"""
_DATABASE = """\
CREATE DATABASE slurm_acct_db;
CREATE USER slurm@localhost IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct_db.* TO slurm@localhost;
"""


def missing() -> str:
    """Return what the machine lacks beyond a mini cluster; empty if nothing."""
    wanted = {
        "slurmdbd": "slurmdbd",
        "mariadbd": "mariadb-server-core",
        "mariadb-install-db": "mariadb-server-core",
        "my_print_defaults": "mariadb-client-core",
    }
    packages = sorted({package for program, package in wanted.items() if _which(program) is None})
    return f"Debian's {', '.join(packages)}" if packages else ""


def _which(program: str) -> str | None:
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))


class AccountingSlurm(MiniSlurm):
    """The cluster; see `MiniSlurm` for the options.

    Parameters
    ----------
    directory : Path
        Empty, on a local disk; every user must be able to enter it.
    **options
        Those of `MiniSlurm`.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        (port,) = free_ports(1)
        more = _SLURM_CONF.format(directory=directory, port=port)
        super().__init__(directory, **{**options, "extra": options.get("extra", "") + more})
        self._database = directory / "db"
        self._database.mkdir(mode=0o700)
        etc = directory / "etc"
        (etc / "init.sql").write_text(_DATABASE)
        conf = etc / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(
            _DBD_CONF.format(directory=directory, host=self.host, port=port, user=self.slurm_user)
        )
        if os.geteuid() == 0:
            for path in (conf, self._database):
                shutil.chown(path, self.slurm_user)

    def start_controller(self, *, is_new: bool = False) -> None:
        """Start slurmctld, and the accounting before it where there is none yet."""
        if is_new:
            self._start_database()
            self._start_accounting()
        super().start_controller(is_new=is_new)

    def _start_database(self) -> None:
        user = [f"--user={self.slurm_user}"] if os.geteuid() == 0 else []
        place = [f"--datadir={self._database}", "--innodb-log-file-size=8M", "--skip-log-bin"]
        subprocess.run(
            ["/usr/bin/mariadb-install-db", "--no-defaults", *user, *place,
             "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
        )  # fmt: skip
        mariadbd = _which("mariadbd")
        assert mariadbd is not None
        socket = self._database / "my.sock"
        self._start("mariadbd", [
            mariadbd, "--no-defaults", *user, *place, f"--socket={socket}", "--skip-networking",
            f"--pid-file={self._database / 'mariadbd.pid'}", f"--init-file={self.conf.with_name('init.sql')}",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-lock-wait-timeout=900", "--performance-schema=0",
        ])  # fmt: skip
        until(socket.exists, "the database listens")

    def _start_accounting(self) -> None:
        slurmdbd = _which("slurmdbd")
        assert slurmdbd is not None
        socket = f"MYSQL_UNIX_PORT={self._database / 'my.sock'}"
        self._start("slurmdbd", ["/usr/bin/env", socket, slurmdbd, "-D"])
        until(lambda: self._manage("show", "cluster").returncode == 0, "slurmdbd answers", pause_s=0.1)
        self.manage("add", "cluster", self.cluster)

    def manage(self, *words: str) -> str:
        """Have sacctmgr do something, as the administrator; return what it prints.

        Raises
        ------
        AssertionError
            With its complaint.
        """
        done = self._manage(*words)
        assert done.returncode == 0, f"sacctmgr {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def _manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/bin/sacctmgr", "-i", "-n", "-P", *words],
            env={key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
            | self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def reserve(self, name: str, *, users: str, nodes: str, minutes: int) -> None:
        """Reserve nodes for users from now on."""
        subprocess.run(
            ["/usr/bin/scontrol", "create", "reservation", f"ReservationName={name}", "StartTime=now",
             f"Duration={minutes}", f"Users={users}", f"Nodes={nodes}"],
            env=os.environ | self.environ, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
        )  # fmt: skip
