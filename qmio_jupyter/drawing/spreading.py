"""A tidy layout of any couplings: distances on paper follow distances along the couplings.

Classical scaling gives a beginning, stress majorisation the rest (Gansner, Koren and North, "Graph drawing by stress
majorization", 2004); then the whole is turned so that couplings lie level or upright, and what is too close is pushed
apart. Parts that are not connected are drawn beside each other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

Point = tuple[float, float]

#: Steps are as many as this number of pairs of qubits may be looked at: about a second.
_WORK: Final = 1_500_000
_STEPS: Final = 200
#: Qubits nearer than this, in lengths of a coupling, are pushed apart.
_NEAREST: Final = 0.62
#: Empty space between parts, in lengths of a coupling.
_APART: Final = 1.5


def spread(count: int, pairs: Sequence[tuple[int, int]]) -> list[Point] | None:
    """Return the place of each qubit, couplings about 1 long; None without a coupling."""
    if not pairs:
        return None
    near: list[list[int]] = [[] for _ in range(count)]
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    parts = [(part, _part(part, near)) for part in _parts(near)]
    # The largest part first; the others in rows below it, no wider than it is.
    parts.sort(key=lambda one: (-len(one[0]), one[0]))
    widest = max(4.0, *(max(x for x, _ in places) for _, places in parts))
    found: list[Point] = [(0.0, 0.0)] * count
    x = y = tall = 0.0
    for part, places in parts:
        width, height = max(x for x, _ in places), max(y for _, y in places)
        if x and x + width > widest + 1e-9:
            x, y, tall = 0.0, y + tall + _APART, 0.0
        for node, (right, down) in zip(part, places, strict=True):
            found[node] = (x + right, y + down)
        x, tall = x + width + _APART, max(tall, height)
    return found


def _parts(near: list[list[int]]) -> list[list[int]]:
    seen: set[int] = set()
    parts = []
    for start in range(len(near)):
        if start not in seen:
            part = sorted(_steps_from(start, near))
            seen.update(part)
            parts.append(part)
    return parts


def _steps_from(start: int, near: list[list[int]]) -> dict[int, int]:
    """Return the number of couplings to every node that can be reached."""
    steps = {start: 0}
    waiting = deque([start])
    while waiting:
        at = waiting.popleft()
        for other in near[at]:
            if other not in steps:
                steps[other] = steps[at] + 1
                waiting.append(other)
    return steps


def _part(part: list[int], near: list[list[int]]) -> list[Point]:
    """Return the places of one connected part, its corner at the origin."""
    if len(part) == 1:
        return [(0.0, 0.0)]
    index = {node: at for at, node in enumerate(part)}
    far = []
    for node in part:
        steps = _steps_from(node, near)
        far.append([float(steps[other]) for other in part])
    points = _majorised(_scaled(far), far)
    edges = [(index[a], index[b]) for a in part for b in near[a] if a < b]
    return _at_origin(_apart(_turned(points, edges)))


def _scaled(far: list[list[float]]) -> list[list[float]]:
    """Return the two leading coordinates of classical scaling, by power iteration."""
    count = len(far)
    means = [sum(value * value for value in row) / count for row in far]
    whole = sum(means) / count
    inner = [
        [-(value * value - means[i] - means[j] + whole) / 2 for j, value in enumerate(row)]
        for i, row in enumerate(far)
    ]
    axes: list[list[float]] = []
    for axis in range(2):
        vector = [math.sin(1.0 + at * (2.3 + axis)) for at in range(count)]
        size = 0.0
        for _ in range(max(8, min(60, _WORK // (4 * count * count)))):
            for known in axes:
                along = sum(map(float.__mul__, vector, known))
                scale = sum(value * value for value in known) or 1.0
                vector = [value - along / scale * other for value, other in zip(vector, known, strict=True)]
            vector = [sum(map(float.__mul__, row, vector)) for row in inner]
            size = math.sqrt(sum(value * value for value in vector))
            if size < 1e-12:
                break
            vector = [value / size for value in vector]
        axes.append([value * math.sqrt(size) for value in vector])
    return axes


def _majorised(axes: list[list[float]], far: list[list[float]]) -> list[Point]:
    """Return the coordinates after moving each point, in turn, to where its distances fit best."""
    xs, ys = axes
    count = len(xs)
    for at in range(count):
        # No two points in one place, where a force has no direction.
        xs[at] += 1e-3 * math.sin(7.0 * at)
        ys[at] += 1e-3 * math.cos(5.0 * at)
    weights = [[1 / (value * value) if value else 0.0 for value in row] for row in far]
    totals = [sum(row) for row in weights]
    for _ in range(max(5, min(_STEPS, _WORK // (count * count)))):
        moved = 0.0
        for at in range(count):
            x, y, sum_x, sum_y = xs[at], ys[at], 0.0, 0.0
            for other_x, other_y, weight, wanted in zip(xs, ys, weights[at], far[at], strict=True):
                if weight:
                    right, down = x - other_x, y - other_y
                    pull = wanted / (math.sqrt(right * right + down * down) or 1.0)
                    sum_x += weight * (other_x + right * pull)
                    sum_y += weight * (other_y + down * pull)
            xs[at], ys[at] = sum_x / totals[at], sum_y / totals[at]
            moved = max(moved, abs(xs[at] - x) + abs(ys[at] - y))
        if moved < 1e-3:
            break
    return list(zip(xs, ys, strict=True))


def _turned(points: list[Point], edges: list[tuple[int, int]]) -> list[Point]:
    """Return the points with couplings about 1 long, turned so that they lie level or upright, and wider than high."""
    cosine = sine = length = 0.0
    for a, b in edges:
        right, down = points[b][0] - points[a][0], points[b][1] - points[a][1]
        angle = 4 * math.atan2(down, right)
        cosine += math.cos(angle)
        sine += math.sin(angle)
        length += math.hypot(right, down)
    # Four times the angle: a quarter turn changes nothing, so level and upright count alike.
    turn = -math.atan2(sine, cosine) / 4
    scale = len(edges) / length if length else 1.0
    points = [
        (
            scale * (x * math.cos(turn) - y * math.sin(turn)),
            scale * (x * math.sin(turn) + y * math.cos(turn)),
        )
        for x, y in points
    ]
    wide = max(x for x, _ in points) - min(x for x, _ in points)
    high = max(y for _, y in points) - min(y for _, y in points)
    if high > wide:
        points = [(y, -x) for x, y in points]
    # Of the two ways round the one in which the first qubit is at the top left.
    centre_x = sum(x for x, _ in points) / len(points)
    centre_y = sum(y for _, y in points) / len(points)
    flip_x = -1 if points[0][0] > centre_x + 1e-9 else 1
    flip_y = -1 if points[0][1] > centre_y + 1e-9 else 1
    return [(flip_x * x, flip_y * y) for x, y in points]


def _apart(points: list[Point]) -> list[Point]:
    """Return the points with those too close to each other pushed apart."""
    places = [list(point) for point in points]
    for _ in range(60):
        is_quiet = True
        order = sorted(range(len(places)), key=lambda at: places[at])
        for first, a in enumerate(order):
            for b in order[first + 1 :]:
                right, down = places[b][0] - places[a][0], places[b][1] - places[a][1]
                if right >= _NEAREST:
                    break
                distance = math.hypot(right, down)
                if distance < _NEAREST - 1e-6:
                    is_quiet = False
                    if distance < 1e-9:
                        right, down, distance = math.cos(a), math.sin(a), 1.0
                        gap = _NEAREST / 2
                    else:
                        gap = (_NEAREST - distance) / 2
                    for node, sign in ((a, -1), (b, 1)):
                        places[node][0] += sign * gap * right / distance
                        places[node][1] += sign * gap * down / distance
        if is_quiet:
            break
    return [(x, y) for x, y in places]


def _at_origin(points: list[Point]) -> list[Point]:
    left = min(x for x, _ in points)
    top = min(y for _, y in points)
    return [(x - left, y - top) for x, y in points]
