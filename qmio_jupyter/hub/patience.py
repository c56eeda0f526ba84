"""Gives a start up after its time, in words that say why: JupyterHub's own limit says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from qmio_jupyter.errors import HubError
from qmio_jupyter.hub.starting import Start
from qmio_jupyter.hub.waiting import too_long

#: Seconds, and part, of JupyterHub's limit that are left for taking the start back.
_LEFT_S, _LEFT = 15.0, 0.2


def patience_s(start_timeout: float) -> float:
    """Return the seconds after which we give up where JupyterHub does after `start_timeout`."""
    return start_timeout - min(_LEFT_S, start_timeout * _LEFT)


async def within(seconds: float, start: Start, environ: Mapping[str, str]) -> tuple[str, int]:
    """Bring a start about within some seconds; return where the server listens.

    Raises
    ------
    HubError
        ``hub.late`` if it was not, with what it waited for.
    QmioError
        Why it did not come about.
    """
    try:
        async with asyncio.timeout(seconds):
            return await start.bring_about(environ)
    except TimeoutError:
        what, advice = too_long(start.waiting, seconds)
        raise HubError(what, code="hub.late", hint=advice) from None
