"""Timelines: which stages a task's stamps make, how long each was, and what is not over."""

from __future__ import annotations

import math

import pytest

from qmio_jupyter.drawing.timeline import timeline
from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.task import Stamp
from qmio_jupyter.testing.pictures import SVG, keys, parsed, texts

START = 1_768_478_402_000


def stamps(*told: tuple[str, int] | tuple[str, int, float]) -> list[Stamp]:
    return [
        Stamp(stage=one[0], at_ms=START + one[1], seconds=one[2] if len(one) > 2 else None) for one in told
    ]


DONE = stamps(
    ("accepted", 0),
    ("queued", 0),
    ("claimed", 8200),
    ("compiled", 12_900, 0.4),
    ("on_device", 12_900, 3.9),
    ("measured", 12_900, 0.0),
    ("recorded", 12_910),
)


def test_a_finished_task_has_its_stages_in_order() -> None:
    drawing = timeline(DONE)
    root = parsed(drawing)
    assert keys(root) == ["queued", "compiled", "on_device", "way"]
    assert [spot.text for spot in drawing.spots] == [
        "queued: 8.20 s, from 0 s to 8.20 s",
        "compiling: 400 ms, from 8.20 s to 8.60 s",
        "on the device: 3.90 s, from 8.60 s to 12.5 s",
        "on the way: 410 ms, from 12.5 s to 12.9 s",
    ]
    assert "done in 12.9 s" in texts(root)
    assert "2026-01-15 12:00:02 UTC" in texts(root)


def test_a_bar_is_as_long_as_its_stage() -> None:
    bars = [one for one in parsed(timeline(DONE)).iter(f"{SVG}rect") if one.get("class") == "qmio-work"]
    lengths = [float(bar.get("width", "0")) for bar in bars]
    assert lengths[1] / lengths[0] == pytest.approx(3.9 / 0.4, rel=0.01)


def test_what_is_too_short_to_see_is_seen() -> None:
    told = stamps(
        ("accepted", 0),
        ("queued", 0),
        ("claimed", 3_600_000),
        ("compiled", 3_600_001, 1e-6),
        ("recorded", 3_600_001),
    )
    bars = [one for one in parsed(timeline(told)).iter(f"{SVG}rect") if one.get("class") == "qmio-work"]
    assert [float(bar.get("width", "0")) for bar in bars] == [2.0]


def test_a_stage_that_is_not_over_reaches_until_now() -> None:
    waiting = stamps(("accepted", 0), ("queued", 0))
    assert timeline(waiting).spots == ()
    drawing = timeline(waiting, now_ms=START + 12_300)
    assert [spot.text for spot in drawing.spots] == ["queued: 12.3 s so far, from 0 s to 12.3 s"]
    assert "so far 12.3 s" in texts(parsed(drawing))
    running = timeline(stamps(("accepted", 0), ("queued", 0), ("claimed", 5000)), now_ms=START + 6000)
    assert [spot.key for spot in running.spots] == ["queued", "claimed"]
    assert running.alt == "Timeline, 6.00 s in all: queued 5.00 s, with the agent 1.00 s so far."


def test_a_task_that_was_claimed_again_tells_every_wait() -> None:
    told = stamps(
        ("accepted", 0), ("queued", 0), ("claimed", 60), ("requeued", 190), ("claimed", 400), ("failed", 460)
    )
    drawing = timeline(told)
    assert [spot.key for spot in drawing.spots] == ["queued", "claimed", "queued-2", "claimed-2"]
    assert "failed after 460 ms" in texts(parsed(drawing))


def test_a_task_that_was_cancelled_in_the_queue_only_waited() -> None:
    drawing = timeline(stamps(("accepted", 0), ("queued", 0), ("cancelled", 2500)))
    assert [spot.key for spot in drawing.spots] == ["queued"]
    assert "cancelled after 2.50 s" in texts(parsed(drawing))


def test_clocks_that_go_back_and_lengths_that_are_none_do_no_harm() -> None:
    told = stamps(
        ("accepted", 1000),
        ("queued", 0),
        ("claimed", 500),
        ("compiled", 400, math.nan),
        ("on_device", 400, -1.0),
        ("measured", 400, 1e6),
        ("recorded", 600),
    )
    drawing = timeline(told, now_ms=START - 5)
    assert drawing.spots[-1].key == "measured"
    parsed(drawing)


def test_very_many_claims_show_the_last_ones() -> None:
    told = stamps(
        ("accepted", 0),
        ("queued", 0),
        *(one for at in range(50) for one in (("claimed", 10 * at + 5), ("requeued", 10 * at + 9))),
    )
    drawing = timeline(told, now_ms=START + 600)
    assert len(drawing.spots) == 24
    assert any("earlier stages not shown" in text for text in texts(parsed(drawing)))


def test_a_stage_that_a_later_version_knows_is_shown_by_its_name() -> None:
    odd = stamps(("accepted", 0), ("queued", 0), ("<sent>" + "x" * 300, 10), ("recorded", 500))
    drawing = timeline(odd)
    parsed(drawing)
    assert drawing.spots[1].text.startswith("<sent>")


def test_without_stamps_there_is_nothing_to_tell() -> None:
    drawing = timeline([])
    assert "not accepted yet" in texts(parsed(drawing))
    assert drawing.spots == ()


def test_a_width_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError):
        timeline(DONE, width=20)
