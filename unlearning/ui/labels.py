"""Where the texts of a plot stand, so that none lies on another: in px, for a phone and a wide window.

Plotly draws in the browser, at a width that is not known here; heights are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LINE, LETTER = 19, 7.5  # px of a text of 14 px: from one line to the next, and a letter's width

Box = tuple[float, float, float, float]  # left, right, low, high


@dataclass(frozen=True)
class Frame:
    """What a panel shows and how large it is: two ends of each axis, and px."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point in px from the lower left corner."""
        (left, right), (low, high) = self.x, self.y
        return self.width * (x - left) / (right - left), self.height * (y - low) / (high - low)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places in the order of those wanted and close to them, at least `apart`, all from `low` to `high`.

    Where they do not fit, they go beyond `low`.
    """
    order = sorted(range(len(wanted)), key=lambda i: -wanted[i])
    places = [0.0] * len(wanted)
    groups: list[list[int]] = []
    for i in order:
        groups.append([i])
        while True:  # a group stands around the middle of what its members want
            middle = sum(wanted[j] for j in groups[-1]) / len(groups[-1])
            half = apart * (len(groups[-1]) - 1) / 2
            middle = min(high - half, max(low + half, middle))
            for n, j in enumerate(groups[-1]):
                places[j] = middle + half - apart * n
            if len(groups) < 2 or places[groups[-2][-1]] - places[groups[-1][0]] >= apart:
                break
            groups[-2:] = [groups[-2] + groups[-1]]
    return places


def box(text: str, x: float, y: float, anchor: str) -> Box:
    """The place of a text whose lines are parted by <br>; `y` is its middle."""
    lines = text.split("<br>")
    width, height = LETTER * max(map(len, lines)), LINE * len(lines)
    left = {"left": x, "right": x - width, "center": x - width / 2}[anchor]
    return left, left + width, y - height / 2, y + height / 2


def along(points: Sequence[tuple[float, float]], every: float = 4) -> Iterable[tuple[float, float]]:
    """Points on the line through some, so many px apart at most."""
    for (x, y), (u, v) in zip(points, points[1:] or points, strict=False):
        n = 1 + int(max(abs(u - x), abs(v - y)) / every)
        yield from ((x + (u - x) * i / n, y + (v - y) * i / n) for i in range(n + 1))


def beside(
    text: str,
    point: tuple[float, float],
    lines: Sequence[Sequence[tuple[float, float]]],
    texts: Sequence[tuple[str, float, float, str, float]],
    frames: Sequence[Frame],
) -> dict:
    """Where an annotation of a point may stand: ax, ay and xanchor. It hides as little as can be.

    `lines`: all that is drawn; `texts`: those there, (text, x, y, anchor, px above y). The first places are
    the nearest.
    """
    found = []
    for n, ay in enumerate((40, -52, 64, -76, 100, -112, -136)):
        for anchor, ax in (("right", -22), ("left", 22), ("center", 0)):
            hidden = sum(_hidden(text, point, (ax, ay, anchor), lines, texts, f) for f in frames)
            found.append((hidden, n, {"ax": ax, "ay": ay, "xanchor": anchor}))
    return min(found, key=lambda place: place[:2])[2]


def _hidden(text, point, place, lines, texts, frame: Frame) -> float:
    """How much a text at such a place would hide, or lack room."""
    ax, ay, anchor = place
    x, y = frame.at(*point)
    left, right, low, high = box(text, x + ax, y - ay, anchor)
    out = max(0, -left) + max(0, right - frame.width) + max(0, -low) + max(0, high - frame.height)
    drawn = (p for line in lines for p in along([frame.at(*q) for q in line]))
    under = sum(left - 4 < u < right + 4 and low < v < high for u, v in drawn)
    for other, u, v, side, up in texts:
        u, v = frame.at(u, v)
        a, b, c, d = box(other, u, v + up, side)
        under += 50 * (left < b and a < right and low < d and c < high)
    return out + under
