"""Devices whose agents this gateway cannot start as they are configured: known here, so that users are told why.

The supervisor tries again every half minute; an agent that announces itself ends the trouble.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

from qmio_jupyter.gateway import refusals
from qmio_jupyter.model.device import DeviceView
from qmio_jupyter.model.ids import DeviceName
from qmio_jupyter.wire.messages import Failure

#: Bytes of an agent's output looked at, and letters of the reason told.
_TAIL: Final = 4096
_LONGEST: Final = 500


class Troubles:
    """Reasons by device."""

    def __init__(self) -> None:
        self._reasons: dict[DeviceName, str] = {}

    def tell(self, device: DeviceName, reason: str) -> None:
        """Take note that the agent of a device could not be started, and why."""
        self._reasons[device] = reason

    def noted(self, views: Iterable[DeviceView]) -> tuple[DeviceView, ...]:
        """Return devices as they are, those in trouble with the reason as their note."""
        if not self._reasons:
            return tuple(views)
        shown: list[DeviceView] = []
        for view in views:
            reason = self._reasons.get(view.description.name)
            if reason is not None and view.agents:
                del self._reasons[view.description.name]
            elif reason is not None:
                view = msgspec.structs.replace(view, note=reason)
            shown.append(view)
        return tuple(shown)

    def refusal(self, device: DeviceName, views: Callable[[None], Iterable[DeviceView]]) -> Failure | None:
        """Return the answer to a task for a device in trouble, which would wait for nobody; None for any other.

        Parameters
        ----------
        device : str
            The device asked for.
        views : callable
            Gives all devices as they are (for no particular tenant: None); called for a device in trouble only.
        """
        if device not in self._reasons:
            return None
        self.noted(views(None))
        reason = self._reasons.get(device)
        if reason is None:
            return None
        return refusals.failure(
            "device.offline",
            f"Device {device!r} cannot be started: {reason}",
            "Correct its configuration; it is tried again every half minute.",
            retryable=True,
        )


def reason_in(log: Path) -> str:
    """Return why an agent ended, in one line: the error in the last line of its output, or that line itself."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            lines = file.read(_TAIL).decode(errors="replace").split("\n")
    except OSError:
        lines = []
    last = next((line for line in reversed(lines) if line.strip()), "")
    try:
        told = json.loads(last)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        told = last
    text = "".join(letter if letter.isprintable() else "?" for letter in str(told))[:_LONGEST]
    return text or f"see its log: {log}"
