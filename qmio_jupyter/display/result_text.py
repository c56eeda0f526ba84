"""A result as plain text: what a terminal shows, and what is left of a cell where nothing else is trusted."""

from __future__ import annotations

from qmio_jupyter.display.about import NOTHING, About
from qmio_jupyter.display.sections import Pairs, Section, Sweep, most_frequent, sections
from qmio_jupyter.display.text import age, align, duration, plain
from qmio_jupyter.model.parity import Expectation
from qmio_jupyter.model.result import ItemResult, TaskResult, outcomes
from qmio_jupyter.model.task import TaskView

#: Outcomes of one binding that a cell shows; the rest is summed up in a line.
MOST_OUTCOMES = 16
#: Hexadecimal digits of a snapshot's id that tell it from all others a person will meet.
SHORT = 12
#: Longest outcome or value in a table of several columns, characters.
_LONGEST = 16
_BAR = 30


def result_text(view: TaskView, result: TaskResult, about: About = NOTHING) -> str:
    """Return what a cell shows of a result: a head line, then a table per circuit: of its counts, or its bindings."""
    found = sections(result, about)
    parts = [", ".join(map(plain, head_words(view, result, about))), *map(section_text, found)]
    if len(result.items) > len(found):
        parts.append(
            f"... and {len(result.items) - len(found)} more: see .counts(item, binding) of the handle."
        )
    return "\n\n".join(parts)


def head_words(view: TaskView, result: TaskResult, about: About = NOTHING) -> list[str]:
    """Return the facts of the head line, in order."""
    measured = sum(seconds for _, seconds in result.durations)
    return [
        view.task_id,
        *([view.label] if view.label else []),
        f"on {result.device}",
        str(view.state) if result.is_final else f"{view.state}, partial",
        f"{result.shots_done} shots" if result.is_final else f"{result.shots_done} of {result.shots} shots",
        f"seed {result.seed}",
        *([duration(measured)] if measured else []),
        *([snapshot_words(view, result.snapshot_id, about)] if result.snapshot_id else []),
    ]


def snapshot_words(view: TaskView, snapshot_id: str, about: About) -> str:
    """Return ``snapshot 3f2a9c1b45d6, calibrated 2 h before``, the latter if it is known."""
    aged = calibration_age_s(view, about)
    return f"snapshot {snapshot_id[:SHORT]}" + ("" if aged is None else f", calibrated {age(aged)} before")


def calibration_age_s(view: TaskView, about: About) -> float | None:
    """Return how old the calibration was when the task was claimed (submitted, where that is not known), seconds."""
    taken_ms = about.taken_ms(view.snapshot_id)
    if taken_ms is None:
        return None
    claimed = [stamp.at_ms for stamp in view.timeline if stamp.stage == "claimed"]
    return ((claimed[-1] if claimed else view.submitted_ms) - taken_ms) / 1000


def counts_text(item: ItemResult, binding: int = 0) -> str:
    """Return the counts of one binding: bitstring, count, percentage and a bar, most frequent ones kept."""
    return _counts(item.n_bits, outcomes(item, binding))


def section_text(section: Section) -> str:
    """Return the table of one item."""
    title = [section.title] if section.title else []
    if isinstance(section, Sweep):
        title.append(f"{section.bindings} bindings")
    lines = [f"{plain(', '.join(title))}:"] if title else []
    lines += [f"warning: {plain(warning)}" for warning in section.warnings]
    if isinstance(section, Sweep):
        return "\n".join([*lines, _bindings(section)])
    lines.append(_counts(section.n_bits, section.pairs))
    lines += [f"<{plain(text)}> = {signed(value)}" for text, value in section.expect]
    return "\n".join(lines)


def signed(found: Expectation) -> str:
    """Return ``0.9640 ± 0.0084``."""
    return f"{found.value:.4f} ± {found.error:.4f}" if found.shots else "no shots yet"


def _counts(n_bits: int, pairs: Pairs) -> str:
    shots = sum(count for _, count in pairs)
    if not shots:
        return "no shots yet"
    if not n_bits:
        return f"{shots} shots, and the program measures nothing."
    kept = most_frequent(pairs, MOST_OUTCOMES)
    top = max(count for _, count in kept)
    rows = [
        (bits, str(count), f"{100 * count / shots:.1f} %", "█" * max(1, round(_BAR * count / top)))
        for bits, count in kept
    ]
    text = align(("outcome", "count", "", ""), rows, right=(1, 2))
    if len(pairs) > len(rows):
        rest = shots - sum(count for _, count in kept)
        text += f"\n... and {len(pairs) - len(rows)} more outcomes with {rest} shots"
    return text


def _bindings(sweep: Sweep) -> str:
    header, rows = sweep_table(sweep)
    text = align(header, rows, right=range(len(header)))
    if sweep.bindings > len(rows):
        text += (
            f"\n... and {sweep.bindings - len(rows)} more: see .counts({sweep.item}, binding) of the handle."
        )
    return text


def sweep_table(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a table of bindings: parameters, shares of the outcomes, expectation values."""
    has_others = any(row.others for row in sweep.rows)
    header = [
        "binding",
        *map(_short, sweep.parameters),
        *map(_short, sweep.columns),
        *(["others"] if has_others else []),
        *(f"<{_short(text)}>" for text, _ in sweep.expect),
    ]
    rows = []
    for row in sweep.rows:
        counts = [*row.counts, *([row.others] if has_others else [])]
        rows.append(
            [
                str(row.binding + 1),
                *(f"{value:.6g}" for value in row.values),
                *(f"{100 * count / row.shots:.1f} %" if row.shots else "-" for count in counts),
                *(signed(values[row.binding]) for _, values in sweep.expect),
            ]
        )
    return header, rows


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 8]}…{text[-7:]}"
