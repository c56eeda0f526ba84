"""JSON documents from outside, read with suspicion: bounded, no key twice, no number that is none.

A `Document` knows its name, so that every error can say where; `Section` walks into it and refuses, by name,
what is missing or of another type.
"""

from __future__ import annotations

import json
import math
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, NoReturn

from qmio_jupyter.calibration.checks import wrong
from qmio_jupyter.errors import ConfigError

#: Largest file read, bytes; the calibration of a 156-qubit device has 0.6 MB. Decoded it may take thirty times that.
MAX_BYTES: Final = 8 * 2**20
#: Longest piece of a foreign text that an error repeats.
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON document and where it came from.

    Attributes
    ----------
    name : str
        For errors: the file's path, or what the caller calls it.
    content : object
        The decoded value.
    path : Path or None
        The file, where it was one.
    modified_ms : int or None
        When the file was last written, milliseconds since the Unix epoch.
    """

    name: str
    content: object
    path: Path | None = None
    modified_ms: int | None = None


def load(source: Path | bytes, *, name: str = "the calibration") -> Document:
    """Return a document read from a file, or from bytes that the caller calls `name`.

    Raises
    ------
    ConfigError
        ``config.file`` if the file cannot be read, ``config.calibration`` if it is too large, no JSON, nested too
        deeply, repeats a key, or holds NaN, an infinity or a number beyond the doubles.
    """
    if isinstance(source, bytes):
        return Document(name=name, content=_decode(source, name))
    name = printable(str(source))
    try:
        facts = source.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise ConfigError(f"{name} is no file", hint="Give a calibration file.", code="config.file")
        if facts.st_size > MAX_BYTES:
            raise _too_large(name)
        with source.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise ConfigError(
            f"{name} cannot be read ({reason})",
            hint="Check the path and its owner.",
            code="config.file",
        ) from problem
    return Document(
        name=name,
        content=_decode(data, name),
        path=source,
        modified_ms=facts.st_mtime_ns // 1_000_000,
    )


class Section:
    """One object of a document, whose members are asked for by name.

    Names are compared without white space around them: calibration files are known to hold ``"Frequency "``. A
    member whose name is exact comes before one that has to be stripped.

    Parameters
    ----------
    document : str
        Name of the document, for errors.
    place : str
        Where in it, for errors; empty for the top.
    content : object
        The object itself.

    Raises
    ------
    ConfigError
        If `content` is no JSON object.
    """

    def __init__(self, document: str, place: str, content: object) -> None:
        self._document = document
        self.place = place
        if not isinstance(content, Mapping):
            self.refuse(f"{place or 'the document'} is {kind(content)}, not an object")
        members = {str(key).strip(): value for key, value in content.items()}
        members.update({str(key): value for key, value in content.items() if str(key) == str(key).strip()})
        self._members = members

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def names(self) -> tuple[str, ...]:
        """Return the names of the members, as they come."""
        return tuple(self._members)

    def get(self, name: str) -> object:
        """Return a member as it is, None if absent."""
        return self._members.get(name)

    def section(self, name: str) -> Section:
        """Return a member that must be an object."""
        if name not in self._members:
            self.refuse(f"{self._at()}{name!r} is missing")
        return Section(self._document, self._inside(name), self._members[name])

    def sections(self) -> Iterator[tuple[str, Section]]:
        """Return every member, each of which must be an object, with its name."""
        for name in self._members:
            yield name, self.section(name)

    def of(self, place: str, content: object) -> Section:
        """Return another object of the same document, found at `place`."""
        return Section(self._document, place, content)

    def items(self, name: str) -> list[object]:
        """Return a member that must be a list."""
        value = self._members.get(name)
        if not isinstance(value, list):
            self.refuse(f"{self._at()}{name!r} is {kind(value)}, not a list")
        return value

    def text(self, name: str) -> str:
        """Return a member that must be a text."""
        value = self._members.get(name)
        if not isinstance(value, str):
            self.refuse(f"{self._at()}{name!r} is {kind(value)}, not a text")
        return value

    def whole(self, name: str) -> int:
        """Return a member that must be a whole number."""
        value = self._members.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(f"{self._at()}{name!r} is {kind(value)}, not a whole number")
        return value

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a member that must be a list of whole numbers."""
        found = self.items(name)
        for value in found:
            if not isinstance(value, int) or isinstance(value, bool):
                self.refuse(f"{self._at()}{name!r} holds {kind(value)}, not whole numbers only")
        return tuple(value for value in found if isinstance(value, int))

    def number(self, name: str) -> float | None:
        """Return a member that must be a number, or null (None): not known. Absent is None as well."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.refuse(f"{self._at()}{name!r} is {kind(value)}, not a number")
        return float(value)

    def known_only(self, *names: str) -> None:
        """Refuse members of any other name."""
        for name in self._members:
            if name not in names:
                self.refuse(
                    f"{self._at()}{shorten(name)!r} is not known", f"Known here: {', '.join(sorted(names))}."
                )

    def refuse(self, what: str, hint: str | None = None) -> NoReturn:
        """Raise the error that names the document."""
        raise wrong(self._document, what) if hint is None else wrong(self._document, what, hint)

    def _at(self) -> str:
        return f"{self.place}: " if self.place else ""

    def _inside(self, name: str) -> str:
        return f"{self.place} {shorten(name)}" if self.place else shorten(name)


def shift(value: float, places: int) -> float:
    """Return ``value * 10**places``, the decimal point moved in what is written: 0.06 ms is 6e-05 s, exactly.

    Multiplying by a power of ten that is no double itself would round twice.
    """
    return float(Decimal(repr(value)).scaleb(places)) if places else value


def kind(value: object) -> str:
    """Return what a JSON value is, in words, with the value where it is short."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {shorten(value)!r}"
    return f"the number {value}"


def shorten(text: str) -> str:
    """Return the start of a foreign text, for an error: nothing that a terminal would take for a command."""
    start = printable(text[:_SHOWN])
    return start if len(text) <= _SHOWN else f"{start}..."


def printable(text: str) -> str:
    """Return a foreign text on one line, with question marks for what is not printable."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class _RefusedError(ValueError):
    """What a hook of the decoder found."""


def _too_large(name: str) -> ConfigError:
    return wrong(
        name, f"larger than {MAX_BYTES // 2**20} MiB", "A calibration file is smaller; check the path."
    )


def _decode(data: bytes, name: str) -> object:
    if len(data) > MAX_BYTES:
        raise _too_large(name)
    try:
        text = data.decode("utf-8-sig")
        return json.loads(
            text,
            object_pairs_hook=_members,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError as problem:
        raise wrong(name, "nested too deeply") from problem
    except UnicodeDecodeError as problem:
        raise wrong(name, f"not UTF-8 at byte {problem.start}") from problem
    except json.JSONDecodeError as problem:
        reason = f"line {problem.lineno}, column {problem.colno}: {problem.msg}"
        raise wrong(name, f"not JSON ({reason})") from problem
    except _RefusedError as problem:
        raise wrong(name, str(problem)) from problem


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise _RefusedError(f"key {shorten(twice)!r} appears twice in one object")
    return members


def _no_constant(text: str) -> NoReturn:
    raise _RefusedError(f"{text} is no JSON number; write null where a value is not known")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _RefusedError(f"the number {shorten(text)} is too large")
    return value


def _whole(text: str) -> int | float:
    # Longer ones are no measured value; as a float they are refused, or compared, without an error of their own.
    return int(text) if len(text) <= 18 else _finite(text)
