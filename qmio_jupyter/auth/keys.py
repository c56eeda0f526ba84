"""CURVE keys: making them, naming them, and keeping them in files nobody else can read.

A key file is JSON, ``{"version": 1, "public": ..., "secret": ...}`` with both halves in Z85, mode 0600, owned
by the user who reads it. It is written beside its final name and moved, so a reader sees all or nothing.
"""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import zmq
from zmq.utils import z85

from qmio_jupyter.errors import AuthError, ConfigError
from qmio_jupyter.model.ids import KeyId, digest
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.private_files import read_private, write_private

#: Bytes of a Curve25519 key.
RAW_BYTES = 32
_Z85_CHARACTERS = 40
_FILE_VERSION = 1


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key file holds."""

    version: int
    public: str
    secret: str

    def __repr__(self) -> str:
        return f"_KeyFile(public={self.public!r})"


def new_keys() -> KeyPair:
    """Return a fresh key pair, from the operating system's randomness."""
    public, secret = zmq.curve_keypair()
    return KeyPair(public=public.decode("ascii"), secret=secret.decode("ascii"))


def raw_key(key: str) -> bytes:
    """Return the 32 bytes of a key in Z85.

    Raises
    ------
    AuthError
        If `key` is not 40 characters of Z85. The message does not repeat it, for it may be a secret.
    """
    if len(key) != _Z85_CHARACTERS:
        raise AuthError(
            f"A CURVE key has {_Z85_CHARACTERS} characters, not {len(key)}", hint="Copy the whole key."
        )
    try:
        raw = z85.decode(key.encode("ascii"))
    except (ValueError, KeyError, struct.error):
        raise AuthError("The text is not a CURVE key in Z85", hint="Copy the whole key.") from None
    if z85.encode(raw) != key.encode("ascii"):
        raise AuthError("The text is not a CURVE key in Z85", hint="Copy the whole key.")
    return raw


def key_id(public_key: str) -> KeyId:
    """Return how a peer with this public key (Z85) is known everywhere: SHA-256 of its 32 bytes, in hex."""
    return digest(raw_key(public_key))


def check_pair(keys: KeyPair) -> KeyPair:
    """Return `keys` if the public half belongs to the secret half.

    Raises
    ------
    AuthError
        If it does not, or if either half is malformed.
    """
    raw_key(keys.public)
    raw_key(keys.secret)
    if zmq.curve_public(keys.secret.encode("ascii")) != keys.public.encode("ascii"):
        raise AuthError("The public key does not belong to the secret key", hint="Make a new key pair.")
    return keys


def write_keys(path: Path, keys: KeyPair) -> None:
    """Write a key file: 0600, atomically; an existing one is replaced.

    Raises
    ------
    ConfigError
        If it cannot be written.
    """
    content = _KeyFile(version=_FILE_VERSION, public=keys.public, secret=keys.secret)
    write_private(path, msgspec.json.encode(content) + b"\n")


def read_keys(path: Path) -> KeyPair:
    """Read a key file.

    Raises
    ------
    ConfigError
        ``config.file`` if it is missing or not a key file, ``config.permissions`` if another user owns it or
        could read it.
    AuthError
        If the halves do not belong together.
    """
    try:
        content = msgspec.json.decode(read_private(path), type=_KeyFile)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"{path} is not a key file", code="config.file", hint="Make a new one.") from None
    if content.version != _FILE_VERSION:
        raise ConfigError(
            f"{path} is a key file of version {content.version}, {_FILE_VERSION} is known here",
            code="config.file",
            hint="Update this software, or make a new key.",
        )
    return check_pair(KeyPair(public=content.public, secret=content.secret))


def keys_at(path: Path) -> KeyPair:
    """Return the key pair kept at `path`, made on first use. Two processes that race get the same one.

    Raises
    ------
    ConfigError, AuthError
        As :func:`read_keys` and :func:`write_keys`.
    """
    if not path.exists():
        keys = new_keys()
        content = _KeyFile(version=_FILE_VERSION, public=keys.public, secret=keys.secret)
        if write_private(path, msgspec.json.encode(content) + b"\n", replace=False):
            return keys
    return read_keys(path)
