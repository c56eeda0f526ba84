"""Tasks, devices and calibrations as pages: the same as the text, and maps of chips."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import to_snapshot
from qmio_jupyter.display import table, table_page
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.access import Session
from qmio_jupyter.model.device import DeviceDescription, DeviceState, DeviceView, Snapshot
from qmio_jupyter.model.task import Stamp, TaskState
from qmio_jupyter.wire.messages import GatewayState
from tests.unit.display.making import VIEW
from tests.unit.display.test_pages import EVIL, harmless

QMIO = to_snapshot(sample("qmio"), "fake-qmio")
DEVICE = DeviceView(
    description=DeviceDescription(name="fake-qmio", title=EVIL, n_qubits=32, driver="emulator"),
    state=DeviceState.IDLE,
    agents=1,
    queued=0,
    running=0,
    snapshot_id=QMIO.snapshot_id,
    snapshot_ms=QMIO.taken_ms,
    note=EVIL,
)
DAY_MS = 86_400_000
STATE = GatewayState(
    gateway=EVIL,
    epoch=1,
    software="qmio_jupyter/0",
    started_ms=1,
    tasks_live=1,
    agents=2,
    connections=1,
    store="sqlite",
    store_ok=True,
)


def view(**changes: Any) -> Any:
    return msgspec.structs.replace(VIEW, **changes)


def test_lists_say_the_same_as_text_and_as_a_table() -> None:
    views = [view(label=EVIL), view(state=TaskState.QUEUED, position=2)]
    tasks = table_page.tasks_bundle(views)
    assert tasks["text/plain"] == table.tasks_text(views)
    page = harmless(tasks["text/html"])
    assert "queued, 2 ahead" in page.text
    assert ("tabindex", "0") in page.attributes
    devices = table_page.devices_bundle([DEVICE])
    assert devices["text/plain"] == table.devices_text([DEVICE])
    assert "fake-qmio idle 32 0 0" in harmless(devices["text/html"]).text
    for empty in (table_page.tasks_bundle([]), table_page.devices_bundle([])):
        assert empty["text/plain"] == harmless(empty["text/html"]).text


def test_a_task_has_its_stages_as_a_picture() -> None:
    stamps = (Stamp(stage="accepted", at_ms=1000), Stamp(stage="queued", at_ms=1000))
    live = table_page.task_bundle(view(state=TaskState.QUEUED, timeline=stamps, label=EVIL), now_ms=3000)
    page = harmless(live["text/html"])
    assert page.tags.count("img") == 1
    assert any("queued" in value for name, value in page.attributes if name == "alt")
    assert "img" not in harmless(table_page.task_bundle(VIEW, now_ms=0)["text/html"]).tags


def test_the_gateway_tells_what_is_under_way() -> None:
    found = table_page.gateway_bundle(STATE, [view(state=TaskState.RUNNING)])
    assert found["text/plain"].endswith(table.tasks_text([view(state=TaskState.RUNNING)]))
    page = harmless(found["text/html"])
    assert "ledger sqlite (sound)" in page.text
    assert page.tags.count("table") == 2
    assert harmless(table_page.gateway_bundle(STATE, [])["text/html"]).tags.count("table") == 1


def test_a_session() -> None:
    session = Session(session_id="s-1", key="k", uid=1000, tenant=EVIL, opened_ms=1, expires_ms=None)
    found = table_page.session_bundle(session)
    assert found["text/plain"] == table.session_text(session)
    assert "never by itself" in harmless(found["text/html"]).text


@pytest.mark.parametrize("quantity", [None, "t2", "readout", "sx"])
def test_a_device_and_its_calibration_have_a_map_and_a_table(quantity: str | None) -> None:
    now_ms = QMIO.taken_ms + 3 * DAY_MS
    device = table_page.device_bundle(DEVICE, QMIO, quantity=quantity, now_ms=now_ms)
    calibration = table_page.calibration_bundle(QMIO, quantity=quantity, now_ms=now_ms)
    assert device["text/plain"] == table.device_text(DEVICE)
    assert QMIO.snapshot_id in calibration["text/plain"]
    for bundle in (device, calibration):
        page = harmless(bundle["text/html"])
        assert "calibrated 3 days ago" in page.text
        assert page.tags.count("img") == 1
        assert bundle["text/html"].count('class="qmio-spot') == 32 + 33
        assert "qubit 31" in page.text
    if quantity == "readout":
        assert any("readout error" in value for name, value in page.attributes if name == "alt")


def test_a_device_without_calibration_has_no_map() -> None:
    plain = msgspec.structs.replace(DEVICE, snapshot_id=None, snapshot_ms=None)
    page = harmless(table_page.device_bundle(plain, None, now_ms=0)["text/html"])
    assert "img" not in page.tags
    assert "calibrated" not in page.text


def test_a_snapshot_that_is_no_calibration_says_so() -> None:
    odd = Snapshot(snapshot_id="ab" * 32, device="odd", taken_ms=0, data=b"{}")
    page = harmless(table_page.calibration_bundle(odd, now_ms=0)["text/html"])
    assert "No map:" in page.text


def test_a_quantity_that_is_none_is_refused_with_and_without_a_map() -> None:
    for snapshot in (QMIO, None):
        with pytest.raises(UsageError, match="t1, t2"):
            table_page.device_bundle(DEVICE, snapshot, quantity="t3", now_ms=0)
