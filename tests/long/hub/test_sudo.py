"""The hub as an unprivileged user, and real sudo with the example's rules as they are: sbatch, scancel, nothing else.

It adds the users and the group that the rules speak of, and puts the rules into ``/etc/sudoers.d``, for the time being.
"""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pytest

from qmio_jupyter.config.places import places
from qmio_jupyter.slurm.verifier import tenant
from qmio_jupyter.testing.centre import Centre
from qmio_jupyter.testing.home import wait_until
from qmio_jupyter.testing.hub import Hub, unix_users
from qmio_jupyter.testing.slurm import MiniSlurm
from tests.conftest import missing
from tests.integration.hub.test_start_and_stop import BELL, NAME

pytestmark = [pytest.mark.timeout(300), pytest.mark.root]
RULES = Path(__file__).resolve().parents[3] / "jupyterhub_config" / "sudoers.d" / "jupyterhub"
#: Who the rules are for, and the group of those whom the hub may act for.
HUB, GROUP = "jupyterhub", "qmio-users"


def command(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, capture_output=True)


@pytest.fixture(scope="module")
def rules(users: dict[str, str] | None, site: Path) -> Iterator[None]:
    """The example's rules, in force; `ana` is in the group, `bob` is not."""
    if users is None:
        pytest.skip("rules for other users need root")
    if not Path("/usr/bin/sudo").exists():
        missing("Debian's sudo")
    if any(one.pw_name == HUB for one in pwd.getpwall()):
        pytest.skip(f"this machine has a user {HUB} of its own")
    path = Path("/etc/sudoers.d") / f"qmio-test-{token_hex(4)}"
    with unix_users([HUB], site / "homes"):
        command("/usr/sbin/groupadd", GROUP)
        try:
            command("/usr/sbin/usermod", "--append", "--groups", GROUP, users[NAME])
            path.touch(mode=0o440)
            path.write_text(RULES.read_text())
            command("/usr/sbin/visudo", "--check", "--quiet", "--file", str(path))
            yield
        finally:
            path.unlink(missing_ok=True)
            command("/usr/sbin/groupdel", GROUP)


@pytest.fixture(autouse=True)
def emptied(cluster: MiniSlurm) -> Iterator[None]:
    """Leave no job to the next test."""
    yield
    cluster.cancel_all()


@pytest.fixture
def hub(
    rules: None, here: Path, cluster: MiniSlurm, centre: Centre, python: str, users: dict[str, str] | None
) -> Iterator[Hub]:
    """A hub that runs as the rules' user, with its usual prefix."""
    assert users is not None
    made = Hub(
        here / "hub",
        cluster,
        centre,
        python=python,
        users=users
        | {"root": "root", "option": "-uroot", "number": "#0", "nobody": "nobody", "two": "ana,root"},
        settings={"exec_prefix": ["/usr/bin/sudo", "-n", "-E", "-u", "{user}", "--"]},
        as_user=HUB,
    )
    yield made.start()
    made.stop()


@pytest.fixture
def here(here: Path) -> Path:
    (here / "hub").mkdir()
    return here


def as_hub(*argv: str, cluster: MiniSlurm) -> subprocess.CompletedProcess[str]:
    """Run something as the hub's user."""
    account = pwd.getpwnam(HUB)
    return subprocess.run(
        [
            "/usr/bin/setpriv",
            f"--reuid={account.pw_uid}",
            f"--regid={account.pw_gid}",
            "--init-groups",
            *argv,
        ],
        input="#!/bin/sh\nid -un\n",
        env={"PATH": "/usr/bin:/bin", "HOME": account.pw_dir} | cluster.environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_hub_submits_and_cancels_for_its_users_alone(
    hub: Hub, cluster: MiniSlurm, centre: Centre, users: dict[str, str] | None
) -> None:
    assert users is not None
    assert hub.pid_user() == HUB
    user = hub.user(NAME)
    assert hub.ask_for_server(user, device="echo", walltime_min=30) == ""
    (job,) = cluster.slurm().jobs()
    assert (job.user, job.limit_s, job.licences) == (users[NAME], 1800, {"qpu_echo": 1})
    with hub.kernel(user) as kernel:
        assert kernel.run("import getpass; print(getpass.getuser())").strip() == users[NAME]
        found = kernel.run("import os; print(os.environ['PATH'], os.environ['HOME'])").split()
        assert found[-2:] == ["/usr/local/bin:/usr/bin:/bin", pwd.getpwnam(users[NAME]).pw_dir]
        assert "SUDO" not in kernel.run("import os; print([name for name in os.environ if 'SUDO' in name])")
        assert "100" in kernel.run(f"%%qpu --shots 100\n{BELL}")
        proved = kernel.run("from qmio_jupyter.client.sync import connect\nprint(connect().session().tenant)")
    # Who is charged is whom the hub has promised the session to: bookings for her are hers before and after.
    assert proved.strip() == tenant("", users[NAME])
    with closing(sqlite3.connect(f"file:{places(centre.environ).ledger}?mode=ro", uri=True)) as ledger:
        ((grant,),) = ledger.execute("SELECT data FROM grants").fetchall()
    assert proved.strip().encode() in grant
    hub.api(f"users/{user}/server", "DELETE")
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 60)
    assert cluster.slurm().jobs() == ()

    # Whom the rules do not name, sudo refuses; she is told, and nothing is left.
    why = hub.ask_for_server(hub.user("bob"), device="echo")
    assert "sudo" in why, why
    assert "administrator" in why, why
    for name in ("root", "option", "number", "nobody", "two"):
        why = hub.ask_for_server(hub.user(name), device="echo")
        assert "account" in why, (name, why)
    wait_until(lambda: not hub.journal(), "nothing is left to undo", 90)
    assert cluster.slurm().jobs() == ()


