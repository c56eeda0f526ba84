"""Cheap looks at a program before a parser sees it: sizes it declares, how deep it nests, files it wants to include.

A look can only refuse; what it lets through is still read under limits of memory and time.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from qmio_jupyter.errors import ProgramError

#: Classical bits a program may declare.
MAX_CLBITS: Final = 65_536
#: The only file a program may include, by version.
_LIBRARY: Final = {2: "qelib1.inc", 3: "stdgates.inc"}

_CODE: Final = (
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<string>"[^"\n]*"|'[^'\n]*')|(?P<word>[^\W\d]\w*)"""
)
#: What OpenQASM 3 reads to the end of its line whatever it holds, a comment's beginning included. (The @ of a
#: modifier stands behind a word or a parenthesis.)
_LINE: Final = r"(?P<line>(?:\#pragma|\bpragma\b|(?<![\w)]\s)(?<![\w)])@)[^\r\n]*)|"
_TOKEN: Final = {2: re.compile(_CODE, re.DOTALL), 3: re.compile(_LINE + _CODE, re.DOTALL)}
_PLAIN_INCLUDE: Final = re.compile(r'\binclude\s+"stdgates\.inc"\s*;')
#: Where readers of OpenQASM 3 may differ in what is text, comment or code.
_NOT_PLAIN: Final = re.compile(r"""["'@#\\]|pragma|include""")
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_QUANTUM: Final = re.compile(r"\bqubit\s*\[\s*(\d[\d_]*)\s*\]|\bqreg\s+\w+\s*\[\s*(\d[\d_]*)\s*\]")
_CLASSICAL: Final = re.compile(r"\bbit\s*\[\s*(\d[\d_]*)\s*\]|\bcreg\s+\w+\s*\[\s*(\d[\d_]*)\s*\]")


#: Brackets within brackets: parsers are recursive, and their stacks end without a word.
DEEPEST: Final = 200
_BRACKET: Final = re.compile(r"[\[({]|[\])}]")

#: Gates that one gate may be made of, down to those that are not defined by the program.
LARGEST_GATE: Final = 1_000_000
_GATE: Final = re.compile(r"\bgate\s+(?P<name>\w+)[^{};]*\{(?P<body>[^{}]*)\}")
_WORD: Final = re.compile(r"[^\W\d]\w*")

#: A circuit's own header in QPY 13 to 18: sizes of name and global phase, numbers of qubits, bits, bytes of metadata,
#: registers, instructions and variables.
_QPY_CIRCUIT: Final = struct.Struct("!HcHIIQIQI")
#: Where it begins, by version: behind the file's header, the kind of what is stored and, later, a table of offsets.
_QPY_AT: Final = {13: 20, 14: 20, 15: 20, 16: 28, 17: 28, 18: 28}
#: No instruction is stored in fewer bytes.
_QPY_INSTRUCTION: Final = 8


def check_qpy(data: bytes, version: int, max_qubits: int) -> None:
    """Refuse QPY whose header declares more than it can hold: its readers believe it, and fill all memory.

    Raises
    ------
    ProgramError
        ``program.too_wide``, ``program.too_large`` or ``program.format``.
    """
    at = _QPY_AT.get(version)
    if at is None or len(data) < at + _QPY_CIRCUIT.size:
        return  # too new to know, or too short: the reader itself says so
    _, _, _, qubits, clbits, metadata, registers, instructions, _ = _QPY_CIRCUIT.unpack_from(data, at)
    if metadata > len(data) or registers > len(data) or instructions * _QPY_INSTRUCTION > len(data):
        raise ProgramError(
            f"the QPY data is damaged (format {version})",
            hint="Write it again with qiskit.qpy.dump.",
            code="program.format",
        )
    for found, most, what, code in (
        (qubits, max_qubits, "qubits", "program.too_wide"),
        (clbits, MAX_CLBITS, "classical bits", "program.too_large"),
    ):
        if found > most:
            raise ProgramError(
                f"the program has {found} {what}, the device takes {most}",
                hint=f"Use fewer {what}.",
                code=code,
            )


