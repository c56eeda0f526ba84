"""The few pieces of HTML that all pages are made of. No script; nothing of a user goes in unescaped.

Pages must read well in JupyterLab (light and dark), after a sanitiser has taken the style away (GitHub, nbviewer,
untrusted notebooks), and in a file made by nbconvert: so the words come first, in the order in which they are read,
and the style only makes them beautiful.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from qmio_jupyter.display.text import plain

#: Colours are JupyterLab's where there is one, else they follow from the text's own: nothing is assumed of the paper.
STYLE: Final = (
    "<style>"
    # Text outputs of JupyterLab begin 8 px from the left.
    ".qmio-page{padding:0 8px;font-size:13px;line-height:20px;max-width:100%;font-variant-numeric:tabular-nums}"
    ".qmio-page .qmio-head,.qmio-page .qmio-line{min-height:24px;line-height:24px;max-width:720px}"
    ".qmio-page .qmio-soft{color:var(--jp-ui-font-color2,inherit)}"
    ".qmio-page .qmio-state{font-weight:600;white-space:nowrap}"
    # Lab's reds are too dark on its dark paper or too light on its light one: a third of the text's own colour helps.
    ".qmio-page .qmio-failed{color:var(--jp-error-color0,#b3261e);"
    "color:color-mix(in srgb,var(--jp-error-color1,#e53935) 65%,currentColor)}"
    ".qmio-page .qmio-mark{display:inline-block;width:1em}"
    ".qmio-page .qmio-id{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px}"
    ".qmio-page .qmio-figure img{margin:0;max-width:none}"
    ".qmio-page details{margin:0;min-height:24px}"
    ".qmio-page summary{cursor:pointer;line-height:24px}"
    ".qmio-page table.qmio-table{margin:2px 0 8px 0;border-collapse:collapse;font-size:12px}"
    ".qmio-page details table.qmio-table{margin-left:16px}"
    ".qmio-page .qmio-table td,.qmio-page .qmio-table th{padding:1px 12px 1px 0;vertical-align:top;"
    "white-space:pre-wrap;max-width:72ch;overflow-wrap:anywhere}"
    # Names, ids and dates stay whole; what is last in a row of many, a sentence or a label, may wrap.
    ".qmio-page .qmio-table th,.qmio-page .qmio-scroll td:not(:last-child){white-space:nowrap}"
    ".qmio-page .qmio-scroll td:last-child{overflow-wrap:break-word;min-width:12ch}"
    "</style>"
)
#: Columns of a table that fits any page.
_NARROW: Final = 4
_LEFT: Final = ' style="text-align:left"'
_RIGHT: Final = ' style="text-align:right"'


def esc(text: str) -> str:
    """Return text of whatever origin, fit for an element or an attribute."""
    return escape(plain(text))


def page(*parts: str) -> str:
    """Return a whole output: `parts` under the common style."""
    # JupyterLab gives the last element of an output a margin: the live view has none.
    return f'<div class="qmio-page" style="margin:0">{STYLE}{"".join(part for part in parts if part)}</div>'


def line(*words: str, kind: str = "line") -> str:
    """Return a line of facts with a middle dot between them; each is HTML. Empty without any."""
    said = [word for word in words if word]
    return f'<div class="qmio-{kind}">{" · ".join(said)}</div>' if said else ""


def soft(text: str) -> str:
    """Return plain text in the quieter tone; nothing for an empty one."""
    return f'<span class="qmio-soft">{esc(text)}</span>' if text else ""


def code(text: str) -> str:
    """Return an identifier."""
    return f'<span class="qmio-id">{esc(text)}</span>'


def details(summary: str, body: str) -> str:
    """Return what is folded away under a plain text; nothing if there is nothing."""
    return f"<details><summary>{esc(summary)}</summary>{body}</details>" if body else ""


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = (), *, caption: str = ""
) -> str:
    """Return a table of plain texts; the first cell of a row is its heading, `right` columns end flush."""
    flush = set(right)

    def cells(row: Sequence[str], heads: str) -> str:
        made = []
        for i, text in enumerate(row):
            tag, scope = ("th", f' scope="{heads}"') if heads == "col" or i == 0 else ("td", "")
            made.append(f"<{tag}{scope}{_RIGHT if i in flush else _LEFT}>{esc(text)}</{tag}>")
        return f"<tr>{''.join(made)}</tr>"

    said = f"<caption{_LEFT}>{esc(caption)}</caption>" if caption else ""
    head = f"<thead>{cells(header, 'col')}</thead>" if any(header) else ""
    body = "".join(cells(row, "row") for row in rows)
    made = f'<table class="qmio-table">{said}{head}<tbody>{body}</tbody></table>'
    # What may be wider than the page scrolls, and then it must be reachable without a pointer.
    scrolls = 'class="qmio-scroll" role="group" aria-label="Table" tabindex="0" style="overflow-x:auto"'
    return f"<div {scrolls}>{made}</div>" if len(header) > _NARROW else made


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and values, without those that have no value."""
    return table((), [(name, value) for name, value in pairs if value])