def test_the_rules_allow_nothing_else(
    rules: None, cluster: MiniSlurm, users: dict[str, str] | None, here: Path
) -> None:
    assert users is not None
    her, his = users[NAME], users["bob"]
    sudo = ("/usr/bin/sudo", "-n")
    batch = ("/usr/bin/sbatch", "--output=/dev/null", "--chdir=/", "--hold")
    # What is allowed, so that the refusals below are the rules' and not something else's.
    for allowed in (
        (*sudo, "-E", "-u", her, "--", *batch),
        (*sudo, "-E", "-u", her, "--", "/usr/bin/scancel", f"--user={her}"),
    ):
        done = as_hub(*allowed, cluster=cluster)
        assert done.returncode == 0, (allowed, done.stderr)
    wait_until(lambda: not cluster.slurm().jobs(), "the job is cancelled")

    fake = here / "sbatch"
    fake.write_text("#!/bin/sh\nid\n")
    fake.chmod(0o755)
    for refused in (
        # other commands
        ("-u", her, "/bin/sh", "-c", "id"),
        ("-u", her, "/usr/bin/id"),
        ("-u", her, "/usr/bin/srun", "id"),
        ("-u", her, "/usr/bin/scontrol", "show", "config"),
        ("-u", her, str(fake)),
        ("-u", her, "/usr/bin/../bin/env", "/usr/bin/sbatch"),
        ("-u", her, "/usr/bin/sbatch;id"),
        ("-u", her, "/usr/bin/sbatch id"),
        ("-u", her, "-s"),
        ("-u", her, "-i"),
        ("-u", her, "-e", "/etc/passwd"),
        # other users
        batch,
        ("-u", "root", *batch),
        ("-u", "#0", *batch),
        ("-u", "#-1", *batch),
        ("-u", "#4294967295", *batch),
        ("-u", f"{her},root", *batch),
        ("-u", his, *batch),
        ("-u", "slurm", *batch),
        ("-u", HUB, "-g", "root", *batch),
        ("-u", her, "-g", "root", *batch),
        ("-g", "root", *batch),
        ("-u", his, "/usr/bin/scancel", f"--user={her}"),
    ):
        done = as_hub(*sudo, *refused, cluster=cluster)
        assert done.returncode != 0, refused
        assert done.stdout == "", refused
    assert cluster.slurm().jobs() == ()


def test_she_may_not_act_for_others_through_sbatch(
    rules: None, cluster: MiniSlurm, users: dict[str, str] | None
) -> None:
    """What sbatch and scancel are told on their command line gives no more rights than the user's own."""
    assert users is not None
    her, his = users[NAME], users["bob"]
    theirs = subprocess.run(
        ["/usr/sbin/runuser", "-u", his, "--", "/usr/bin/sbatch", "--parsable", "--hold", "--chdir=/"],
        input="#!/bin/sh\n", env=os.environ | cluster.environ, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    sudo = ("/usr/bin/sudo", "-n", "-E", "-u", her, "--")
    for argv in (
        ("/usr/bin/sbatch", "--uid=root", "--chdir=/"),
        ("/usr/bin/sbatch", f"--uid={his}", "--chdir=/"),
        ("/usr/bin/scancel", theirs),
    ):
        done = as_hub(*sudo, *argv, cluster=cluster)
        assert done.returncode != 0, argv
    as_hub(*sudo, "/usr/bin/scancel", f"--user={his}", cluster=cluster)
    (job,) = cluster.slurm().jobs()
    assert (job.user, str(job.job_id)) == (his, theirs)
