"""MUNGE credentials through libmunge: who asks, vouched for by the cluster's own daemons.

The library is the one that Slurm's own authentication uses, so it is where Slurm is. It talks to the local munged over
a unix socket; no command is run and no secret passes through an argument list.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import socket
import threading
from typing import Any, Self

from qmio_jupyter.errors import AuthError, ConfigError
from qmio_jupyter.model.allocation import Bearer

#: Names of the library, the present one first.
_LIBRARIES = ("libmunge.so.2", "libmunge.so")
#: Where daemons' sockets are that differ from the library's own default.
SOCKET_VARIABLE = "QMIO_MUNGE_SOCKET"
#: Seconds for which an encoded credential may be decoded.
TTL_S = 60
#: Longest credential that is looked at, in bytes.
LONGEST = 3072

#: Of munge.h. A site's default may be no cipher at all, and what the hub seals for a user is secret.
_OPT_CIPHER, _OPT_MAC, _AES256, _SHA512 = 0, 1, 5, 6
_OPT_TTL, _OPT_ADDR4, _OPT_ENCODED, _OPT_DECODED, _OPT_SOCKET, _OPT_UID = 4, 5, 6, 7, 8, 9
_SUCCESS, _SOCKET, _TIMEOUT = 0, 6, 7
_CREDENTIAL_ERRORS = {
    14: "is not valid here (it was made under another key, or changed)",
    15: "has expired",
    16: "was made in the future (the clocks of the hosts differ)",
    17: "was used before",
    18: "is not for this user",
}
_ANY_UID = 0xFFFFFFFF

#: The library says that contexts are not to be shared; a lock for each process is simpler than a context per thread.
_lock = threading.Lock()


@functools.cache
def _library() -> Any:
    for name in (*_LIBRARIES, ctypes.util.find_library("munge") or ""):
        if not name:
            continue
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.munge_ctx_create.restype = ctypes.c_void_p
        library.munge_ctx_destroy.argtypes = [ctypes.c_void_p]
        library.munge_strerror.restype = ctypes.c_char_p
        library.munge_strerror.argtypes = [ctypes.c_int]
        return library
    raise ConfigError(
        "libmunge is not installed, and a Slurm job proves itself through it",
        hint="Install Debian's libmunge2 (or your distribution's munge-libs) on this host.",
    )


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    return libc


class _Context:
    """A libmunge context with its options."""

    def __init__(self, path: str) -> None:
        self.library = _library()
        made = self.library.munge_ctx_create()
        if not made:
            raise MemoryError
        self.pointer = ctypes.c_void_p(made)
        if path:
            self.set(_OPT_SOCKET, ctypes.c_char_p(os.fsencode(path)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.library.munge_ctx_destroy(self.pointer)

    def set(self, option: int, value: Any) -> None:
        """Set an option."""
        error = self.library.munge_ctx_set(self.pointer, ctypes.c_int(option), value)
        if error != _SUCCESS:
            raise _failure(error)

    def number(self, option: int, kind: Any) -> int:
        """Return an option's number."""
        value = kind()
        error = self.library.munge_ctx_get(self.pointer, ctypes.c_int(option), ctypes.byref(value))
        if error != _SUCCESS:
            raise _failure(error)
        return int(value.value)

    def address(self) -> str:
        """Return the address of the host that made what was decoded."""
        raw = ctypes.create_string_buffer(4)
        error = self.library.munge_ctx_get(self.pointer, ctypes.c_int(_OPT_ADDR4), raw)
        if error != _SUCCESS:
            raise _failure(error)
        return socket.inet_ntoa(raw.raw)


def _failure(error: int) -> AuthError:
    if error in _CREDENTIAL_ERRORS:
        return AuthError(
            f"the MUNGE credential {_CREDENTIAL_ERRORS[error]}",
            code="auth.credential",
            hint="Ask for a new nonce and make a new one.",
        )
    said = _library().munge_strerror(error) or b""
    words = said.decode("ascii", "replace")
    if error in (_SOCKET, _TIMEOUT):
        return AuthError(
            f"munged could not be asked ({words})",
            code="auth.munge",
            retryable=True,
            hint="Is munged running on this host? Retry in a moment.",
        )
    return AuthError(f"the MUNGE credential is refused ({words})", code="auth.credential")


def socket_path(configured: str = "") -> str:
    """Return the path of munged's socket: `configured`, the environment's, or empty for the library's default."""
    return configured or os.environ.get(SOCKET_VARIABLE, "")


def encode(payload: bytes, *, only_for: int, path: str = "") -> bytes:
    """Return a credential that says who this process is and carries `payload`.

    Parameters
    ----------
    payload : bytes
        Whoever may decode it reads it; nobody else does, for it is encrypted whatever the site's default.
    only_for : int
        The uid that alone may decode it.
    path : str
        munged's socket; empty: as :func:`socket_path` finds it.

    Raises
    ------
    AuthError
        ``auth.munge`` (retryable) if the daemon cannot be asked.
    ConfigError
        If the library is missing.
    """
    with _lock, _Context(socket_path(path)) as context:
        context.set(_OPT_CIPHER, ctypes.c_int(_AES256))
        context.set(_OPT_MAC, ctypes.c_int(_SHA512))
        context.set(_OPT_TTL, ctypes.c_int(TTL_S))
        context.set(_OPT_UID, ctypes.c_uint32(only_for))
        made = ctypes.c_char_p()
        error = context.library.munge_encode(
            ctypes.byref(made), context.pointer, ctypes.c_char_p(payload), ctypes.c_int(len(payload))
        )
        try:
            if error != _SUCCESS or made.value is None:
                raise _failure(error)
            return bytes(made.value)
        finally:
            _libc().free(made)


def decode(credential: bytes, *, path: str = "") -> Bearer:
    """Return who made a credential. munged remembers it: it is good once.

    Parameters
    ----------
    credential : bytes
        As it came; anything may stand in it.
    path : str
        munged's socket; empty: as :func:`socket_path` finds it.

    Raises
    ------
    AuthError
        ``auth.credential`` if it is not good (any more), ``auth.munge`` (retryable) if the daemon cannot be asked.
    ConfigError
        If the library is missing.
    """
    if len(credential) > LONGEST or b"\0" in credential or not credential.startswith(b"MUNGE:"):
        raise AuthError("the credential is not one of MUNGE's", code="auth.credential")
    with _lock, _Context(socket_path(path)) as context:
        payload, length = ctypes.c_void_p(), ctypes.c_int()
        uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
        error = context.library.munge_decode(
            ctypes.c_char_p(credential),
            context.pointer,
            ctypes.byref(payload),
            ctypes.byref(length),
            ctypes.byref(uid),
            ctypes.byref(gid),
        )
        try:
            # An expired or replayed one is decoded all the same: its content is not looked at.
            if error != _SUCCESS:
                raise _failure(error)
            carried = ctypes.string_at(payload, length.value) if payload.value else b""
        finally:
            _libc().free(payload)
        only_for = context.number(_OPT_UID, ctypes.c_uint32)
        age_s = context.number(_OPT_DECODED, ctypes.c_long) - context.number(_OPT_ENCODED, ctypes.c_long)
        return Bearer(
            uid=uid.value,
            address=context.address(),
            age_s=float(age_s),
            only_for=None if only_for == _ANY_UID else only_for,
            payload=carried,
        )


def is_installed() -> bool:
    """Return whether the library is there."""
    try:
        _library()
    except ConfigError:
        return False
    return True
