"""A drawing as static HTML: an image with its hover texts, without script.

What sanitisers keep (GitHub, nbviewer, untrusted notebooks) is the ``<img>`` and its alternative text. Hover texts are
empty elements placed over it in per cent, because the areas of an image map would stay where they are when the image
shrinks. It shrinks as the live view does, down to a width at which it can still be read, and scrolls below that. It is
light or dark as the page is, where the page says so, else as its reader prefers.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.style import static_css
from qmio_jupyter.drawing.text import escape

_CSS: Final = static_css(".qmio-figure")


#: px; a picture is not shrunk below this width.
LEAST_WIDTH: Final = 420
#: What has the focus tells its text, as hovering does.
_FOCUS_CSS: Final = (
    ".qmio-figure .qmio-spot:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2);border-radius:3px}"
    ".qmio-figure .qmio-spot:focus-visible::after{content:attr(aria-label);position:absolute;z-index:1;"
    "top:calc(100% + 4px);width:max-content;max-width:240px;padding:2px 8px;border-radius:3px;line-height:18px;"
    "border:1px solid var(--jp-border-color1,#bdbdbd);background:var(--jp-layout-color0,Canvas);"
    "color:var(--jp-ui-font-color1,CanvasText)}"
    ".qmio-figure .qmio-spot.qmio-west:focus-visible::after{right:0}"
)


def figure(drawing: Drawing, *, focus: bool = False) -> str:
    """Return a drawing as HTML.

    Parameters
    ----------
    focus : bool
        Whether its spots can have the keyboard's focus, too: each is then a stop of the Tab key.
    """
    image = (
        f'<img src="data:image/svg+xml;base64,{b64encode(drawing.svg.encode()).decode()}" '
        f'alt="{escape(drawing.alt)}" width="{drawing.width}" height="{drawing.height}" '
        'style="display:block;width:100%;height:auto">'
    )
    spots = "".join(_spot(drawing, spot, focus=focus) for spot in drawing.spots)
    least = min(drawing.width, LEAST_WIDTH)
    # What scrolls must be reachable without a pointer, and then it needs a name.
    return (
        '<div class="qmio-figure" role="group" aria-label="Picture" tabindex="0" style="overflow-x:auto">'
        f"<style>{_CSS}{_FOCUS_CSS if focus else ''}</style>"
        f'<div style="position:relative;max-width:{drawing.width}px;min-width:{least}px">{image}{spots}</div></div>'
    )


def _spot(drawing: Drawing, spot: Spot, *, focus: bool) -> str:
    box = (
        f"position:absolute;left:{100 * spot.x / drawing.width:.2f}%;top:{100 * spot.y / drawing.height:.2f}%;"
        f"width:{100 * spot.width / drawing.width:.2f}%;height:{100 * spot.height / drawing.height:.2f}%"
    )
    text = escape(spot.text)
    if not focus:
        return f'<span class="qmio-spot" aria-hidden="true" title="{text}" style="{box}"></span>'
    side = " qmio-west" if 2 * spot.x > drawing.width else ""
    return (
        f'<span class="qmio-spot{side}" role="img" tabindex="0" aria-label="{text}" title="{text}" '
        f'style="{box}"></span>'
    )
