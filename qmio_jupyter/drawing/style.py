"""Colours and type of every picture, as CSS custom properties with fall-backs.

A picture inside ``<img>`` sees nothing of its page, so it brings its own paper (white; near-black where the reader
prefers dark) on which every text has a contrast of at least 4.5. There is no colour that has it on white and on #111
at once: the best reaches 4.35. Inline, the page sets ``--qmio-ink`` and so on (`live_css`), makes the paper
transparent, and the same drawing takes the page's theme.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Tone(NamedTuple):
    """One colour in its three guises."""

    light: str
    dark: str
    #: JupyterLab's custom property of the same meaning, where there is one.
    jupyter: str = ""


#: What the colours are for, by the name after ``--qmio-``. Grey tones, one accent, and six series that differ in
#: lightness as well as in hue (after Okabe and Ito, "Color Universal Design", 2008).
TONES: Final[dict[str, Tone]] = {
    "paper": Tone("#ffffff", "#111111"),
    "halo": Tone("#ffffff", "#111111", "--jp-layout-color0"),
    "ink": Tone("#1f2328", "#e8eaed", "--jp-ui-font-color1"),
    "soft": Tone("#57606a", "#a9b1ba", "--jp-ui-font-color2"),
    "axis": Tone("#868e96", "#7d858d"),
    "grid": Tone("#e3e6ea", "#2b3036"),
    "bar": Tone("#5088cf", "#4585d3"),
    "rest": Tone("#a3abb4", "#7d858d"),
    "error": Tone("#1f2328", "#e8eaed", "--jp-ui-font-color1"),
    "series-1": Tone("#5088cf", "#4585d3"),
    "series-2": Tone("#c8550a", "#f08a4b"),
    "series-3": Tone("#007a5a", "#35c79b"),
    "series-4": Tone("#9a4f86", "#dc9bc6"),
    "series-5": Tone("#8a6a00", "#e0b43a"),
    "series-6": Tone("#4b5563", "#b6bec8"),
}
#: Number of series that have a colour of their own; further ones begin again, with another dash or shape.
SERIES: Final = 6
#: px; no text of a picture is smaller than `SMALL`.
SMALL: Final = 11
TITLE: Final = 12
#: What says that a page is light or dark, whatever its reader prefers elsewhere: JupyterLab and Notebook 7, VS Code,
#: Colab, documentation themes.
_LIGHT_HOSTS: Final = (
    "[data-jp-theme-light='true']",
    "body.vscode-light",
    "html[theme='light']",
    "[data-theme='light']",
)
_DARK_HOSTS: Final = (
    "[data-jp-theme-light='false']",
    "body.vscode-dark",
    "html[theme='dark']",
    "[data-theme='dark']",
)
FONT: Final = (
    "system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans','DejaVu Sans',sans-serif"
)
MONOSPACE: Final = "ui-monospace,'SF Mono',Menlo,Consolas,'Liberation Mono','DejaVu Sans Mono',monospace"


def colour(name: str) -> str:
    """Return the CSS value of a colour: what the page says, else the picture's own."""
    return f"var(--qmio-{name},var(--qmio-own-{name}))"


def style(rules: str = "") -> str:
    """Return a picture's ``<style>``: the colours it falls back to, the type, and its own `rules`."""
    return f"<style>{_COMMON}{rules}</style>"


def live_css(scope: str) -> str:
    """Return the CSS that gives pictures inside `scope` (one selector) the theme of the page around them.

    On a narrow page they shrink by a quarter at most, and then scroll.
    """
    light, dark = _properties(0), _properties(1)
    return (
        f"{scope}{{{light};overflow-x:auto}}"
        f"@media (prefers-color-scheme:dark){{{scope}{{{dark}}}}}"
        f"{_inside(_LIGHT_HOSTS, scope)}{{{light}}}"
        f"{_inside(_DARK_HOSTS, scope)}{{{dark}}}"
        f"{scope} svg{{display:block;max-width:max(100%,420px);height:auto}}"
    )


def static_css(scope: str) -> str:
    """Return the CSS that tells images inside `scope` (one selector) whether the page around them is dark.

    An SVG in an ``<img>`` sees the colour scheme of that element, where the browser goes by the standard (CSS Color
    Adjustment, "preferred colour scheme of embedded documents"); elsewhere it sees what the reader prefers.
    """
    return f"{_inside(_LIGHT_HOSTS, scope)}{{color-scheme:light}}{_inside(_DARK_HOSTS, scope)}{{color-scheme:dark}}"


def _inside(hosts: tuple[str, ...], scope: str) -> str:
    return ",".join(f"{host} {scope}" for host in hosts)


def _properties(which: int) -> str:
    said = []
    for name, tone in TONES.items():
        value = tone[which]
        if name == "paper":
            value = "transparent"
        elif tone.jupyter:
            value = f"var({tone.jupyter},{value})"
        said.append(f"--qmio-{name}:{value}")
    return ";".join([*said, f"--qmio-font:var(--jp-ui-font-family,{FONT})"])


def _own(which: int) -> str:
    return ";".join(f"--qmio-own-{name}:{tone[which]}" for name, tone in TONES.items())


_COMMON: Final = (
    f".qmio-svg{{{_own(0)}}}"
    f"@media (prefers-color-scheme:dark){{.qmio-svg{{{_own(1)}}}}}"
    f".qmio-svg text{{font:{SMALL}px var(--qmio-font,{FONT});fill:{colour('soft')}}}"
    f".qmio-svg .qmio-ink{{fill:{colour('ink')}}}"
    f".qmio-svg .qmio-mono{{font-family:{MONOSPACE};white-space:pre}}"
    f".qmio-svg .qmio-strong{{font-weight:600}}"
    f".qmio-paper{{fill:{colour('paper')}}}"
    f".qmio-grid{{stroke:{colour('grid')}}}"
    f".qmio-axis{{stroke:{colour('axis')}}}"
    f".qmio-svg .qmio-halo{{stroke:{colour('halo')};stroke-width:3px;stroke-linejoin:round;paint-order:stroke}}"
    ".qmio-hit{fill:transparent}"
)
