"""Addresses of hosts in their one shape, so that two of them can be compared as text."""

from __future__ import annotations

import ipaddress


def normal(address: str) -> str:
    """Return an address in its one shape: IPv4 inside IPv6 is IPv4, there is no scope, and digits are short."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)
