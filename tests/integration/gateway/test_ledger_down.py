"""A ledger that cannot be written: new work is refused retryably, nothing accepted is lost, service resumes."""

import contextlib
import os
import subprocess
import textwrap
import time

import pytest

from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.task import TaskState

#: A daemon whose ledger fails as long as a file named FAIL lies in its state directory.
DAEMON = textwrap.dedent(
    """
    import sys
    from concurrent.futures import Future

    from qmio_jupyter.cli import daemon
    from qmio_jupyter.config.places import places
    from qmio_jupyter.errors import StoreError
    from qmio_jupyter.gateway import main
    from qmio_jupyter.store.sqlite import SqliteStore

    switch = places().state / "FAIL"

    class Broken(SqliteStore):
        def commit(self, batch, *, at_once=False):
            if switch.exists():
                failed = Future()
                failed.set_exception(StoreError("the disk says no"))
                return failed
            return super().commit(batch)

    main.SqliteStore = Broken
    sys.argv = ["daemon", "gateway", "--embedded"]
    daemon.main()
    """
)


def refused(home, client):
    with pytest.raises(QmioError) as caught:
        home.submit(client)
    return caught.value


def down(client):
    try:
        return not client.gateway().store_ok
    except QmioError as error:
        # It waited behind the very commit that failed.
        return error.code == "store"


def test_a_failed_commit_refuses_loses_nothing_and_service_resumes(home):
    home.start(("-c", DAEMON))
    client = home.ready()
    before = home.submit(client, "before", seconds=1.5)
    waiting = home.submit(client, "waiting")
    switch = home.places.state / "FAIL"
    epoch = client.ping()
    switch.touch()
    error = refused(home, client)
    assert (error.code, error.retryable) == ("store", True)
    home.wait_until(lambda: down(client), "the gateway says that its ledger is down")
    assert refused(home, client).retryable, "also while it is known to be down"
    switch.unlink()
    assert before.wait(60).state is TaskState.COMPLETED
    assert waiting.wait(60).state is TaskState.COMPLETED
    assert client.ping() > epoch, "whoever missed the event sees the new epoch"
    assert home.submit(client, "after").wait(60).state is TaskState.COMPLETED
    labels = sorted(view.label for view in client.tasks())
    assert labels == ["after", "before", "waiting"], "what was refused was not accepted"
    assert dict(client.gateway().figures)["failed_commits"] >= 1


def test_a_finish_during_the_outage_is_recorded_afterwards(home):
    home.start(("-c", DAEMON))
    client = home.ready()
    handle = home.submit(client, seconds=1)
    home.wait_until(lambda: handle.view.state is TaskState.RUNNING, "the task runs")
    switch = home.places.state / "FAIL"
    switch.touch()
    home.wait_until(lambda: down(client), "the finish could not be written", 30)
    switch.unlink()
    assert handle.wait(60).state is TaskState.COMPLETED
    assert handle.result(30).shots_done == 100
    ends = [
        line
        for line in home.log_after(client)
        if line["event"] == "transition" and line["after"] == "completed"
    ]
    assert len(ends) == 1


#: A daemon in which a submission labelled "poison" breaks off after the core has changed.
DEFECTIVE = textwrap.dedent(
    """
    import sys

    from qmio_jupyter.cli import daemon
    from qmio_jupyter.core.core import Core
    from qmio_jupyter.core.inputs import Submit

    handle = Core.handle

    def broken(self, message, now_ms):
        step = handle(self, message, now_ms)
        if isinstance(message, Submit) and message.spec.label == "poison":
            raise ZeroDivisionError("SECRET")
        return step

    Core.handle = broken
    sys.argv = ["daemon", "gateway", "--embedded"]
    daemon.main()
    """
)


def test_a_defect_costs_its_own_request_and_leaves_no_trace_in_the_core(home):
    home.start(("-c", DEFECTIVE))
    client = home.ready()
    before = home.submit(client, "before", seconds=1)
    with pytest.raises(QmioError) as caught:
        home.submit(client, "poison")
    assert caught.value.code == "internal"
    assert before.wait(60).state is TaskState.COMPLETED
    assert home.submit(client, "after").wait(60).state is TaskState.COMPLETED
    assert sorted(view.label for view in client.tasks()) == ["after", "before"]
    defects = [line for line in home.log() if line["event"] == "defect"]
    assert [line["error"] for line in defects] == ["ZeroDivisionError"]
    assert any("broken" in place for place in defects[0]["where"])
    assert "SECRET" not in str(defects)


@contextlib.contextmanager
def small_disk(path, mebibytes):
    """A file system of its own for the state directory."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    size = f"size={mebibytes}m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        deadline = time.monotonic() + 30
        while subprocess.run(["umount", str(path)], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, "the disk stays in use"
            time.sleep(0.05)


def can_mount(tmp_path):
    if os.geteuid() != 0:
        return False
    tried = tmp_path / "tried"
    tried.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "tmpfs", str(tried)], check=False, capture_output=True
    ).returncode:
        return False
    subprocess.run(["umount", str(tried)], check=True)
    return True


@pytest.mark.root
def test_a_full_disk(make_home, tmp_path):
    """The real thing: a small file system runs full while tasks are accepted, and is cleared again."""
    if not can_mount(tmp_path):
        from tests.conftest import missing

        missing("the right to mount a file system")
    home = make_home()
    with small_disk(home.places.state, 8):
        home.start()
        client = home.ready()
        accepted = [home.submit(client, "accepted", seconds=0.5)]
        filler = home.places.state / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        try:
            error = None
            for _ in range(2000):
                # A last page or two may still be free.
                try:
                    accepted.append(home.submit(client, "accepted"))
                except QmioError as caught:
                    error = caught
                    break
            assert error is not None
            assert (error.code, error.retryable) == ("store", True)
            assert "wait" not in str(error)
        finally:
            filler.unlink()
        for handle in accepted:
            assert handle.wait(60).state is TaskState.COMPLETED
        after = home.wait_until(lambda: submitted(home, client), "new work is taken again")
        assert after.wait(60).state is TaskState.COMPLETED
        kept = {view.task_id for view in client.tasks(limit=1000)}
        assert kept == {handle.task_id for handle in (*accepted, after)}
        client.close()
        home.clean_up()


def submitted(home, client):
    with contextlib.suppress(QmioError):
        return home.submit(client, "after")
    return None
