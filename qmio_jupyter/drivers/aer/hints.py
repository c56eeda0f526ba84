"""What to do about unknown names, and places of faults that Qiskit does not know in OpenQASM 2: pure text."""

from __future__ import annotations

import difflib
import re
from typing import Final

from qmio_jupyter.drivers.aer.guard import blank_comments, place

#: Gates of ``stdgates.inc``.
LIBRARY_3: Final = frozenset(
    (
        *(
            "p",
            "x",
            "y",
            "z",
            "h",
            "s",
            "sdg",
            "t",
            "tdg",
            "sx",
            "rx",
            "ry",
            "rz",
            "cx",
            "cy",
            "cz",
            "cp",
            "crx",
        ),
        *("cry", "crz", "ch", "swap", "ccx", "cswap", "cu", "CX", "phase", "cphase", "id", "u1", "u2", "u3"),
    )
)
#: Gates that ``qelib1.inc`` has and ``stdgates.inc`` has not, or calls differently.
_LIBRARY_2: Final = LIBRARY_3 - {"p", "cp", "cphase", "phase", "CX", "sx"} | {
    "cu1",
    "cu3",
    "rzz",
    "u",
    "p",
    "sx",
}
_UNKNOWN: Final = re.compile(
    r"gate '(?P<gate>\w+)' is not defined|Undefined symbol '(?P<symbol>[^']+)'"
    r"|'(?P<name>\w+)' is not defined in this scope"
)
_REGISTER: Final = re.compile(
    r"\b(?:qubit|bit)\s*(?P<size3>\[[^\]]*\])?\s*(?P<name3>[^\W\d]\w*)"
    r"|\b(?:qreg|creg)\s+(?P<name2>\w+)\s*(?P<size2>\[[^\]]*\])"
)
#: Angles of the gates of ``qelib1.inc`` that have any.
_ANGLES: Final = {
    **dict.fromkeys(("rx", "ry", "rz", "u1", "p", "cu1", "cp", "crx", "cry", "crz", "rxx", "rzz"), 1),
    "u2": 2,
    "u3": 3,
    "u": 3,
    "cu3": 3,
    "cu": 4,
}
_CALLED: Final = re.compile(rf"(?<![\w.])({'|'.join(_ANGLES)})(?=\s+\w|\s*\()\s*(\()?")
_SINGLE_EQUALS: Final = re.compile(r"(?<!=)=(?!=)")
_DEFINED: Final = re.compile(r"\b(?:gate|opaque)\s+([^\W\d]\w*)")
_SHOWN: Final = 6


def for_unknown(what: str, text: str, version: int) -> str | None:
    """Return a hint for an error about an unknown name, None for another error.

    Parameters
    ----------
    what : str
        What a parser said.
    text : str
        The program.
    version : int
        2 or 3, of OpenQASM.

    Examples
    --------
    >>> for_unknown("'q' is not defined in this scope", "OPENQASM 2.0; qreg reg[4];", 2)
    "Declare 'q' first; declared are reg[4]."
    """
    found = _UNKNOWN.search(what)
    if found is None:
        return None
    code = blank_comments(text, version)
    name = found["gate"] or found["symbol"] or found["name"]
    library, file = (LIBRARY_3, "stdgates.inc") if version == 3 else (_LIBRARY_2, "qelib1.inc")
    is_included = re.search(r'\binclude\s*["\']', code) is not None
    if name in library and not is_included:
        return f'Add include "{file}"; at the top: {name} is in it.'
    gates = {*_DEFINED.findall(code), *(library if is_included else ())}
    registers = {(m["name3"] or m["name2"]): m["size3"] or m["size2"] or "" for m in _REGISTER.finditer(code)}
    known = gates if found["gate"] else gates | registers.keys() if found["name"] else set(registers)
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75 if len(name) < 4 else 0.6)
    if near:
        return f"Did you mean {near[0]}?"
    if found["gate"]:
        return "Define the gate first, or write it with others."
    shown = [f"{register}{size}" for register, size in registers.items()]
    declared = ", ".join(shown[:_SHOWN]) + (", ..." if len(shown) > _SHOWN else "")
    return f"Declare {name!r} first; declared are {declared}." if declared else f"Declare {name!r} first."


def missing_angle(text: str) -> str | None:
    r"""Return what is wrong, and where, with the first gate of OpenQASM 2 that comes without its angles.

    Qiskit's reader only finds out when it makes the gate, and no longer knows where that was.

    Examples
    --------
    >>> missing_angle("OPENQASM 2.0; qreg q[1];\nry q[0];")
    'line 2, column 1: gate ry takes 1 parameter, not 0'
    """
    code = blank_comments(text, 2)
    for match in _CALLED.finditer(code):
        wanted = _ANGLES[match[1]]
        given = _count(code, match.end()) if match[2] else 0
        if given != wanted:
            are = "parameter" if wanted == 1 else "parameters"
            return f"{place(code, match.start())}: gate {match[1]} takes {wanted} {are}, not {given}"
    return None


def single_equals(text: str) -> str:
    """Return the place of the first lone ``=``, which OpenQASM 2 does not know; empty if there is none."""
    code = blank_comments(text, 2)
    found = _SINGLE_EQUALS.search(code)
    return f"{place(code, found.start())}: " if found is not None else ""


def _count(code: str, at: int) -> int:
    """Return how many expressions stand between the parenthesis before `at` and the one that closes it."""
    depth, commas, begin = 1, 0, at
    while at < len(code) and depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        commas += depth == 1 and code[at] == ","
        at += 1
    return commas + 1 if code[begin : at - 1].strip() else 0
