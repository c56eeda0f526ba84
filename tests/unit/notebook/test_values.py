"""What a magic line takes for a task: an id, the beginning of one, a word, or a variable that holds one."""

from __future__ import annotations

import pytest

from qmio_jupyter.client.handle import BaseHandle, TaskRecord
from qmio_jupyter.client.snapshots_seen import SnapshotsSeen
from qmio_jupyter.errors import UsageError
from qmio_jupyter.notebook.values import task_in, to_task

ID = "t-01jxt21rxmqz61skhcmmnpxq2s"


@pytest.mark.parametrize("text", [ID, "01jx", "last", "bell", "_qpu", "Größe"])
def test_what_may_be_a_task_is_taken(text: str) -> None:
    assert to_task(text) == text


@pytest.mark.parametrize("text", ["", "../x", "two words", "t-!", "bell.task_id", "0l"])
def test_what_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a task's variable"):
        to_task(text)


def test_a_variable_that_holds_a_task_comes_first() -> None:
    handle = BaseHandle(TaskRecord(ID), SnapshotsSeen())
    assert task_in("bell", {"bell": handle}) == ID
    assert task_in("abc", {"abc": handle}) == ID


def test_without_one_it_is_an_id_or_a_word() -> None:
    assert task_in("abc", {"abc": 7}) == "abc"
    assert task_in("last", {}) == "last"
    assert task_in("all", {}) == "all"


@pytest.mark.parametrize("namespace", [{}, {"bell": 7}])
def test_a_name_that_is_neither_is_refused_in_one_line(namespace: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"bell is neither a task's id nor a variable"):
        task_in("bell", namespace)
