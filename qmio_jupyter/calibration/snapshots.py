"""Snapshots: a record made immutable, named by the digest of its canonical JSON.

Two records that say the same have the same id on every machine; any difference, dirty values included, gives
another. The device's name is part of it, as a snapshot is a record *of a device*.
"""

from __future__ import annotations

from qmio_jupyter.calibration.canonical import dumps
from qmio_jupyter.calibration.checks import check, wrong
from qmio_jupyter.calibration.documents import Section, load
from qmio_jupyter.calibration.form import from_form, to_form
from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.model.device import Snapshot
from qmio_jupyter.model.ids import DeviceName, check_name, digest


def to_snapshot(record: DeviceRecord, device: DeviceName) -> Snapshot:
    """Return the snapshot of a device whose calibration is `record`.

    Raises
    ------
    ConfigError
        ``config.calibration`` for a record that no file could hold either (see `checks`).
    UsageError
        For a name no device can have.
    """
    check_name(device, "device")
    record = check(record, f"the record of {device!r}")
    data = dumps(to_form(record, device))
    return Snapshot(snapshot_id=digest(data), device=device, taken_ms=record.taken_ms, data=data)


def record_of(snapshot: Snapshot) -> DeviceRecord:
    """Return the record inside a snapshot: equal, number for number, to the one it was made of.

    Raises
    ------
    ConfigError
        ``config.calibration`` if the data is not what the id says, is of another device or time than the snapshot
        says, or is not a record.
    """
    where = f"snapshot {snapshot.snapshot_id[:12]} of {snapshot.device!r}"
    if digest(snapshot.data) != snapshot.snapshot_id:
        raise wrong(where, "its data is not what its id says", "Take the snapshot from the gateway again.")
    content = load(snapshot.data, name=where).content
    record = from_form(content, where)
    if (Section(where, "", content).get("device"), record.taken_ms) != (snapshot.device, snapshot.taken_ms):
        raise wrong(
            where, "its data is of another device or time", "Take the snapshot from the gateway again."
        )
    return record
