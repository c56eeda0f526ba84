"""Argument lists, environments and the meaning of failures, with a runner that says what real commands said."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import pytest

from qmio_jupyter.errors import ConfigError, SlurmError, UsageError
from qmio_jupyter.slurm.adapter import Slurm, Submitted
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.complaints import failure
from qmio_jupyter.slurm.requests import JobRequest
from qmio_jupyter.slurm.running import ProcessRunner
from qmio_jupyter.testing.slurm import until

#: What Slurm 22.05.8 wrote, by (command, what it stands for).
SAID = [
    ("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "slurm.unreachable"),
    ("sbatch", "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
     "slurm.unreachable"),
    ("scancel", "scancel: error: Kill job error on job id 3: Unable to contact slurm controller (connect failure)",
     "slurm.unreachable"),
    ("squeue", ('squeue: error: If munged is up, restart with --num-threads=10\nsqueue: error: Munge encode failed: '
     'Failed to access "/run/munge.sock": No such file or directory (Did you start munged?)\nslurm_load_jobs error: '
     "Protocol authentication error"), "slurm.unreachable"),
    ("squeue", "squeue: error: something nobody has seen before", "slurm.unreachable"),
    ("squeue", "", "slurm.unreachable"),
    ("squeue", "slurm_load_jobs error: Invalid job id specified", "slurm.unknown_job"),
    ("sbatch", ("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: "
     "Invalid partition name specified"), "slurm.refused"),
    ("sbatch", "sbatch: error: Batch job submission failed: Access denied to requested reservation", "slurm.refused"),
    ("scancel", "scancel: error: Kill job error on job id 2: Access/permission denied", "slurm.refused"),
    ("sbatch", "allocation failure: Requested node configuration is not available", "slurm.refused"),
]  # fmt: skip


class Said:
    """A runner that answers with one text."""

    def __init__(self, code: int = 0, out: str = "", err: str = "") -> None:
        self.answer = (code, out, err)
        self.argv: list[str] = []
        self.stdin = b""
        self.environ: Mapping[str, str] = {}

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout_s: float,
        environ: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        self.argv, self.stdin, self.environ = list(argv), stdin, environ or {}
        return self.answer


@pytest.mark.parametrize(("command", "said", "code"), SAID)
def test_failures_are_told_apart(command: str, said: str, code: str) -> None:
    error = failure(command, 1, said, is_query=command == "squeue")
    assert error.code == code
    assert error.retryable == (code == "slurm.unreachable")
    assert "\n" not in error.one_line()
    assert "sbatch: error" not in error.message


def test_slurms_own_reason_is_what_the_user_reads() -> None:
    said = SAID[7][1]
    assert failure("sbatch", 1, said).message == (
        "invalid partition specified: nope; Invalid partition name specified"
    )


def test_submitting() -> None:
    runner = Said(out="17\n")
    slurm = Slurm(SlurmCommands(run_as=("/usr/bin/sudo", "-n", "-u", "{user}", "--")), runner)
    request = JobRequest(
        name="qmio-g-1", partition="qpu", licences="qpu_fake-qmio:1", memory_mb=100, limit_min=5, export=()
    )
    assert slurm.submit(
        b"#!/bin/sh\n", request, user="alice", environ={"A": "1", "SBATCH_PARTITION": "x"}
    ) == Submitted(17)
    assert runner.argv == [
        "/usr/bin/sudo", "-n", "-u", "alice", "--", "/usr/bin/sbatch", "--parsable", "--job-name=qmio-g-1",
        "--partition=qpu", "--mem=100M", "--time=5", "--licenses=qpu_fake-qmio:1", "--export=NIL",
    ]  # fmt: skip
    assert runner.stdin == b"#!/bin/sh\n"
    assert runner.environ["A"] == "1"
    assert "SBATCH_PARTITION" not in runner.environ
    assert runner.environ["TZ"] == "UTC"


def test_a_cluster_of_a_federation_is_told() -> None:
    assert Slurm(runner=Said(out="17;east\n")).submit(b"", JobRequest(name="a")) == Submitted(17, "east")


def test_an_answer_without_an_id_may_still_be_a_job() -> None:
    with pytest.raises(SlurmError) as failed:
        Slurm(runner=Said(out="what?\n")).submit(b"", JobRequest(name="a"))
    assert failed.value.code == "slurm.unreachable"


@pytest.mark.parametrize("user", ["", "-u root", "--", "a b", "a\nb", "root:", "../x", "a,b"])
def test_no_user_name_becomes_an_option_or_two_words(user: str) -> None:
    commands = SlurmCommands(run_as=("/usr/bin/sudo", "-u", "{user}"))
    with pytest.raises(ConfigError):
        Slurm(commands, Said(out="1")).submit(b"", JobRequest(name="a"), user=user)


@pytest.mark.parametrize(
    "request_",
    [
        JobRequest(name=""),
        JobRequest(name="--wrap=x"),
        JobRequest(name="a b"),
        JobRequest(name="a,b"),
        JobRequest(name="a", partition="x --uid=0"),
        JobRequest(name="a", account="$(id)"),
        JobRequest(name="a", gres="gpu:1 --uid=0"),
        JobRequest(name="a", output="/tmp/a\n#SBATCH --uid=0"),
        JobRequest(name="a", tasks=0),
        JobRequest(name="a", export=("A=1",)),
        JobRequest(name="a", reservation="é"),
    ],
)
def test_nothing_that_is_asked_for_becomes_another_option(request_: JobRequest) -> None:
    runner = Said(out="1")
    with pytest.raises(UsageError):
        Slurm(runner=runner).submit(b"", request_)
    assert runner.argv == []


def test_cancelling_by_name_names_the_owner_too() -> None:
    runner = Said()
    Slurm(runner=runner).cancel_named("qmio-g-1", owner="alice")
    assert runner.argv[1:] == ["--name=qmio-g-1", "--user=alice"]
    with pytest.raises(UsageError):
        Slurm(runner=runner).cancel_named("a,b", owner="alice")


def test_cancelling_what_has_ended_is_no_error_and_what_is_not_ours_is() -> None:
    Slurm(runner=Said(1, err="scancel: error: Kill job error on job id 2: Invalid job id specified")).cancel(
        2
    )
    with pytest.raises(SlurmError, match="permission denied"):
        Slurm(
            runner=Said(210, err="scancel: error: Kill job error on job id 2: Access/permission denied")
        ).cancel(2)


def test_an_unknown_job_is_none_and_a_silent_slurm_is_an_error() -> None:
    assert Slurm(runner=Said(1, err="slurm_load_jobs error: Invalid job id specified")).job(9) == ()
    with pytest.raises(SlurmError) as failed:
        Slurm(runner=Said(1, err="slurm_load_jobs error: Unable to contact slurm controller")).job(9)
    assert failed.value.code == "slurm.unreachable"


def test_separators_are_never_the_same() -> None:
    runner = Said()
    slurm = Slurm(runner=runner)
    slurm.jobs()
    first = runner.argv[-1]
    slurm.jobs()
    assert runner.argv[-1] != first
    assert runner.argv[-1].startswith("JobID:0~")


def test_paths_are_absolute() -> None:
    with pytest.raises(ConfigError):
        SlurmCommands(sbatch="sbatch")
    with pytest.raises(ConfigError):
        SlurmCommands(run_as=("sudo", "-u", "{user}"))


def test_a_real_process_is_read_and_told_apart_from_a_missing_one() -> None:
    run = ProcessRunner().run
    assert run(["/bin/cat"], stdin=b"hello", timeout_s=5) == (0, "hello", "")
    assert run(["/bin/sh", "-c", "echo no >&2; exit 3"], timeout_s=5)[0::2] == (3, "no\n")
    with pytest.raises(SlurmError) as failed:
        run(["/nonexistent/squeue"], timeout_s=5)
    assert failed.value.code == "slurm.command"
    assert not failed.value.retryable


def test_a_process_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $$ $! > {pids}; wait"
    with pytest.raises(SlurmError) as failed:
        ProcessRunner().run(["/bin/sh", "-c", script], timeout_s=1.0)
    assert failed.value.code == "slurm.unreachable"
    assert failed.value.retryable
    for pid in pids.read_text().split():
        stat = Path(f"/proc/{pid}/stat")
        until(lambda stat=stat: not stat.exists() or stat.read_text().split()[2] in "ZX", f"{pid} is gone")


ENDED = (
    "JobId=7 JobName=qmio-g-1 UserId=ana(1001) GroupId=ana(1001) MCS_label=N/A Priority=1 Nice=0 Account=(null) "
    "QOS=(null) JobState=NODE_FAIL Reason=NodeDown Dependency=(null) Comment=x JobState=COMPLETED Reason=None \n"
)


def test_how_a_job_ended() -> None:
    runner = Said(out=ENDED)
    slurm = Slurm(SlurmCommands(), runner)
    assert slurm.ending(7, "qmio-g-1") == ("NODE_FAIL", "NodeDown")
    assert runner.argv[1:] == ["--oneliner", "show", "job", "7"]
    # The id is another job's by now, or the job has not ended, or Slurm has forgotten it.
    assert slurm.ending(7, "qmio-g-2") is None
    running = Said(out=ENDED.replace("NODE_FAIL", "RUNNING"))
    assert Slurm(SlurmCommands(), running).ending(7, "qmio-g-1") is None
    forgotten = Said(1, err="slurm_load_jobs error: Invalid job id specified")
    assert Slurm(SlurmCommands(), forgotten).ending(7, "qmio-g-1") is None


def test_a_process_that_cannot_be_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run-as helper's child of another user, or one that waits for a file system that is away."""

    def may_not(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("qmio_jupyter.slurm.running._LET_GO_S", 0.2)
    monkeypatch.setattr("os.killpg", may_not)
    monkeypatch.setattr("subprocess.Popen.kill", may_not)
    began = time.monotonic()
    with pytest.raises(SlurmError) as failed:
        ProcessRunner().run(["/bin/sleep", "20"], timeout_s=0.2)
    assert time.monotonic() - began < 10
    assert failed.value.code == "slurm.unreachable"
    monkeypatch.undo()
    for thread in threading.enumerate():
        if thread.name == "left to itself":
            for child in psutil.Process().children():
                child.kill()
            thread.join(20)
            assert not thread.is_alive()


def test_a_query_that_complains_is_no_answer_whatever_its_status() -> None:
    away = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
    with pytest.raises(SlurmError) as failed:
        Slurm(runner=Said(0, "", away)).jobs()
    assert failed.value.code == "slurm.unreachable"
