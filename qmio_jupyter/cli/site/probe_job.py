"""A job of a user on a node, by srun: what only a node can tell."""

from __future__ import annotations

import pwd
import select
import socket
import subprocess
import time
from pathlib import PurePosixPath

import msgspec

from qmio_jupyter.cli.site.as_user import becoming, environment, facts_in
from qmio_jupyter.cli.site.ask_node import NodeAsk
from qmio_jupyter.cli.site.facts import JobFacts, ProbeJob
from qmio_jupyter.errors import ConfigError

#: Seconds Slurm has to give a node, and the job to tell what it found.
NODE_S = 60
TELL_S = 120.0


class JobAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How the job is to be run."""

    user: str
    #: Absolute path of sbatch: srun is beside it.
    sbatch: str
    python: str
    slurm_config: str = ""
    partition: str = ""
    licence: str = ""


def run(ask: JobAsk, question: NodeAsk) -> ProbeJob:
    """Return what a job found; it needs srun, and to be root or that user."""
    srun = str(PurePosixPath(ask.sbatch).with_name("srun"))
    argv = [srun, "--ntasks=1", "--nodes=1", f"--immediate={NODE_S}", "--time=3", "--job-name=qmio-doctor"]
    argv += [f"--partition={ask.partition}"] if ask.partition else []
    argv += [f"--licenses={ask.licence}:1"] if ask.licence else []
    argv += ["--chdir=/", ask.python, "-I", "-m", "qmio_jupyter.cli.site.probe", "node"]
    try:
        user = pwd.getpwnam(ask.user)
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(user, {"SLURM_CONF": ask.slurm_config} if ask.slurm_config else None),
            cwd="/",
            start_new_session=True,
            **becoming(user),
        )
    except (KeyError, OSError, ConfigError, subprocess.SubprocessError) as problem:
        why = problem.message if isinstance(problem, ConfigError) else f"{srun}: {problem}"
        return ProbeJob(user=ask.user, why=why)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(question))
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdin = None
        told = _told(process)
        reached = None if told is None or not told.port else _reached(told.address, told.port)
        try:
            _, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.terminate()
            _, err = process.communicate(timeout=30)
    said = " ".join(err.decode("utf-8", "replace").split())[-400:]
    if told is None:
        return ProbeJob(
            user=ask.user, has_run=_has_run(said), why=said or f"srun ended with {process.returncode}"
        )
    return ProbeJob(user=ask.user, has_run=True, facts=told, reached_why=reached)


def _told(process: subprocess.Popen[bytes]) -> JobFacts | None:
    """Return the facts as soon as the job has written them; None if it ends without."""
    assert process.stdout is not None
    output, give_up = b"", time.monotonic() + NODE_S + TELL_S
    while time.monotonic() < give_up:
        if not select.select([process.stdout], [], [], 1.0)[0]:
            continue
        more = process.stdout.read1(65536)  # type: ignore[attr-defined]
        if not more:
            return None
        output += more
        if b"\n" in more and (found := facts_in(output, JobFacts)) is not None:
            return found
    process.terminate()
    return None


def _reached(address: str, port: int) -> str:
    """Return why the job's port cannot be connected to from here; empty: it can."""
    try:
        with socket.create_connection((address, port), timeout=10):
            return ""
    except OSError as problem:
        return f"{address}:{port}: {problem}"


def _has_run(said: str) -> bool:
    """Return whether the job was on a node when it failed, by what srun says."""
    return any(words in said for words in ("execve()", "No module named", "task 0", "Exited with exit code"))
