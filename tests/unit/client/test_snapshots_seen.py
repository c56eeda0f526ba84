"""What a client remembers of devices and snapshots."""

from __future__ import annotations

from qmio_jupyter.client.snapshots_seen import MOST, SnapshotsSeen
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView, Snapshot


def device(name: str, snapshot_id: str | None = None, taken_ms: int | None = None) -> DeviceView:
    return DeviceView(
        description=DeviceDescription(name=name, title="", n_qubits=None, driver=name),
        state=DeviceState.IDLE,
        agents=1,
        queued=0,
        running=0,
        snapshot_id=snapshot_id,
        snapshot_ms=taken_ms,
    )


def test_devices_tell_their_current_snapshot_and_its_date() -> None:
    seen = SnapshotsSeen()
    seen.see_devices([device("a", "1" * 64, 10), device("b")])
    assert seen.current("a") == "1" * 64
    assert seen.taken_ms("1" * 64) == 10
    assert seen.current("b") is None
    seen.see_devices([device("a", "2" * 64, 20)])
    assert (seen.current("a"), seen.taken_ms("1" * 64)) == ("2" * 64, 10)
    seen.see(Snapshot(snapshot_id="3" * 64, device="c", taken_ms=30, data=b""))
    assert seen.taken_ms("3" * 64) == 30
    assert seen.taken_ms("4" * 64) is None


def test_a_device_is_remembered_for_a_while() -> None:
    now = [100.0]
    seen = SnapshotsSeen(lambda: now[0])
    assert seen.device("a", 2.0) is None
    seen.see_devices([device("a")])
    now[0] = 102.0
    assert seen.device("a", 2.0) == device("a")
    now[0] = 102.1
    assert seen.device("a", 2.0) is None


def test_it_does_not_grow_without_end() -> None:
    seen = SnapshotsSeen()
    for number in range(MOST + 10):
        seen.see_devices([device("a", f"{number:064x}", number)])
    assert seen.taken_ms(f"{5:064x}") is None
    assert seen.taken_ms(f"{MOST + 9:064x}") == MOST + 9
