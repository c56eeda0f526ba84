"""The static pages of a task: its result, or how else it ended. What a saved notebook shows for good."""

from __future__ import annotations

from typing import Any

import msgspec

from qmio_jupyter.display import html
from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.moment import MARKS, moment
from qmio_jupyter.display.moment_page import moment_page
from qmio_jupyter.display.pictures import pictures
from qmio_jupyter.display.result_json import MEDIA_TYPE, result_json
from qmio_jupyter.display.result_text import (
    calibration_age_s,
    result_text,
    signed,
    snapshot_words,
    sweep_table,
)
from qmio_jupyter.display.sections import Counted, Section, Sweep, most_frequent, sections
from qmio_jupyter.display.status import status_text
from qmio_jupyter.display.text import age, duration, grouped
from qmio_jupyter.display.text import moment as date
from qmio_jupyter.drawing.html import figure
from qmio_jupyter.drawing.outcomes import standard_error
from qmio_jupyter.drawing.text import percent
from qmio_jupyter.drawing.timeline import timeline
from qmio_jupyter.model.result import TaskResult
from qmio_jupyter.model.task import TaskState, TaskView

#: Outcomes of a table that can be unfolded.
MOST_OUTCOMES = 64
_MOST_LAYOUT = 40
#: s; what took less on the device than can be told in ms is not told.
_LEAST_S = 0.0005

Bundle = dict[str, Any]


def result_bundle(view: TaskView, result: TaskResult, about: About = NOTHING) -> Bundle:
    """Return what a cell shows of a result, by media type: text, HTML and the document for programs."""
    return {
        "text/plain": result_text(view, result, about),
        "text/html": result_page(view, result, about),
        MEDIA_TYPE: result_json(view, result, about),
    }


def ended_bundle(
    view: TaskView, partial: TaskResult | None, about: About, said: str, *, is_raised: bool = False
) -> Bundle:
    """Return what a cell shows of a task that has no result: failed, cancelled, or still under way.

    Parameters
    ----------
    partial : TaskResult, optional
        The newest counts; they are shown if there are shots among them.
    said : str
        The line that says what happened, and what to do next.
    is_raised : bool
        Whether the cell ends with the task's error: the page need not tell it a second time.
    """
    return {
        "text/plain": said,
        "text/html": ended_page(view, partial, about, said, is_raised=is_raised),
        MEDIA_TYPE: result_json(view, partial, about),
    }


def moment_bundle(
    view: TaskView, partial: TaskResult | None, about: About, *, now_ms: int, seen_s_ago: float = 0.0
) -> Bundle:
    """Return what shows a task as it is now, whatever that is; a picture that does not move."""
    if view.state is TaskState.COMPLETED and partial is not None and partial.is_final:
        return result_bundle(view, partial, about)
    said = status_text(view)
    if view.state.is_final:
        return ended_bundle(view, partial, about, said)
    found = moment(view, partial, about, now_ms=now_ms, seen_s_ago=seen_s_ago)
    found = msgspec.structs.replace(
        found, note=found.note or f"As of {date(now_ms)}. %qpu attach {view.task_id} follows it to its end."
    )
    drawings = pictures(sections(partial, about), asked=view.shots)
    return {
        "text/plain": said,
        "text/html": moment_page(found, drawings, is_live=False),
        MEDIA_TYPE: result_json(view, partial, about),
    }


def result_page(view: TaskView, result: TaskResult, about: About = NOTHING) -> str:
    """Return the page of a result."""
    found = sections(result, about)
    measured = sum(seconds for _, seconds in result.durations)
    return html.page(
        _head(view, about),
        *map(figure, pictures(found, asked=result.shots)),
        html.line(
            html.esc(f"{grouped(result.shots_done)} shots"),
            html.esc(f"seed {result.seed}"),
            html.esc(duration(measured) if measured >= _LEAST_S else ""),
        ),
        *(html.line(html.esc(f"⟨{text}⟩ = {signed(value)}")) for text, value in _single(found)),
        *(html.line(html.esc(f"Warning: {warning}")) for section in found for warning in section.warnings),
        html.details(
            ("Bindings" if isinstance(found[0], Sweep) else "Outcomes")
            if len(found) == 1
            else f"Outcomes of {len(found)} circuits",
            "".join(map(_outcomes, found)),
        ),
        _about_task(view, result, about),
    )


def ended_page(
    view: TaskView, partial: TaskResult | None, about: About, said: str, *, is_raised: bool = False
) -> str:
    """Return the page of a task without a result; see `ended_bundle`."""
    found = sections(partial, about) if partial is not None and partial.shots_done else []
    told = () if is_raised and view.error is not None else _what_happened(view, partial, said)
    return html.page(
        _head(view, about),
        *(html.line(html.esc(text)) for text in told),
        *map(figure, pictures(found, asked=view.shots) if found else ()),
        html.details("Counts until then", "".join(map(_outcomes, found))),
        _about_task(view, partial, about),
    )


