"""The stages of a task as bars over one axis of time: where it waited, and where it worked.

The gateway's clock orders the stages; what an agent measured (compiled, on device, measured) has a length by the
agent's own clock and no place of its own. Those lengths are laid one after the other from the claim on, and what is
left until the end is on the way: dispatch, transport, recording. Of a claim that measured nothing all that is known is
how long the agent had it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from qmio_jupyter.drawing.picture import Drawing, Spot
from qmio_jupyter.drawing.scale import nice_ticks
from qmio_jupyter.drawing.style import TONES, colour, style
from qmio_jupyter.drawing.svg import check_size, document, label, lines
from qmio_jupyter.drawing.text import SANS, clean, escape, number, said, span, tail_cut, width_of
from qmio_jupyter.model.task import Stamp

#: How the bar of a stage looks: waiting is hollow, work is full, the way between is grey, what is not over is striped.
Look = Literal["wait", "work", "way"]

_HEAD: Final = 32
_ROW: Final = 20
_BAR: Final = 10
_FOOT: Final = 24
#: Shortest bar, px: every stage is seen.
_LEAST: Final = 2.0
#: Stages shown; a task that was claimed more often says how many rows were left out.
_MOST: Final = 24
#: Stages whose length an agent measured, and what they are called.
_MEASURED: Final = {"compiled": "compiling", "on_device": "on the device", "measured": "measuring"}
_ENDS: Final = {"recorded", "failed", "cancelled"}
_STYLE: Final = style(
    f".qmio-work{{fill:{colour('bar')}}}.qmio-way{{fill:{colour('rest')}}}"
    f".qmio-wait{{fill:{colour('halo')};stroke:{colour('axis')}}}"
    f".qmio-open{{stroke:{colour('axis')}}}"
)


class _Stage(msgspec.Struct, frozen=True):
    name: str
    #: Seconds since the task was accepted.
    start: float
    seconds: float
    look: Look
    is_over: bool = True


def timeline(stamps: Sequence[Stamp], *, now_ms: int | None = None, width: int = 560) -> Drawing:
    """Return the timeline of a task.

    Parameters
    ----------
    stamps : sequence of Stamp
        The task's ``timeline``, as the ledger has it.
    now_ms : int, optional
        Milliseconds since the Unix epoch: a stage that is not over reaches until then. Without it such a stage is not
        drawn.
    width : int
        px; the height follows from the number of stages.

    Returns
    -------
    Drawing
        Its spots are the stages, with keys ``queued``, ``compiled``, ...; a stage that comes again has its number
        behind it, ``queued-2``.

    Raises
    ------
    UsageError
        For a width that cannot be drawn.
    """
    check_size(width, 200)
    stages = _stages(stamps, now_ms)
    left_out = max(0, len(stages) - _MOST)
    shown = stages[left_out:]
    total = max((stage.start + stage.seconds for stage in stages), default=0.0)
    names = max((width_of(_title(stage.name), 11) for stage in shown), default=40.0)
    x = 22 + math.ceil(min(names, 0.35 * width))
    across = max(40.0, width - x - 84)
    base = _HEAD + _ROW * max(1, len(shown))
    body = [_head(stamps, stages, total, width, left_out), _axis(total, x, across, base)]
    spots = []
    seen: dict[str, int] = {}
    for at, stage in enumerate(shown):
        y = _HEAD + _ROW * at
        seen[stage.name] = seen.get(stage.name, 0) + 1
        key = clean(stage.name) if seen[stage.name] == 1 else f"{clean(stage.name)}-{seen[stage.name]}"
        body.append(_row(stage, key, x, y, across, total))
        until = f"from {span(stage.start)} to {span(stage.start + stage.seconds)}"
        text = (
            f"{said(_title(stage.name))}: {span(stage.seconds)}{'' if stage.is_over else ' so far'}, {until}"
        )
        spots.append(Spot(x=0, y=y, width=width, height=_ROW, text=text, key=key))
    return document(
        width=width,
        height=base + _FOOT,
        style=_STYLE,
        body=body,
        alt=_alt(stamps, stages, total),
        spots=spots,
        kind="timeline",
    )


def _stages(stamps: Sequence[Stamp], now_ms: int | None) -> list[_Stage]:
    if not stamps:
        return []
    begin = stamps[0].at_ms
    found: list[_Stage] = []
    since, name = 0.0, ""
    for stamp in stamps:
        at = max(since, (stamp.at_ms - begin) / 1000)
        if stamp.seconds is not None and stamp.stage in _MEASURED:
            if math.isfinite(stamp.seconds) and stamp.seconds > 0:
                found.append(_Stage(stamp.stage, since, stamp.seconds, "work"))
                since += stamp.seconds
            name = "way"
            continue
        if name and (at > since or name == "queued"):
            found.append(_Stage(name, since, at - since, _look(name)))
        since, name = max(since, at), "" if stamp.stage in _ENDS else _following(stamp.stage)
    if name and now_ms is not None:
        open_for = max(0.0, (now_ms - begin) / 1000 - since)
        found.append(_Stage(name, since, open_for, _look(name), is_over=False))
    return found


def _following(stage: str) -> str:
    """Return what a task does after a stamp."""
    return {"accepted": "", "requeued": "queued"}.get(stage, stage)


def _look(name: str) -> Look:
    return "wait" if name == "queued" else "way" if name == "way" else "work"


def _title(name: str) -> str:
    return _MEASURED.get(name) or {"way": "on the way", "claimed": "with the agent"}.get(name) or clean(name)


def _head(stamps: Sequence[Stamp], stages: list[_Stage], total: float, width: int, left_out: int) -> str:
    if not stamps:
        return label(8, 17, "not accepted yet")
    began = datetime.fromtimestamp(stamps[0].at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    end = stamps[-1].stage
    is_over = end in _ENDS and all(stage.is_over for stage in stages)
    how = {"recorded": "done in", "failed": "failed after", "cancelled": "cancelled after"}.get(end, "so far")
    right = f"{how if is_over else 'so far'} {span(total)}"
    more = f", {left_out} earlier stages not shown" if left_out else ""
    room = max(8, int((width - 24 - width_of(right, 11)) / (11 * SANS)))
    return label(8, 17, tail_cut(began + more, room)) + label(
        width - 8, 17, right, anchor="end", classes="qmio-ink qmio-strong"
    )


def _axis(total: float, x: float, across: float, base: float) -> str:
    unit, size = ("ms", 1e-3) if total < 1 else ("s", 1.0) if total < 180 else ("min", 60.0)
    unit, size = ("h", 3600.0) if total >= 3 * 3600 else (unit, size)
    about = 4 if across > 240 else 2
    if not total > 0:
        return ""
    ticks = nice_ticks(0.0, total / size, about)
    grid = written = ""
    for tick in ticks:
        at = math.floor(x + tick * size / total * across) + 0.5
        grid += f"M{number(at)} {_HEAD - 4}V{number(base)}"
        written += label(at, base + 15, f"{tick:g} {unit}", anchor="middle")
    return lines(grid, "grid") + written


def _row(stage: _Stage, key: str, x: float, y: float, across: float, total: float) -> str:
    left = x + (stage.start / total * across if total else 0.0)
    wide = max(_LEAST, stage.seconds / total * across if total else 0.0)
    left = min(left, x + across - wide)
    top = y + (_ROW - _BAR) / 2 - 1
    inset = 0.5 if stage.look == "wait" else 0.0
    tone = {"work": "bar", "way": "rest", "wait": "paper"}[stage.look]
    edge = f' stroke="{TONES["axis"].light}"' if stage.look == "wait" else ""
    drawn = (
        f'<rect class="qmio-{stage.look}" x="{number(left + inset)}" y="{number(top + inset)}" '
        f'width="{number(max(1.0, wide - 2 * inset))}" height="{number(_BAR - 2 * inset)}" '
        f'fill="{TONES[tone].light}"{edge}/>'
    )
    if not stage.is_over:
        drawn += (
            f'<path class="qmio-open" d="M{number(left + wide + 2)} {number(top + _BAR / 2)}h8" fill="none" '
            f'stroke="{TONES["axis"].light}" stroke-width="2" stroke-dasharray="2 1.5"/>'
        )
    room = max(3, int((x - 18) / (11 * SANS)))
    name = label(8, y + 13, tail_cut(_title(stage.name), room), classes="qmio-ink")
    behind = left + wide + (14 if not stage.is_over else 6)
    figure = label(behind, y + 13, span(stage.seconds), classes="qmio-halo")
    return f'<g class="qmio-stage" data-key="{escape(key)}">{drawn}{name}{figure}</g>'


def _alt(stamps: Sequence[Stamp], stages: list[_Stage], total: float) -> str:
    if not stamps:
        return "Timeline of a task that is not accepted yet."
    told = ", ".join(
        f"{said(_title(stage.name))} {span(stage.seconds)}{'' if stage.is_over else ' so far'}"
        for stage in stages[-_MOST:]
    )
    return f"Timeline, {span(total)} in all{': ' + told if told else ''}."
