"""The ports at which servers may listen on their nodes, where a firewall lets the hub and its proxy in. Pure."""

from __future__ import annotations

from qmio_jupyter.errors import ConfigError

_LEAST, _MOST = 1024, 65_535


def ports_of(text: str) -> range:
    """Return the ports that ``FIRST-LAST`` names, both included; empty, which is any, for an empty text.

    Raises
    ------
    ConfigError
        If it is not such a range, or reaches below 1024 or beyond 65535.
    """
    if not text:
        return range(0)
    first, dash, last = (part.strip() for part in text.partition("-"))
    if dash and all(part.isascii() and part.isdigit() and len(part) <= 5 for part in (first, last)):
        found = range(int(first), int(last) + 1)
        if found and found[0] >= _LEAST and found[-1] <= _MOST:
            return found
    raise ConfigError(
        f"c.QmioSpawner.server_ports: {text[:40]!r} is no range of ports",
        hint=f"Write FIRST-LAST, within {_LEAST}-{_MOST}, as 50000-50999.",
    )