def blank_comments(text: str, version: int = 3) -> str:
    """Return `text` with comments, pragmas and annotations turned to spaces: all else keeps its line and column."""

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return re.sub(r"[^\n]", " ", found) if match.lastgroup in ("comment", "line") else found

    return _TOKEN[version].sub(blank, text)


def is_plain(text: str) -> bool:
    """Return whether an OpenQASM 3 text holds nothing that two readers may take apart in two ways.

    Qiskit's own reader opens every file that a program includes. It gets only texts in which this module surely
    sees the same comments and includes as it does: no strings but the standard library's name, no pragmas, no
    annotations. The reference reader opens no file, and takes all of them.
    """
    if _LONE_RETURN.search(text):
        return False
    comments = [m.group() for m in _TOKEN[2].finditer(text) if m.lastgroup == "comment"]
    if any(comment.startswith("/*") and "/*" in comment[2:] for comment in comments):
        return False  # a reader that nests comments ends this one elsewhere
    return _NOT_PLAIN.search(_PLAIN_INCLUDE.sub("", blank_comments(text, 2))) is None


def place(text: str, offset: int) -> str:
    """Return ``line L, column C`` of an offset, both from 1."""
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def check_text(text: str, version: int, max_qubits: int) -> str:
    """Return the text without its comments, pragmas and annotations, if it may be given to a parser.

    Raises
    ------
    ProgramError
        ``program.too_wide`` for more qubits than `max_qubits`; ``program.too_large`` for more than `MAX_CLBITS` bits,
        brackets within more than `DEEPEST` others, or a gate of more than `LARGEST_GATE` gates;
        ``program.unsupported`` for an included file that is not the standard library of gates.
    """
    code = blank_comments(text, version)
    _check_includes(code, version)
    _check_depth(code)
    _check_growth(code)
    _check_sum(code, _QUANTUM, max_qubits, "qubits", "program.too_wide")
    _check_sum(code, _CLASSICAL, MAX_CLBITS, "classical bits", "program.too_large")
    return code


def _check_depth(code: str) -> None:
    depth = 0
    for match in _BRACKET.finditer(code):
        depth = depth + 1 if match.group() in "[({" else depth - 1
        if depth > DEEPEST:
            raise ProgramError(
                f"{place(code, match.start())}: brackets are nested more than {DEEPEST} deep",
                hint="Flatten it.",
                code="program.too_large",
            )


def _check_growth(code: str) -> None:
    """Refuse gates defined by gates defined by gates, whose number doubles with every line."""
    sizes: dict[str, int] = {}
    for match in _GATE.finditer(code):
        size = 0
        for statement in match["body"].split(";"):
            # Modifiers come before the name of a gate, qubits behind it.
            called = next((word for word in _WORD.findall(statement) if word in sizes), None)
            size += sizes[called] if called is not None else bool(statement.strip())
        sizes[match["name"]] = size
        if size > LARGEST_GATE:
            raise ProgramError(
                f"{place(code, match.start())}: gate {match['name']} is made of more than {LARGEST_GATE} gates",
                hint="Define it by fewer.",
                code="program.too_large",
            )


def _check_includes(code: str, version: int) -> None:
    library = _LIBRARY[version]
    tokens = [m for m in _TOKEN[version].finditer(code) if m.lastgroup in ("string", "word")]
    for index, token in enumerate(tokens):
        if token.lastgroup != "word" or token.group() != "include":
            continue
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        name = following.group()[1:-1] if following is not None and following.lastgroup == "string" else ""
        if name != library:
            raise ProgramError(
                f"{place(code, token.start())}: only {library!r} can be included",
                hint="Write the definitions into the program.",
                code="program.unsupported",
            )


def _check_sum(code: str, pattern: re.Pattern[str], most: int, what: str, error_code: str) -> None:
    total = 0
    for match in pattern.finditer(code):
        digits = (match.group(1) or match.group(2)).replace("_", "")
        # Ten digits are too many already; int() of a million digits would take its time.
        total += int(digits) if len(digits) < 10 else 10**10
        if total > most:
            raise ProgramError(
                f"{place(code, match.start())}: the program declares more than {most} {what}",
                hint=f"Use fewer {what}.",
                code=error_code,
            )
