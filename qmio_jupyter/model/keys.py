"""A CURVE key pair as a value that hides its secret; making, storing and checking them is `auth`'s."""

from __future__ import annotations

import msgspec


class KeyPair(msgspec.Struct, frozen=True):
    """A CURVE (Curve25519) key pair, both halves in Z85: 40 characters each.

    The representation never shows the secret half, so a pair can stand in a traceback or a log.
    """

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r}, secret=<hidden>)"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Give rich what to show: the public half alone."""
        return [("public", self.public)]
