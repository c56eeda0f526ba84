"""The digest a proof is over: whatever differs, it differs."""

from __future__ import annotations

import hashlib

import pytest

from qmio_jupyter.auth.keys import new_keys, raw_key
from qmio_jupyter.auth.transcript import TAG, digest

SERVER = new_keys().public
PARTS: dict[str, object] = {
    "server_key": SERVER,
    "client_key": b"k" * 32,
    "nonce": b"n" * 32,
    "cluster": "east",
    "job_id": "17",
    "grant_id": "g-1",
}


def test_it_is_sha256_over_the_parts_each_after_its_length() -> None:
    parts = (TAG, raw_key(SERVER), b"k" * 32, b"n" * 32, b"east", b"17", b"\1g-1")
    whole = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert digest(**PARTS) == hashlib.sha256(whole).digest()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"server_key": new_keys().public},
        {"client_key": b"l" * 32},
        {"nonce": b"m" * 32},
        {"cluster": "west"},
        {"job_id": "18"},
        {"grant_id": "g-2"},
        {"grant_id": None},
        {"grant_id": ""},
        {"cluster": "east1", "job_id": "7"},
        {"cluster": "eas", "job_id": "t17"},
        {"job_id": "17g-1", "grant_id": ""},
    ],
)
def test_whatever_differs_it_differs(change: dict[str, object]) -> None:
    assert digest(**(PARTS | change)) != digest(**PARTS)  # type: ignore[arg-type]
