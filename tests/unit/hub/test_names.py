"""Who has no account of a person on the cluster is refused, whatever her name looks like."""

from __future__ import annotations

import pwd

import pytest

from qmio_jupyter.errors import HubError
from qmio_jupyter.hub.names import account_of


def lookup(name: str) -> pwd.struct_passwd:
    uids = {"alice": 2001, "bob": 2002, "root": 0, "daemon": 1, "hidden": 0, "nobody": 65534}
    return pwd.struct_passwd((name, "x", uids[name], uids[name], "", f"/home/{name}", "/bin/sh"))


def test_the_names_are_the_same_without_a_map() -> None:
    found = account_of("alice", lookup=lookup)
    assert (found.name, found.uid, found.home) == ("alice", 2001, "/home/alice")


@pytest.mark.parametrize(
    "mapping", [{"Ana <'\"&> García": "alice"}, lambda name: "alice" if "Ana" in name else None]
)
def test_a_map_from_any_name(mapping: object) -> None:
    assert account_of("Ana <'\"&> García", mapping, lookup=lookup).name == "alice"  # type: ignore[arg-type]
    with pytest.raises(HubError) as caught:
        account_of("bob", mapping, lookup=lookup)  # type: ignore[arg-type]
    assert caught.value.code == "hub.account"


@pytest.mark.parametrize(
    "name",
    [
        "carol",
        "",
        "root",
        "daemon",
        "nobody",
        "-u",
        "alice bob",
        "alice\n",
        "ALICE",
        "../alice",
        "<'\">",
        "ñ",
        "a" * 33,
        "0",
        "#0",
    ],
)
def test_no_account(name: str) -> None:
    with pytest.raises(HubError) as caught:
        account_of(name, lookup=lookup)
    assert caught.value.code == "hub.account"
    assert "\n" not in str(caught.value)


def test_root_is_refused_even_where_system_accounts_are_not() -> None:
    assert account_of("daemon", least_uid=0, lookup=lookup).uid == 1
    with pytest.raises(HubError):
        account_of("hidden", least_uid=0, lookup=lookup)
