"""What a waiting user is told: one line at a time, and one combined range for when she can work. Pure.

Every line is made of `Waiting`, which holds what Slurm and the gateway have said, and how long ago: so the browser's
page, the tests and a log show the same words.
"""

from __future__ import annotations

from html import escape

import msgspec

from qmio_jupyter.display.eta import span
from qmio_jupyter.hub.words import why

#: Seconds from the job's start to a server that answers: the first number is usual, the second seldom exceeded.
OPENING_S = (3.0, 20.0)


class DeviceNow(msgspec.Struct, frozen=True, kw_only=True):
    """The device of the session at this moment."""

    name: str
    #: Empty: the gateway does not answer at the moment.
    state: str = "idle"
    #: Tasks that wait or run on it.
    tasks: int = 0
    #: In how many seconds all of them will have run: (usually, 9 times in 10); None: that is not known.
    cleared_s: tuple[float, float] | None = None
    #: Seconds until the booking that keeps this user away ends; None: there is none.
    booked_s: float | None = None
    #: Seconds until the next booking begins that will keep her away; None: none is known.
    next_booking_s: float | None = None
    #: What the bookings are for, one word; may be empty.
    booked_for: str = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Where a start stands, as its user is told."""

    #: ``granting``, ``submitting``, ``pending``, ``opening``, ``starting`` or ``undoing``.
    stage: str
    partition: str = ""
    reason: str = ""
    #: Jobs ahead in the partition's queue; None: not known.
    ahead: int | None = None
    #: When Slurm expects to start it if every job ahead takes all its time, in seconds from now; None: no plan.
    start_s: float | None = None
    #: Node it runs on.
    node: str = ""
    device: DeviceNow | None = None
    #: For how long Slurm has not answered, in seconds; 0: it does.
    unanswered_s: float = 0.0


def eta(waiting: Waiting) -> tuple[float, float] | None:
    """Return in how many seconds a first cell can run on the device: (if all goes well, if all goes slowly).

    Slurm's expected start is the slow end: the jobs ahead may end sooner than they may. So is the device's queue: it
    grows shorter while she waits for her node, and fair share may let her go before some of it. A booking of the
    device for others puts off both ends. None where Slurm has no plan.
    """
    if waiting.stage == "pending":
        if waiting.start_s is None:
            return None
        low, high = (0.0 if waiting.ahead else min(waiting.start_s, 1.0)), max(waiting.start_s, 1.0)
    else:
        low = high = 0.0
    low, high = low + OPENING_S[0], high + OPENING_S[1]
    if waiting.device is not None and waiting.device.cleared_s is not None:
        high = max(high, waiting.device.cleared_s[1])
    if waiting.device is not None and waiting.device.booked_s is not None:
        low, high = max(low, waiting.device.booked_s), max(high, waiting.device.booked_s)
    return low, high


def too_long(waiting: Waiting, patience_s: float) -> tuple[str, str]:
    """Return what a user is told whose start is given up after `patience_s`: (what, what to do next)."""
    within = f"within {span(patience_s, patience_s)}"
    if waiting.unanswered_s > 0:
        return f"Slurm did not answer, and there was no server {within}", "Tell the administrator."
    match waiting.stage:
        case "pending":
            meaning, advice = why(waiting.reason)
            return f"your job did not start {within}: {meaning}", advice or "Try again later."
        case "opening":
            return f"the QPU session was not open on node {waiting.node} {within}", "Tell the administrator."
        case "starting":
            return f"the server on node {waiting.node} did not answer {within}", "Tell the administrator."
        case _:
            return f"there was no server {within}", "Try again later."


def line(waiting: Waiting) -> str:
    """Return the one line a user is shown now."""
    return "; ".join(parts_of(waiting))


def page(waiting: Waiting) -> str:
    """Return the same as HTML: each part on a line of its own, told to a screen reader when it changes."""
    found = [part[:1].upper() + part[1:] for part in parts_of(waiting)]
    parts = "".join(f'<span class="d-block">{escape(part)}</span>' for part in found)
    return f'<span role="status">{parts}</span>'


def parts_of(waiting: Waiting) -> list[str]:
    """Return what a user is told now, in parts."""
    if waiting.unanswered_s > 0:
        silent_s = f"{waiting.unanswered_s:.0f} s"
        return [
            f"Slurm has not answered for {silent_s}",
            "your place in the queue is kept, and asking goes on",
        ]
    match waiting.stage:
        case "granting":
            return [f"Asking the gateway for a session{_on(waiting.device)}"]
        case "submitting":
            return [f"Submitting your job to partition {waiting.partition}"]
        case "pending":
            return _pending(waiting)
        case "opening":
            parts = [f"Running on node {waiting.node}: opening the QPU session{_on(waiting.device)}"]
            return parts + _device(waiting.device)
        case "starting":
            parts = [f"QPU session open{_on(waiting.device)}: starting JupyterLab on node {waiting.node}"]
            return parts + _device(waiting.device)
        case _:
            return ["Stopping: job, session and grant are being taken back"]


def percent(waiting: Waiting) -> int:
    """Return how far a start is, 0 to 100: by its stage, for nobody knows how long the queue takes."""
    stages = {"granting": 5, "submitting": 10, "pending": 20, "opening": 60, "starting": 80, "undoing": 90}
    return stages.get(waiting.stage, 0)


def _pending(waiting: Waiting) -> list[str]:
    meaning, advice = why(waiting.reason)
    parts = [f"Waiting in partition {waiting.partition}: {meaning}"]
    if advice:
        parts[0] += f" ({advice[0].lower()}{advice[1:].rstrip('.')})"
    if waiting.ahead is not None:
        parts.append("you are next" if waiting.ahead == 0 else f"{_jobs(waiting.ahead)} ahead of you")
    found = eta(waiting)
    if found is None:
        parts.append("Slurm has not planned its start yet")
    else:
        parts.append(f"ready in {span(*found)} (the longer time if every job ahead takes all of its own)")
    return parts + _device(waiting.device)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _on(device: DeviceNow | None) -> str:
    return "" if device is None else f" on {device.name}"


def _device(device: DeviceNow | None) -> list[str]:
    if device is None:
        return []
    if not device.state:
        return [f"the gateway of device {device.name} does not answer at the moment, asking goes on"]
    tasks = "no task waits there" if device.tasks == 0 else f"{_tasks(device.tasks)} there"
    if device.tasks and device.cleared_s is not None:
        tasks += f", done in {span(*device.cleared_s)}"
    parts = [f"device {device.name} is {device.state}, {tasks}"]
    kind = f" ({device.booked_for})" if device.booked_for else ""
    if device.booked_s is not None:
        parts.append(f"it is booked for others{kind}, free in {span(device.booked_s, device.booked_s)}")
    elif device.next_booking_s is not None:
        parts.append(f"booked for others{kind} in {span(device.next_booking_s, device.next_booking_s)}")
    return parts


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
