"""Who a hub's user is on the cluster: a map, and an account that exists, or a refusal before anything is submitted."""

from __future__ import annotations

import pwd
import re
from collections.abc import Callable, Mapping

import msgspec

from qmio_jupyter.errors import HubError

#: What may be the name of a unix account here; nothing else is even looked up.
_UNIX_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")

#: Root's uid, and that of nobody: never a person's.
_NOBODYS = frozenset({0, 65534})


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A unix account."""

    name: str
    uid: int
    gid: int
    home: str


def account_of(
    hub_name: str,
    mapping: Mapping[str, str] | Callable[[str], str | None] | None = None,
    *,
    least_uid: int = 1000,
    lookup: Callable[[str], pwd.struct_passwd] = pwd.getpwnam,
) -> Account:
    """Return the unix account of a hub's user.

    Parameters
    ----------
    hub_name : str
        The user's name at the hub: any text.
    mapping : mapping or callable, optional
        From hub names to unix names; who is not in it (or gets None) has no account. None: the names are the same.
    least_uid : int
        Accounts with a smaller uid belong to the system and are refused, root and nobody always.
    lookup : callable
        Finds an account by its name, as ``pwd.getpwnam``.

    Raises
    ------
    HubError
        ``hub.account``.
    """
    name: str | None
    if mapping is None:
        name = hub_name
    elif isinstance(mapping, Mapping):
        name = mapping.get(hub_name)
    else:
        name = mapping(hub_name)
    if name is None or _UNIX_NAME.fullmatch(name) is None:
        raise _none(hub_name)
    try:
        found = lookup(name)
    except KeyError:
        raise _none(hub_name) from None
    if found.pw_uid in _NOBODYS or found.pw_uid < least_uid:
        raise HubError(
            f"the account of user {hub_name!r} is the system's, not a person's",
            hint="Ask the administrator for an account of your own.",
            code="hub.account",
        )
    return Account(name=found.pw_name, uid=found.pw_uid, gid=found.pw_gid, home=found.pw_dir)


def _none(hub_name: str) -> HubError:
    return HubError(
        f"user {hub_name!r} has no account on this cluster",
        hint="Ask the administrator for one.",
        code="hub.account",
    )
