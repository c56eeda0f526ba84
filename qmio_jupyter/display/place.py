"""A queued task's place in words: how many are ahead of it, and whose they are. Pure."""

from __future__ import annotations

from qmio_jupyter.display.text import grouped
from qmio_jupyter.model.task import Ahead, TaskState, TaskView


def place_words(view: TaskView) -> str:
    """Return ``next`` or ``3 ahead (1 yours, 2 others')``; empty unless the task is queued and its position known."""
    if view.state is not TaskState.QUEUED or view.position is None:
        return ""
    if view.position == 0:
        return "next"
    whose = "" if view.ahead is None else _whose(view.ahead)
    return f"{grouped(view.position)} ahead{f' ({whose})' if whose else ''}"


def _whose(ahead: Ahead) -> str:
    """Return ``yours`` where all are of one kind, ``1 yours, 2 others'`` where they are not."""
    kinds = {"yours": ahead.own, "of your account": ahead.account, "others'": ahead.others}
    found = {words: count for words, count in kinds.items() if count}
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{grouped(count)} {words}" for words, count in found.items())
