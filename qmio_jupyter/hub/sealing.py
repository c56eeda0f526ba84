"""How a server gets its secrets: sealed by MUNGE for its user alone, when its job has started; never through Slurm.

The node shows who it is with a credential that only the hub's user can read, bound to this start; the hub answers with
the secrets in a credential that only the job's user can read. Neither ever stands in a script, an argument, or the
environment that Slurm keeps; both are good once, and for a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from qmio_jupyter.auth import munge
from qmio_jupyter.errors import AuthError

_TAG = b"qmio_jupyter hub start v2"


def purpose(grant_id: str, job_id: str, node: str, request: str = "") -> bytes:
    """Return what a node's credential carries: useless for any other start, job, node or request of a certificate."""
    parts = (_TAG, grant_id.encode(), job_id.encode(), node.encode(), request.encode())
    return hashlib.sha256(b"\0".join(parts)).digest()


def show(grant_id: str, job_id: str, node: str, *, hub_uid: int, path: str = "", request: str = "") -> str:
    """Return the node's credential for the hub, good for this request of a certificate alone.

    Raises
    ------
    AuthError
        ``auth.munge`` (retryable) if the node's munged cannot be asked.
    """
    return munge.encode(purpose(grant_id, job_id, node, request), only_for=hub_uid, path=path).decode("ascii")


def check(
    credential: str,
    grant_id: str,
    job_id: str,
    node: str,
    *,
    uid: int,
    hub_uid: int,
    path: str = "",
    request: str = "",
) -> None:
    """Refuse a credential that is not of this start's user, or not made for this hub, start, job, node and request.

    Raises
    ------
    AuthError
        ``auth.credential``; ``auth.munge`` (retryable) if the hub's munged cannot be asked.
    """
    bearer = munge.decode(credential.encode("utf-8", "replace"), path=path)
    is_right = (
        bearer.uid == uid
        and bearer.only_for == hub_uid
        and bearer.payload == purpose(grant_id, job_id, node, request)
    )
    if not is_right:
        raise AuthError("the credential is not of this start", code="auth.credential")


def seal(secrets: Mapping[str, str], *, uid: int, path: str = "") -> str:
    """Return the secrets so that only a process of `uid` can read them."""
    return munge.encode(msgspec.json.encode(dict(secrets)), only_for=uid, path=path).decode("ascii")


def unseal(sealed: str, *, hub_uid: int, path: str = "") -> dict[str, str]:
    """Return the secrets that the hub has sealed for this process's user.

    Raises
    ------
    AuthError
        If somebody else than the hub's user made it, or it is not good (any more).
    """
    bearer = munge.decode(sealed.encode("utf-8", "replace"), path=path)
    if bearer.uid != hub_uid:
        raise AuthError("what came in the hub's name is not the hub's", code="auth.credential")
    return msgspec.json.decode(bearer.payload, type=dict[str, str])
