"""Snapshots: named by what they say, and read back number for number."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import msgspec
import pytest

from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit
from qmio_jupyter.calibration.samples import sample
from qmio_jupyter.calibration.snapshots import record_of, to_snapshot
from qmio_jupyter.errors import ConfigError, UsageError
from qmio_jupyter.model.device import Snapshot

RECORD = DeviceRecord(
    source="a test",
    taken_ms=1_700_000_000_000,
    dt_s=5e-10,
    qubits=(Qubit(t1_s=5e-5, t2_s=0.4, t2_bar_s=147.15), Qubit(prob_meas1_prep0=0.1, prob_meas0_prep1=0.3)),
    gates=(Gate(name="ecr", qubits=(1, 0), error=0.538), Gate(name="sx", qubits=(0,), error_bar=838.84)),
    control_flow=("if_else",),
)


def remade(snapshot: Snapshot, **changes: object) -> Snapshot:
    """Return a snapshot of changed content whose id is right again."""
    data = json.dumps({**json.loads(snapshot.data), **changes}).encode()
    return msgspec.structs.replace(snapshot, data=data, snapshot_id=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("record", [RECORD, sample("qmio"), sample("fez")], ids=["test", "qmio", "fez"])
def test_a_record_comes_back_equal(record: DeviceRecord) -> None:
    snapshot = to_snapshot(record, "dev")
    assert record_of(snapshot) == record
    assert snapshot.taken_ms == record.taken_ms
    assert snapshot.snapshot_id == hashlib.sha256(snapshot.data).hexdigest()


def test_the_id_is_the_same_on_every_machine_and_release() -> None:
    # Written down once: if this changes, snapshots of old ledgers are orphans.
    snapshot = to_snapshot(RECORD, "dev")
    assert snapshot.data == (
        b'{"control_flow":["if_else"],"device":"dev","dt_s":5e-10,"format":"qmio-calibration","gates":['
        b'{"error":0.538,"name":"ecr","qubits":[1,0]},{"error_bar":838.84,"name":"sx","qubits":[0]}],'
        b'"qubits":[{"t1_s":0.00005,"t2_bar_s":147.15,"t2_s":0.4},'
        b'{"prob_meas0_prep1":0.3,"prob_meas1_prep0":0.1}],"source":"a test","taken_ms":1700000000000,"version":1}'
    )


def test_any_difference_is_another_snapshot() -> None:
    ids = {
        to_snapshot(record, device).snapshot_id
        for record, device in [
            (RECORD, "dev"),
            (RECORD, "other"),
            (replace(RECORD, taken_ms=RECORD.taken_ms + 1), "dev"),
            (replace(RECORD, qubits=(replace(RECORD.qubits[0], t2_bar_s=147.16), RECORD.qubits[1])), "dev"),
            (replace(RECORD, gates=RECORD.gates[:1]), "dev"),
        ]
    }
    assert len(ids) == 5
    reordered = replace(RECORD, gates=RECORD.gates[::-1])
    assert to_snapshot(reordered, "dev") == to_snapshot(RECORD, "dev")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"device": "other"}, "of another device"),
        ({"taken_ms": 5}, "of another device"),
        ({"version": 2}, "version 2"),
        ({"dt_s": "1"}, "dt_s"),
        ({"later": 1}, "'later' is not known"),
    ],
)
def test_what_the_data_says_must_be_what_the_snapshot_says(changes: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        record_of(remade(to_snapshot(RECORD, "dev"), **changes))
    assert caught.value.code == "config.calibration"


def test_data_that_is_not_what_the_id_says_is_refused() -> None:
    snapshot = to_snapshot(RECORD, "dev")
    with pytest.raises(ConfigError, match="not what its id says"):
        record_of(msgspec.structs.replace(snapshot, data=snapshot.data + b" "))


def test_no_snapshot_of_a_record_that_no_file_could_hold() -> None:
    with pytest.raises(ConfigError, match="T1 of qubit 0 in seconds is nan"):
        to_snapshot(replace(RECORD, qubits=(Qubit(t1_s=float("nan")), Qubit())), "dev")
    with pytest.raises(UsageError):
        to_snapshot(RECORD, "no name!")
