"""What to do about a name that a program uses and nothing declares. Pure text."""

from __future__ import annotations

import difflib
import re
from typing import Final

from qmio_jupyter.drivers.aer.guard import blank_comments

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
