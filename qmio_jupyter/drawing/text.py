"""Text that goes into a picture: made harmless, cut to what fits, numbers written short.

Widths are estimates on the safe side, because the reader's fonts are not known here: system sans-serif and monospace
faces differ by some ten percent.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Final

#: Width of one character of a monospace font, in font sizes (the widest common face has 0.602).
MONO: Final = 0.61
#: Mean width of one character of a sans-serif font, in font sizes, for the short labels we write.
SANS: Final = 0.56
ELLIPSIS: Final = "…"
#: Longest text of a user repeated in a hover text or an alternative text, characters.
LONGEST: Final = 200
_BIDI_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}


def escape(text: str) -> str:
    """Return text fit for XML and HTML, inside an element or an attribute with either kind of quotes.

    What has been through `clean` needs nothing else.
    """
    if text.isalnum():
        return text
    for letter, escaped in _ESCAPES.items():
        text = text.replace(letter, escaped)
    return text


def clean(text: str) -> str:
    r"""Return foreign text on one line, without what XML forbids and what would reorder its surroundings.

    Control characters become their pictures (U+2400 and up), line ends a space; directional controls go; surrogates,
    non-characters and private use become U+FFFD.

    Examples
    --------
    >>> clean("a\tb\x00")
    'a b␀'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_harmless, text))


def isolated(text: str) -> str:
    """Return cleaned text that keeps its own direction inside a sentence: right-to-left runs between isolates."""
    if text.isascii() or not any(unicodedata.bidirectional(letter) in {"R", "AL", "AN"} for letter in text):
        return text
    return f"\u2068{text}\u2069"


def said(text: str) -> str:
    """Return foreign text as a sentence may repeat it: cleaned, at most `LONGEST` characters, isolated."""
    return isolated(tail_cut(clean(text), LONGEST))


def tail_cut(text: str, most: int) -> str:
    """Return at most `most` characters (at least one), an ellipsis in place of the end: for names."""
    return text if len(text) <= most else text[: max(0, most - 1)] + ELLIPSIS


def middle_cut(text: str, most: int) -> str:
    """Return at most `most` characters (at least 3), an ellipsis in place of the middle: for bitstrings.

    Examples
    --------
    >>> middle_cut("0123456789", 6)
    '012…89'
    """
    if len(text) <= most:
        return text
    kept = max(2, most - 1)
    tail = kept // 2
    return text[: kept - tail] + ELLIPSIS + text[len(text) - tail :]


def shortened(labels: list[str], most: int) -> list[str]:
    """Return labels of at most `most` characters each, told apart where that can be done.

    Head and tail are kept. Where two labels would look the same that way, the columns in which the labels differ are
    shown instead, if they are few enough.
    """
    if all(len(label) <= most for label in labels):
        return labels
    cut = [middle_cut(label, most) for label in labels]
    if len(set(cut)) == len(set(labels)) or len({len(label) for label in labels}) != 1:
        return cut
    differing = [at for at, column in enumerate(zip(*labels, strict=True)) if len(set(column)) > 1]
    first, last = differing[0], differing[-1] + 1
    if last - first > most - 2:
        return cut
    # One column of what is the same goes in as well, so that a single bit does not stand alone.
    last = min(len(labels[0]), max(last, first + most - 2))
    first = max(0, last - (most - 2))
    before = ELLIPSIS if first else ""
    after = ELLIPSIS if last < len(labels[0]) else ""
    return [f"{before}{label[first:last]}{after}" for label in labels]


def number(value: float) -> str:
    """Return a coordinate with at most two decimals and no trailing zeros.

    Examples
    --------
    >>> [number(v) for v in (3, 3.456, -0.001, 120.5)]
    ['3', '3.46', '0', '120.5']
    """
    written = f"{value:.2f}"
    if written.endswith("00"):
        written = written[:-3]
    elif written.endswith("0"):
        written = written[:-1]
    return "0" if written == "-0" else written


def significant(value: float, digits: int = 3) -> str:
    """Return a number for people: `digits` significant ones, no exponent between 1e-4 and 1e6.

    Examples
    --------
    >>> [significant(v) for v in (72.466, 0.0123456, 1e-7, 1234567.0, 0)]
    ['72.5', '0.0123', '1.00e-07', '1.23e+06', '0']
    """
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, places)}f}"


def span(seconds: float) -> str:
    """Return a length of time: ``4.2 ms``, ``1.25 s``, ``3 min 20 s``, ``2 h 5 min``.

    Examples
    --------
    >>> [span(v) for v in (0.0, 0.0042, 1.254, 200, 7500)]
    ['0 s', '4.20 ms', '1.25 s', '3 min 20 s', '2 h 5 min']
    """
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{significant(seconds * 1000)} ms"
    if seconds < 99.95:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def places(share: float) -> int:
    """Return the decimals with which a share is written as a percentage: one, more for shares below 0.1 %."""
    if share <= 0 or share >= 0.00095:
        return 1
    return min(6, -math.floor(math.log10(share * 100)))


def percent(share: float, decimals: int | None = None) -> str:
    """Return a share as a percentage, ``52.3 %``; `decimals` where it stands beside another.

    Examples
    --------
    >>> [percent(v) for v in (0.523, 0.0052, 0.00041, 1.0, 0.0)]
    ['52.3 %', '0.5 %', '0.04 %', '100 %', '0 %']
    """
    decimals = places(share) if decimals is None else decimals
    written = f"{100 * share:.{decimals}f}"
    if written.endswith("." + "0" * decimals) and (share in {0.0, 1.0}):
        written = written[: -decimals - 1]
    return f"{written} %"


def thousands(value: int) -> str:
    r"""Return a count with thin no-break spaces between thousands, from five digits on.

    Examples
    --------
    >>> thousands(1234567).replace("\u202f", "_")
    '1_234_567'
    """
    return f"{value:,}".replace(",", "\u202f") if value >= 10_000 else str(value)


def plural(count: int, one: str, many: str = "") -> str:
    """Return ``1 shot``, ``2 shots``."""
    return f"{thousands(count)} {one if count == 1 else many or one + 's'}"


def width_of(text: str, size: float, per_character: float = SANS) -> float:
    """Return an estimate of a text's width, px; wide (East Asian) characters count double."""
    if text.isascii():
        return len(text) * size * per_character
    wide = sum(1 for letter in text if unicodedata.east_asian_width(letter) in {"W", "F"})
    return (len(text) - wide) * size * per_character + wide * size


def _harmless(letter: str) -> str:
    code = ord(letter)
    if letter in "\t\n\r\x85\u2028\u2029":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if letter in _BIDI_CONTROLS:
        return ""
    if unicodedata.category(letter) in {"Cc", "Cs", "Co", "Cn"}:
        return "\ufffd"
    return letter
