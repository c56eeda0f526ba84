"""Row codecs by themselves."""

from __future__ import annotations

from typing import get_args

import msgspec

from qmio_jupyter.core import records
from qmio_jupyter.model.task import Item, TaskSpec
from qmio_jupyter.store import memory, rows
from qmio_jupyter.testing import ledgers


def test_every_kind_of_record_is_written_by_every_store() -> None:
    kinds = set(get_args(records.Record))
    assert set(rows._APPLY) == kinds
    assert set(memory._APPLY) == kinds


def test_the_blob_that_changes_does_not_hold_the_spec() -> None:
    """A task with large parameter matrices is not rewritten at each change of state."""
    task = ledgers.new_task(1, programs=tuple(str(number) for number in range(1000)))
    whole = len(msgspec.msgpack.encode(task))
    small = len(rows._encode(msgspec.structs.replace(task, spec=rows._SPEC_ELSEWHERE)))
    assert whole > 100_000
    assert small < 1_500


def test_a_row_of_an_older_version_decodes() -> None:
    """Fields that did not exist then have their defaults; those that no longer exist are skipped."""
    task = ledgers.new_task(1)
    old = msgspec.msgpack.decode(rows._encode(msgspec.structs.replace(task, spec=rows._SPEC_ELSEWHERE)))
    del old["stage"], old["lapses"], old["lease_until_ms"]
    old["mood"] = "good"
    spec = TaskSpec(device="echo", items=(Item(program="p", shots=1),))
    decoded = rows.decode_task(msgspec.msgpack.encode(old), msgspec.msgpack.encode(spec))
    assert decoded == msgspec.structs.replace(task, spec=spec)


def test_an_ended_task_without_programs() -> None:
    ended = rows.decode_ended(("t", "a/b", "d", "failed", 4, 2, 1, 99, ""))
    assert ended.programs == ()
    assert ended.state.is_final