def _what_happened(view: TaskView, partial: TaskResult | None, said: str) -> tuple[str, ...]:
    """Return what, and what to do next."""
    if view.error is not None:
        return view.error.message, view.error.hint
    if view.state is not TaskState.CANCELLED or said != status_text(view):
        return (said,)
    done = 0 if partial is None else partial.shots_done
    measured = f"{grouped(done)} of {grouped(view.shots)} shots were measured before."
    return (f"{view.cause} {measured}".strip(), "Run the cell again for a whole result.")


def _head(view: TaskView, about: About) -> str:
    state = view.state.value
    error = f" [{view.error.code}]" if view.error is not None else ""
    return html.line(
        f'<span class="qmio-state qmio-{state}"><span class="qmio-mark" aria-hidden="true">{MARKS[view.state]}</span> '
        f"{html.esc(state + error)}</span>",
        f"<b>{html.esc(view.label)}</b>" if view.label else "",
        kind="head",
    ) + html.line(
        html.soft(view.device),
        html.soft(snapshot_words(view, view.snapshot_id, about)) if view.snapshot_id else "",
    )


def _what(found: list[Section]) -> str:
    if len(found) > 1:
        return f"Outcomes of {len(found)} circuits"
    return "Bindings" if isinstance(found[0], Sweep) else "Outcomes"


def _single(found: list[Section]) -> tuple[tuple[str, Any], ...]:
    """Return the expectation values of a task that has only one."""
    return found[0].expect if len(found) == 1 and isinstance(found[0], Counted) else ()


def _outcomes(section: Section) -> str:
    """Return the table of a section, with its title as a caption."""
    if isinstance(section, Sweep):
        header, rows = sweep_table(section)
        title = ", ".join(word for word in (section.title, f"{section.bindings} bindings") if word)
        more = section.bindings - len(rows)
        note = html.line(html.soft(f"and {more} more bindings")) if more else ""
        return html.table(header, rows, right=range(len(header)), caption=title) + note
    if not section.shots:
        return html.line(html.soft(f"{section.title}: no shots yet" if section.title else "no shots yet"))
    kept = most_frequent(section.pairs, MOST_OUTCOMES)
    rows = [_outcome(bits, count, section.shots) for bits, count in kept]
    others = len(section.pairs) - len(kept)
    if others:
        rows.append(
            _outcome(
                f"{grouped(others)} others", section.shots - sum(count for _, count in kept), section.shots
            )
        )
    return html.table(
        ("outcome", "count", "share", "± standard error"), rows, right=(1, 2, 3), caption=section.title
    ) + (
        "".join(html.line(html.esc(f"⟨{text}⟩ = {signed(value)}")) for text, value in section.expect)
        if section.title
        else ""
    )


def _outcome(name: str, count: int, shots: int) -> list[str]:
    share = count / shots
    return [name or "(no bits)", grouped(count), percent(share), percent(standard_error(share, shots))]


def _about_task(view: TaskView, result: TaskResult | None, about: About) -> str:
    """Return everything else that is known, folded away."""
    aged = calibration_age_s(view, about)
    taken_ms = about.taken_ms(view.snapshot_id)
    pairs = [
        ("task", view.task_id),
        ("label", view.label),
        ("device", view.device),
        ("submitted", date(view.submitted_ms)),
        ("snapshot", view.snapshot_id or ""),
        (
            "calibrated",
            "" if aged is None or taken_ms is None else f"{date(taken_ms)}, {age(aged)} before the run",
        ),
        ("seed", "" if view.seed is None else str(view.seed)),
        ("attempt", str(view.attempt) if view.attempt > 1 else ""),
        *(_notes(result) if result is not None else ()),
        (
            "versions",
            "" if result is None else ", ".join(f"{name} {version}" for name, version in result.software),
        ),
    ]
    return html.details(f"Task {view.task_id}", html.facts(pairs) + _timeline(view))


def _timeline(view: TaskView) -> str:
    return figure(timeline(view.timeline)) if view.timeline else ""


def _notes(result: TaskResult) -> list[tuple[str, str]]:
    """Return how each circuit was run, as its driver says it: warnings are shown elsewhere."""
    found: list[tuple[str, str]] = []
    for index, item in enumerate(result.items[:4]):
        notes = dict(item.notes)
        which = f" of circuit {index + 1}" if len(result.items) > 1 else ""
        layout = notes.get("layout", "")
        words = layout.split(",")
        if len(words) > _MOST_LAYOUT:
            layout = f"{','.join(words[:_MOST_LAYOUT])}, ..."
        method = ": ".join(word for word in (notes.get("method", ""), notes.get("why", "")) if word)
        found += [(f"layout{which}", layout.replace(",", ", ")), (f"method{which}", method)]
        found += [
            (f"{key.replace('_', ' ')}{which}", value)
            for key, value in item.notes
            if key not in ("layout", "method", "why", "warning", "active_qubits", "memory_predicted_bytes")
        ][:8]
    return found
