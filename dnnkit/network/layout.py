"""Layered graph drawing: boxes in rows, each below everything it reads, and lines around the boxes between."""

from collections.abc import Sequence

from dnnkit.deferred import dataclass

SWEEPS = 12
"""Number of passes that reorder rows by their neighbours above and below."""

GAP, LINE = 0.3, 0.25
"""Inches between two boxes of a row, and the space for a line that passes between them."""


@dataclass(frozen=True)
class Layout:
    """Positions of numbered boxes and their connections, in inches, with rows counted from the top.

    Attributes:
        rows: row of each box.
        centres: horizontal centre of each box, from the left.
        lines: (from, to, centres in the rows between) of each connection.
        width: total width.
    """

    rows: list[int]
    centres: list[float]
    lines: list[tuple[int, int, list[float]]]
    width: float


def lay_out(reads: Sequence[Sequence[int]], widths: Sequence[float]) -> Layout:
    """Lay out boxes of given widths; each reads only earlier boxes."""
    rows = _rows(reads)
    places, size = [[box for box, row in enumerate(rows) if row == each] for each in range(max(rows) + 1)], list(widths)
    above: list[list[int]] = [[] for _ in widths]
    lines = []
    for box, sources in enumerate(reads):
        for source in sources:
            passed, before = [], source
            for row in range(rows[source] + 1, rows[box]):
                passed.append(len(size))
                places[row].append(len(size))
                size.append(LINE)
                above.append([before])
                before = passed[-1]
            above[box].append(before)
            lines.append((source, box, passed))
    below: list[list[int]] = [[] for _ in size]
    for box, sources in enumerate(above):
        for source in sources:
            below[source].append(box)
    places = _ordered(places, above, below)
    centres = _centred(places, above, below, size)
    ends = [centres[box] + size[box] / 2 for box in range(len(size))]
    found = [(source, box, [centres[each] for each in passed]) for source, box, passed in lines]
    return Layout(rows, centres[: len(widths)], found, max(ends))


def _rows(reads: Sequence[Sequence[int]]) -> list[int]:
    """Row of each box: below everything it reads, or, if it reads nothing, directly above its first reader."""
    rows: list[int] = []
    for sources in reads:
        rows.append(max((rows[source] + 1 for source in sources), default=0))
    for box in reversed(range(len(reads))):
        readers = [rows[other] for other, sources in enumerate(reads) if box in sources]
        if not reads[box] and readers:
            rows[box] = min(readers) - 1
    return rows


def _ordered(places: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Order rows to reduce crossings by the barycentre method, sweeping downward and upward in turn.

    Source: Sugiyama, Tagawa and Toda, IEEE Trans. SMC 11 (1981).
    """
    best, fewest = places, _crossings(places, above)
    for sweep in range(SWEEPS):
        places = [list(row) for row in places]
        downward = sweep % 2 == 0
        neighbours = above if downward else below
        for row in places if downward else reversed(places):
            place = {box: number for each in places for number, box in enumerate(each)}
            row.sort(key=lambda box: _mean([float(place[other]) for other in neighbours[box]], float(place[box])))
        crossings = _crossings(places, above)
        if crossings < fewest:
            best, fewest = places, crossings
    return best


def _crossings(places: list[list[int]], above: list[list[int]]) -> int:
    place, count = {box: number for each in places for number, box in enumerate(each)}, 0
    for row in places:
        ends = [(place[source], number) for number, box in enumerate(row) for source in above[box]]
        count += sum(one[0] > other[0] for i, one in enumerate(ends) for other in ends[i + 1 :] if one[1] < other[1])
    return count


def _centred(places: list[list[int]], above: list[list[int]], below: list[list[int]], size: list[float]) -> list[float]:
    """Horizontal centres: near the neighbours of each box, without overlaps."""
    centres = [0.0] * len(size)
    for row in places:
        _spread(row, [0.0] * len(row), size, centres)
    for sweep in range(2 * SWEEPS):
        neighbours = above if sweep % 2 == 0 else below
        for row in places if sweep % 2 == 0 else reversed(places):
            wanted = [_mean([centres[other] for other in neighbours[box]], centres[box]) for box in row]
            _spread(row, wanted, size, centres)
    left = min(centres[box] - size[box] / 2 for box in range(len(size)))
    return [centre - left for centre in centres]


def _spread(row: list[int], wanted: list[float], size: list[float], centres: list[float]) -> None:
    """Place the boxes of a row at their wanted centres; groups that would overlap are packed around their mean."""
    groups: list[tuple[list[int], list[float]]] = []
    for box, centre in zip(row, wanted, strict=True):
        groups.append(([box], [centre]))
        while len(groups) > 1 and _begin(groups[-2], size) + _length(groups[-2][0], size) + GAP > _begin(
            groups[-1], size
        ):
            boxes, centres_wanted = groups.pop()
            groups[-1][0].extend(boxes)
            groups[-1][1].extend(centres_wanted)
    for group in groups:
        start = _begin(group, size)
        for box in group[0]:
            centres[box] = start + size[box] / 2
            start += size[box] + GAP


def _length(boxes: list[int], size: list[float]) -> float:
    return sum(size[box] for box in boxes) + GAP * (len(boxes) - 1)


def _begin(group: tuple[list[int], list[float]], size: list[float]) -> float:
    """Left edge of a packed group, such that its boxes are at their wanted centres on average."""
    offset, shifts = 0.0, []
    for box, centre in zip(*group, strict=True):
        shifts.append(centre - size[box] / 2 - offset)
        offset += size[box] + GAP
    return sum(shifts) / len(shifts)


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
