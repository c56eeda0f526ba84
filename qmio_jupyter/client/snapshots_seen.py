"""When snapshots were taken, as far as this client has heard: so that a result can say how old its calibration was."""

from __future__ import annotations

from collections.abc import Iterable

from qmio_jupyter.model.device import DeviceView, Snapshot
from qmio_jupyter.model.ids import DeviceName, Digest

#: Snapshots that are remembered.
MOST = 1000


class SnapshotsSeen:
    """Learns from every answer about devices and snapshots; knows nothing else and asks nobody."""

    def __init__(self) -> None:
        self._taken_ms: dict[Digest, int] = {}
        self._current: dict[DeviceName, Digest] = {}

    def see_devices(self, views: Iterable[DeviceView]) -> None:
        """Take in what devices say of their current snapshots."""
        for view in views:
            if view.snapshot_id is not None and view.snapshot_ms is not None:
                self._keep(view.snapshot_id, view.snapshot_ms)
                self._current[view.description.name] = view.snapshot_id

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
