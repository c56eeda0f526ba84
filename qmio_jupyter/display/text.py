"""Words, numbers and columns, as plain text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

#: Spaces that Python does not take for printable.
_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}"


def align(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table with one space-aligned line per row, under `header`; `right` columns end flush."""
    lines = [list(map(plain, header)), *(list(map(plain, row)) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return ``name  value`` lines, aligned, without those that have no value."""
    said = [(name, plain(value)) for name, value in pairs if value]
    width = max((len(name) for name, _ in said), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in said)


def moment(at_ms: int) -> str:
    """Return a time of the gateway's clock as local date and time."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return a duration as a person says it: ``0.3 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 0.95:
        return f"{max(seconds, 0) * 1000:.0f} ms" if seconds < 0.0995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plain(text: str) -> str:
    """Return `text` without control characters: a label may not move the cursor."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _SPACES else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def age(seconds: float) -> str:
    """Return how old something is, in one unit: ``3 min``, ``5 h``, ``12 days``."""
    seconds = max(seconds, 0)
    for limit, size, unit in ((90, 1, "s"), (90 * 60, 60, "min"), (36 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def grouped(number: int) -> str:
    """Return a whole number with its thousands apart, from five digits on: ``9999``, ``10 000`` (narrow no-break)."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if abs(number) >= 10_000 else str(number)
