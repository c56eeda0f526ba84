"""Identifiers and digests: what they look like, and how they are made from given randomness.

Nothing here draws random numbers: whoever mints an id passes the random bytes in.
"""

from __future__ import annotations

import hashlib
import re

from qmio_jupyter.errors import UsageError

#: SHA-256 as 64 lowercase hexadecimal digits.
Digest = str
#: ``t-`` and 26 Crockford base-32 digits: 48 bits of time (ms) and 80 random bits, sortable by time.
TaskId = str
DeviceName = str
#: Name of an agent, stable over its restarts.
AgentId = str
SessionId = str
GrantId = str
BookingId = str
#: Hexadecimal SHA-256 of a public key's 32 raw bytes; how a peer is known everywhere above `transport`.
KeyId = str
#: ``account/user``; fair share is hierarchical along the slash.
Tenant = str

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ID = re.compile(r"[a-z]{1,2}-[0-9a-hjkmnp-tv-z]{26}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def mint(prefix: str, now_ms: int, random: bytes) -> str:
    """Return ``prefix-`` and 26 base-32 digits from a time and 10 random bytes.

    Raises
    ------
    ValueError
        If `random` has not exactly 10 bytes.
    """
    if len(random) != 10:
        raise ValueError("10 random bytes are needed")
    number = ((now_ms & ((1 << 48) - 1)) << 80) | int.from_bytes(random, "big")
    digits: list[str] = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits.append(_CROCKFORD[digit])
    return f"{prefix}-{''.join(reversed(digits))}"


def is_id(text: str) -> bool:
    """Return whether `text` looks like an id made by :func:`mint`."""
    return _ID.fullmatch(text) is not None


def minted_ms(text: str) -> int:
    """Return the time (ms) inside an id made by :func:`mint`; 0 for any other text."""
    if not is_id(text):
        return 0
    number = 0
    for digit in text[-26:]:
        number = number * 32 + _CROCKFORD.index(digit)
    return number >> 80 & ((1 << 48) - 1)


def check_name(text: str, what: str) -> str:
    """Return `text` if it is a valid device, agent or label-like name.

    Raises
    ------
    UsageError
        If it is not 1-64 letters, digits, ``.``, ``_``, ``-``, starting with a letter or digit.
    """
    if _NAME.fullmatch(text) is None:
        raise UsageError(
            f"{what} {text!r} is not a valid name",
            hint="Use 1-64 letters, digits, '.', '_', '-'.",
        )
    return text


def digest(data: bytes) -> Digest:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether `text` looks like a :func:`digest`."""
    return _DIGEST.fullmatch(text) is not None


def seed_from(task_id: TaskId) -> int:
    """Return the seed (0 .. 2**63-1) a task gets when its user gave none: reproducible from its id."""
    return int.from_bytes(hashlib.sha256(task_id.encode()).digest()[:8], "big") >> 1
