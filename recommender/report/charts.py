"""Small pictures as inline SVG. They are as wide as their box; positions are percentages, so nothing is distorted.

Example usage:
>>> interval(0.5, 0.25, 0.75, 0.0, 1.0).count("<line"), scale([0.5, None, 20.0])
(4, 22.0)
>>> 'width="50%"' in bar(2, 4)
True
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from recommender.report.html import Markup, element

_ROOM: Final = 1.1  # an axis is longer than the largest value
SHADES: Final = 5  # kinds that a column can show apart


def scale(values: Sequence[float | None]) -> float:
    """Return the end of an axis from 0 that has room for all values."""
    return max((value for value in values if value is not None), default=0.0) * _ROOM or 1.0


def interval(
    value: float | None, low: float | None, high: float | None, start: float, end: float, *, accent: bool = False
) -> Markup:
    """Return a point and its interval on an axis.

    Args:
        value: where the point is; None: there is none.
        low, high: ends of the interval; None: there is none.
        start, end: of the axis.
        accent: whether it has the colour of what the page is about.
    """
    parts = [element("line", x1="0%", x2="100%", y1=9, y2=9, class_="axis")]
    if start < 0 < end:
        zero = _place(0, start, end)
        parts.append(element("line", x1=zero, x2=zero, y1=1, y2=17, class_="zero"))
    if low is not None and high is not None:
        ends = _place(low, start, end), _place(high, start, end)
        parts.append(element("line", x1=ends[0], x2=ends[1], y1=9, y2=9, class_="range"))
        parts += [element("line", x1=x, x2=x, y1=5, y2=13, class_="range tick") for x in ends if start >= 0]
    if value is not None:
        parts.append(element("circle", cx=_place(value, start, end), cy=9, r=4))
    return element("svg", parts, class_="interval ours" if accent else "interval", height=18, aria_hidden="true")


def bar(value: float, end: float) -> Markup:
    """Return a bar on an axis from 0."""
    width = _place(value, 0, end)
    return element("svg", element("rect", x=0, y=4, width=width, height=8), class_="bar", height=16, aria_hidden="true")


def columns(names: Sequence[str], series: Mapping[str, Sequence[float]]) -> Markup:
    """Return a column per name, with the values of all series on top of each other.

    Args:
        names: what a column stands for; shown when the pointer rests on it.
        series: name -> a value for each column; the first is at the bottom.
    """
    totals = [sum(values) for values in zip(*series.values(), strict=True)]
    top, width = max(totals, default=0) or 1.0, 100 / max(len(names), 1)
    gap = width * (0.25 if len(names) < 200 else 0.0)  # noqa: PLR2004 - more are too thin for a gap
    drawn = []
    for place, name in enumerate(names):
        below, parts = 0.0, []
        for shade, values in enumerate(series.values()):
            height = 100 * values[place] / top
            if height:
                y = 100 - below - height
                parts.append(
                    element(
                        "rect",
                        x=f"{place * width + gap / 2:.3f}%",
                        y=f"{y:.2f}%",
                        width=f"{width - gap:.3f}%",
                        height=f"{height:.2f}%",
                        class_=f"s{shade % SHADES}",
                    )
                )
            below += height
        text = ", ".join(f"{key} {values[place]:,}" for key, values in series.items() if values[place])
        drawn.append(element("g", element("title", f"{name}: {text or 0}"), parts))
    return element("svg", drawn, class_="columns", role="img", aria_label=f"{len(names)} columns, the highest {top:,}")


def curves(series: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """Return lines in a square whose axes go from 0 to 1, with the one that stands for an even spread.

    Args:
        series: name -> points (x, y) from left to right; the line begins at (0, 0). One without points is not drawn.

    >>> curves({"events": [(0.5, 0.75), (1.0, 1.0)]}).count('class="curve c0"')
    2
    """
    drawn = []
    for quarter in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawn.append(_line((0.0, quarter), (1.0, quarter), "axis"))
        drawn.append(element("text", f"{quarter:.0%}", x=-6, y=_place(1 - quarter, 0, 1), class_="label"))
    drawn.append(_line((0.0, 0.0), (1.0, 1.0), "even"))
    for shade, points in enumerate(series.values()):
        ends = [(0.0, 0.0), *points] if points else []
        drawn += [_line(*piece, f"curve c{shade}") for piece in pairwise(ends)]
    names = " and ".join(name for name, points in series.items() if points)
    return element("svg", drawn, class_="curves", role="img", aria_label=f"how unevenly {names} are spread")


def _line(start: tuple[float, float], end: tuple[float, float], class_: str) -> Markup:
    """Return a line between two points (x, y) from 0 to 1; y goes up."""
    (x1, y1), (x2, y2) = start, end
    ends = {"x1": x1, "y1": 1 - y1, "x2": x2, "y2": 1 - y2}
    return element("line", **{name: _place(value, 0, 1) for name, value in ends.items()}, class_=class_)


def _place(value: float, start: float, end: float) -> str:
    share = (value - start) / (end - start)
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%".replace(".00%", "%")
