"""What this client has heard of devices and snapshots: how old a calibration is, and how a device was a moment ago."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.ids import DeviceName, Digest

#: Snapshots that are remembered.
MOST = 1000


class SnapshotsSeen:
    """Learns from every answer about devices and snapshots; knows nothing else and asks nobody.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._devices: dict[DeviceName, tuple[float, DeviceView]] = {}
        self._taken_ms: dict[Digest, int] = {}
        self._current: dict[DeviceName, Digest] = {}

    def see_devices(self, views: Iterable[DeviceView]) -> None:
        """Take in what devices say of their current snapshots."""
        for view in views:
            self._devices[view.description.name] = (self._clock(), view)
            if view.snapshot_id is not None and view.snapshot_ms is not None:
                self._keep(view.snapshot_id, view.snapshot_ms)
                self._current[view.description.name] = view.snapshot_id

    def device(self, name: DeviceName, within_s: float) -> DeviceView | None:
        """Return a device as it was at most so long ago; None if it was not heard of since."""
        heard = self._devices.get(name)
        return heard[1] if heard is not None and self._clock() <= heard[0] + within_s else None

    def see(self, snapshot: Snapshot) -> None:
        """Take in a snapshot."""
        self._keep(snapshot.snapshot_id, snapshot.taken_ms)

    def taken_ms(self, snapshot_id: Digest) -> int | None:
        """Return when a snapshot was taken (ms), None if that was never heard."""
        return self._taken_ms.get(snapshot_id)

    def current(self, device: DeviceName) -> Digest | None:
        """Return a device's current snapshot as it was last heard of."""
        return self._current.get(device)

    def _keep(self, snapshot_id: Digest, taken_ms: int) -> None:
        self._taken_ms[snapshot_id] = taken_ms
        while len(self._taken_ms) > MOST:
            del self._taken_ms[next(iter(self._taken_ms))]
