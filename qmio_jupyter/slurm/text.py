"""Slurm's text: records between separators, times, durations, lists of hosts, counts. Pure.

Fields that users choose (a job's name) may hold anything, line ends included. So every query picks a random
separator, and a record is told by the number of its fields: no name can forge a field of its own or another job.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator, Sequence

from qmio_jupyter.errors import SlurmError

#: What Slurm prints where there is nothing.
NOTHING = frozenset({"", "N/A", "n/a", "(null)", "NONE", "Unknown", "None"})
_MOST_HOSTS = 100_000
_FIELD = re.compile(r"(?:^|\s)([A-Za-z][A-Za-z0-9/:_]*)=")


def unreadable(what: str) -> SlurmError:
    """Return the error for output that is not understood: nothing is concluded from it."""
    return SlurmError(
        f"Slurm's answer is not understood: {what}",
        code="slurm.unreachable",
        retryable=True,
        hint="Report it with the version of Slurm (sinfo --version).",
    )


def long_format(fields: Sequence[str], separator: str) -> str:
    """Return the value of ``-O`` that prints `fields` unpadded and uncut, each followed by `separator`."""
    return ",".join(f"{field}:0{separator}" for field in fields)


def records(output: str, count: int, separator: str) -> Iterator[list[str]]:
    """Yield the records of `count` fields each, made by :func:`long_format`.

    Raises
    ------
    SlurmError
        If the output ends within a record.
    """
    fields = output.split(separator)
    if len(fields) % count != 1 or fields[-1].strip():
        raise unreadable(f"{len(fields) - 1} fields do not make records of {count}")
    for start in range(0, len(fields) - 1, count):
        record = fields[start : start + count]
        # The line end of the record before.
        record[0] = record[0].lstrip("\n")
        yield record


def pairs(line: str) -> dict[str, str]:
    """Return the ``Name=value`` pairs of a line of ``scontrol --oneliner``; for text that administrators write."""
    found = list(_FIELD.finditer(line))
    ends = [match.start() for match in found[1:]] + [len(line)]
    return {match[1]: line[match.end() : end].strip() for match, end in zip(found, ends, strict=True)}


def text_or_none(text: str) -> str:
    """Return `text`; empty for what Slurm prints where there is nothing."""
    return "" if text in NOTHING else text


def time_ms(text: str) -> int | None:
    """Return a time Slurm printed in UTC as milliseconds since the Unix epoch; None where it has none."""
    if text in NOTHING:
        return None
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) * 1000
    except ValueError:
        raise unreadable(f"{text[:40]!r} is no time") from None


def duration_s(text: str) -> int | None:
    """Return ``[days-][hours:]minutes:seconds`` in seconds; None for no limit, or none printed."""
    if text in NOTHING or text.upper() in {"UNLIMITED", "INFINITE", "INVALID", "NOT_SET", "PARTITION_LIMIT"}:
        return None
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    try:
        numbers = [int(part) for part in parts]
        whole_days = int(days) if dash else 0
    except ValueError:
        raise unreadable(f"{text[:40]!r} is no duration") from None
    if len(numbers) > 3:
        raise unreadable(f"{text[:40]!r} is no duration")
    if dash:  # days-hours[:minutes[:seconds]]
        numbers += [0] * (3 - len(numbers))
    elif len(numbers) == 1:  # minutes
        numbers.append(0)
    seconds = 0
    for number in numbers:
        seconds = seconds * 60 + number
    return whole_days * 86_400 + seconds


def is_number(text: str) -> bool:
    """Return whether `text` is decimal digits and nothing else (`str.isdigit` takes what `int` does not)."""
    return text.isascii() and text.isdigit()


def number_or_none(text: str) -> int | None:
    """Return an integer; None for no limit, or none printed."""
    if text in NOTHING or text.upper() in {"UNLIMITED", "INFINITE"}:
        return None
    try:
        return int(text)
    except ValueError:
        raise unreadable(f"{text[:40]!r} is no number") from None


def counts(text: str) -> dict[str, int]:
    """Return ``name:count`` or ``name=count`` pairs between commas; a name alone counts one.

    A licence's ``name@server`` keeps its server.
    """
    found: dict[str, int] = {}
    for part in text_or_none(text).split(","):
        name, sign, number = part.strip().replace("=", ":").rpartition(":")
        if not sign:
            name, number = number, "1"
        if name:
            found[name] = found.get(name, 0) + (int(number) if is_number(number) else 1)
    return found


def names(text: str) -> tuple[str, ...] | None:
    """Return the names between commas; None for ``ALL``, which is everybody."""
    if text == "ALL":
        return None
    return tuple(name for name in text_or_none(text).split(",") if name)


def hosts(text: str) -> tuple[str, ...]:
    """Return the names that a list such as ``a[01-03,7],b`` stands for, in its order.

    Raises
    ------
    SlurmError
        If it is not such a list, or stands for unreasonably many.
    """
    found: list[str] = []
    for part in _outer(text_or_none(text)):
        found += _expanded(part)
        if len(found) > _MOST_HOSTS:
            raise unreadable("a list of too many hosts")
    return tuple(found)


def _outer(text: str) -> Iterator[str]:
    """Yield what stands between the commas that are in no brackets."""
    depth, start = 0, 0
    for index, sign in enumerate(text):
        depth += (sign == "[") - (sign == "]")
        if depth not in (0, 1):
            break
        if sign == "," and not depth:
            yield text[start:index]
            start = index + 1
    if depth:
        raise unreadable(f"{text[:60]!r} is no list of hosts")
    if text[start:]:
        yield text[start:]


def _expanded(text: str) -> list[str]:
    head, bracket, rest = text.partition("[")
    if not bracket:
        return [head]
    inside, _, tail = rest.partition("]")
    tails = _expanded(tail)
    found: list[str] = []
    for piece in inside.split(","):
        first, dash, last = piece.partition("-")
        if not is_number(first) or (dash and not is_number(last)):
            raise unreadable(f"{text[:60]!r} is no list of hosts")
        numbers = range(int(first), int(last if dash else first) + 1)
        if len(numbers) * len(tails) > _MOST_HOSTS:
            raise unreadable("a list of too many hosts")
        found += [f"{head}{number:0{len(first)}d}{end}" for number in numbers for end in tails]
    return found
