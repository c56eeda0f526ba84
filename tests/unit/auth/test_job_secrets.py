"""Proofs with the secret of a job: good for one transcript, and not to be made by who has what the gateway has."""

import hashlib
import hmac
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmio_jupyter.auth import job_files
from qmio_jupyter.auth.job_files import JobFile, find, hand_out, path_of
from qmio_jupyter.auth.job_secrets import BYTES, check_of, new_secret, prove, proven
from qmio_jupyter.errors import ConfigError

SECRET, CHECK = b"s" * 32, check_of(b"s" * 32)
ONE, TWO = b"1" * 32, b"2" * 32
FILE = JobFile(cluster="c", job_id="7", node="n1", secret=SECRET)
ENV = {"SLURM_JOB_ID": "7", "SLURM_CLUSTER_NAME": "c", "SLURMD_NODENAME": "n1"}


def test_a_proof_is_good_for_the_transcript_it_was_made_for():
    proof = prove(SECRET, ONE)
    assert len(proof) == BYTES
    assert proven(proof, (TWO, ONE), CHECK) == ONE
    assert proven(proof, (TWO,), CHECK) is None
    assert proven(proof, (), CHECK) is None
    assert proven(prove(b"t" * 32, ONE), (ONE,), CHECK) is None


@pytest.mark.parametrize("proof", [b"", SECRET[:31], SECRET + b"s", b"MUNGE:AwQF:", b"\0" * 32])
def test_what_is_no_proof_proves_nothing(proof):
    assert proven(proof, (ONE, TWO), CHECK) is None


def test_who_has_what_the_gateway_keeps_can_make_none():
    """The ledger holds the hash alone. All that is made of it and of the transcript is refused."""
    mask = hmac.digest(CHECK, ONE, "sha256")
    xor = bytes(one ^ other for one, other in zip(mask, CHECK, strict=True))
    for forged in (CHECK, mask, xor, ONE, prove(CHECK, ONE), hashlib.sha256(CHECK).digest(), bytes(32)):
        assert proven(forged, (ONE,), CHECK) is None


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_any_bit_that_is_changed_spoils_it(secret, digest, bit):
    proof = bytearray(prove(secret, digest))
    assert proven(bytes(proof), (digest,), check_of(secret)) == digest
    proof[bit // 8] ^= 1 << bit % 8
    assert proven(bytes(proof), (digest,), check_of(secret)) is None


def test_a_proof_says_nothing_of_the_secret_to_who_has_not_the_hash():
    """Two secrets under masks of random keys: no part of the one or the other shows."""
    assert len({new_secret() for _ in range(100)}) == 100
    proof = prove(SECRET, ONE)
    assert SECRET not in proof
    assert len({prove(SECRET, bytes([number]) * 32) for number in range(100)}) == 100


# ---------------------------------------------------------------- the file


def test_the_file_is_its_users_alone_and_says_its_secret_to_nobody(tmp_path: Path):
    directory = tmp_path / "run" / "jobs"
    path = hand_out(directory, FILE, os.geteuid())
    facts = path.stat()
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (os.geteuid(), 0o600)
    assert stat.S_IMODE(directory.stat().st_mode) & 0o022 == 0
    assert find(ENV | {"QMIO_JOB_SECRETS": str(directory)}) == FILE
    assert "ssss" not in repr(FILE)
    again = JobFile(cluster="c", job_id="7", node="n1", secret=b"t" * 32)
    assert hand_out(directory, again, os.geteuid()) == path
    assert find(ENV | {"QMIO_JOB_SECRETS": str(directory)}) == again


@pytest.mark.root
def test_root_gives_it_away(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    path = hand_out(tmp_path / "jobs", FILE, 65534)
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (65534, 0o600)
    with pytest.raises(ConfigError) as refused:
        find(ENV | {"QMIO_JOB_SECRETS": str(path.parent)})
    assert refused.value.code == "config.permissions"


@pytest.mark.parametrize("what", ["link", "open", "file"])
def test_a_directory_that_somebody_else_could_have_laid_out_is_not_used(tmp_path: Path, what: str):
    directory = tmp_path / "jobs"
    if what == "link":
        (tmp_path / "elsewhere").mkdir()
        directory.symlink_to(tmp_path / "elsewhere")
    elif what == "open":
        directory.mkdir()
        directory.chmod(0o777)
    else:
        directory.write_text("")
    with pytest.raises(ConfigError):
        hand_out(directory, FILE, os.geteuid())
    assert not list(tmp_path.rglob("*.secret"))


def test_another_job_node_or_cluster_has_another_file(tmp_path: Path):
    hand_out(tmp_path, FILE, os.geteuid())
    there = ENV | {"QMIO_JOB_SECRETS": str(tmp_path)}
    for change in ({"SLURM_JOB_ID": "8"}, {"SLURMD_NODENAME": "n2"}, {"SLURM_CLUSTER_NAME": "d"}):
        assert find(there | change) is None
    assert find({"QMIO_JOB_SECRETS": str(tmp_path)}) is None
    assert path_of(tmp_path, "../c", "7/8", "n 1").parent == tmp_path


def test_a_component_of_a_heterogeneous_job_finds_its_own(tmp_path: Path):
    """It calls itself by its leader's id; the prolog of its node knows its own."""
    own = JobFile(cluster="c", job_id="8", node="n2", secret=SECRET)
    hand_out(tmp_path, own, os.geteuid())
    environ = ENV | {"QMIO_JOB_SECRETS": str(tmp_path), "SLURMD_NODENAME": "n2"}
    assert find(environ) is None
    assert find(environ | {"SLURM_JOB_ID_HET_GROUP_0": "7", "SLURM_JOB_ID_HET_GROUP_1": "8"}) == own


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"cluster":"c","job_id":"7","node":"n1","secret":"","version":2}']
)
def test_a_file_that_is_none_of_ours_is_said_to_be_so(tmp_path: Path, content: bytes):
    path = path_of(tmp_path, "c", "7", "n1")
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="secret of a job"):
        find(ENV | {job_files.VARIABLE: str(tmp_path)})
