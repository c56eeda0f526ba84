"""A drawing as static HTML: an image with its hover texts, without script.

What sanitisers keep (GitHub, nbviewer, untrusted notebooks) is the ``<img>`` and its alternative text. The image is
never scaled, because the areas of an image map would stay where they are; on a narrow page it scrolls. It is light or
dark as the page is, where the page says so, else as its reader prefers.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Final

from qmio_jupyter.drawing.picture import Drawing
from qmio_jupyter.drawing.style import static_css
from qmio_jupyter.drawing.text import escape

_CSS: Final = static_css(".qmio-figure")


def figure(drawing: Drawing) -> str:
    """Return a drawing as HTML.

    The name of its map follows from its content: equal drawings give equal bytes, and two on one page do not get
    each other's hover texts.
    """
    data = drawing.svg.encode()
    name = f"qmio-{hashlib.sha256(data).hexdigest()[:12]}"
    size = f'width="{drawing.width}" height="{drawing.height}"'
    image = (
        f'<img src="data:image/svg+xml;base64,{b64encode(data).decode()}" alt="{escape(drawing.alt)}" {size} '
        'style="max-width:none"'
    )
    # What scrolls must be reachable without a pointer, and then it needs a name.
    head = (
        '<div class="qmio-figure" role="group" aria-label="Picture" tabindex="0" style="overflow-x:auto">'
        f"<style>{_CSS}</style>"
    )
    if not drawing.spots:
        return f"{head}{image}></div>"
    areas = "".join(
        f'<area shape="rect" coords="{round(spot.x)},{round(spot.y)},{round(spot.x + spot.width)},'
        f'{round(spot.y + spot.height)}" title="{escape(spot.text)}" alt="{escape(spot.text)}">'
        for spot in drawing.spots
    )
    return f'{head}{image} usemap="#{name}"><map name="{name}">{areas}</map></div>'
