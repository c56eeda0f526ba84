"""The extension application: what a Jupyter server loads, configures and ends."""

from __future__ import annotations

import os

from jupyter_core.paths import jupyter_path
from jupyter_server.extension.application import ExtensionApp
from traitlets import Float

from qmio_jupyter._version import __version__
from qmio_jupyter.config import front_end
from qmio_jupyter.server.handlers import ROUTES
from qmio_jupyter.server.link import Link


class QmioServer(ExtensionApp):
    """What the pages of a Jupyter server may ask of the user's gateway: end a task while its cell blocks the kernel.

    It is enabled where the package is installed (``jupyter server extension list`` shows it, ``jupyter qmio doctor``
    too) and finds the gateway that the user's kernels use: one of the settings, or her own on this host. It starts
    none, and may be there before the gateway. The link to it is encrypted, under the user's key, which stays here.
    """

    name = "qmio_jupyter"
    version = __version__
    description = "Lets the pages of this server ask the user's gateway: cancel a task, is it there."

    timeout_s = Float(
        5.0, min=0.1, max=60.0, config=True, help="Seconds in which the gateway must answer a request."
    )
    keep_s = Float(
        60.0,
        min=0.0,
        config=True,
        help="Seconds for which the link to the gateway is kept after the last request.",
    )

    _link: Link | None = None

    def initialize_settings(self) -> None:
        """Tell the kernels that this server will start what its pages can show."""
        if front_end.has_widgets(jupyter_path("labextensions")):
            front_end.offer_widgets(os.environ)

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self._link = Link(keep_s=self.keep_s)
        shared = {"link": self._link, "timeout_s": self.timeout_s}
        self.handlers.extend((path, handler, shared) for path, handler in ROUTES)

    async def stop_extension(self) -> None:
        """Let the link go; there is none if the server could not load us."""
        if self._link is not None:
            await self._link.close()
