"""Numbers with bounds, checked where bytes become values: whatever passes fits into SQL and into arithmetic."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

#: A time in ms, a count or a serial number: far from SQLite's 64 bits, and exact as a float.
Whole = Annotated[int, Meta(ge=0, le=2**53)]
#: A seed: SQLite's non-negative integers.
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
#: A duration in seconds (at most some thirty years): finite, and finite after any sum or product of ours.
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
