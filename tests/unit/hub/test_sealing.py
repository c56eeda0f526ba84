"""Secrets are sealed for one user, and only the hub's are taken; by whatever else MUNGE says, nothing is opened."""

from __future__ import annotations

import pytest

from qmio_jupyter.auth import munge
from qmio_jupyter.errors import AuthError
from qmio_jupyter.hub import sealing
from qmio_jupyter.model.allocation import Bearer

GRANT, JOB, NODE = "g-1", "7", "n1"


class Munge:
    """A munged that lives in the test."""

    def __init__(self) -> None:
        self.uid = 2001
        self.made: list[Bearer] = []

    def encode(self, payload: bytes, *, only_for: int, path: str = "") -> bytes:
        self.made.append(
            Bearer(uid=self.uid, address="10.0.0.1", age_s=0.0, only_for=only_for, payload=payload)
        )
        return b"MUNGE:%d" % (len(self.made) - 1)

    def decode(self, credential: bytes, *, path: str = "") -> Bearer:
        return self.made[int(credential.removeprefix(b"MUNGE:"))]


@pytest.fixture
def munged(monkeypatch: pytest.MonkeyPatch) -> Munge:
    made = Munge()
    monkeypatch.setattr(munge, "encode", made.encode)
    monkeypatch.setattr(munge, "decode", made.decode)
    return made


def test_the_node_of_the_start_is_known(munged: Munge) -> None:
    shown = sealing.show(GRANT, JOB, NODE, hub_uid=0)
    sealing.check(shown, GRANT, JOB, NODE, uid=2001, hub_uid=0)


@pytest.mark.parametrize(
    ("grant", "job", "node", "uid", "hub_uid"),
    [
        ("g-2", JOB, NODE, 2001, 0),
        (GRANT, "8", NODE, 2001, 0),
        (GRANT, JOB, "n2", 2001, 0),
        (GRANT, JOB, NODE, 2002, 0),
        (GRANT, JOB, NODE, 2001, 999),
    ],
)
def test_any_other_is_refused(munged: Munge, grant: str, job: str, node: str, uid: int, hub_uid: int) -> None:
    shown = sealing.show(GRANT, JOB, NODE, hub_uid=0)
    with pytest.raises(AuthError):
        sealing.check(shown, grant, job, node, uid=uid, hub_uid=hub_uid)


def test_a_credential_is_for_one_request_of_a_certificate(munged: Munge) -> None:
    shown = sealing.show(GRANT, JOB, NODE, hub_uid=0, request="hers")
    sealing.check(shown, GRANT, JOB, NODE, uid=2001, hub_uid=0, request="hers")
    for request in ("", "another's"):
        with pytest.raises(AuthError):
            sealing.check(shown, GRANT, JOB, NODE, uid=2001, hub_uid=0, request=request)


def test_secrets_are_for_one_user_and_from_the_hub(munged: Munge) -> None:
    munged.uid = 0
    sealed = sealing.seal({"JUPYTERHUB_API_TOKEN": "opens"}, uid=2001)
    assert munged.made[-1].only_for == 2001
    assert "opens" not in sealed
    assert sealing.unseal(sealed, hub_uid=0) == {"JUPYTERHUB_API_TOKEN": "opens"}
    munged.uid = 2002
    with pytest.raises(AuthError):
        sealing.unseal(sealing.seal({"PATH": "/tmp"}, uid=2001), hub_uid=0)
