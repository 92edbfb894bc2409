"""Charts as HTML and inline SVG: they take their colours from the page, show values on hover, and filter on a click."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

import numpy as np

_WIDTH, _HEIGHT, _LEFT, _FLOOR = 360, 220, 48, 186  # of a line chart; its axes start at (_LEFT, _FLOOR)


@dataclass(frozen=True)
class Bar:
    """A labelled value of 0..1 per series, what is written beside it, and where a click leads (see `where`)."""

    label: str
    values: Sequence[float]
    texts: Sequence[str]
    link: str = ""


@dataclass(frozen=True)
class Line:
    """A curve over 0, 1, 2, …, with a range around it or without."""

    name: str
    values: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class Point:
    """A place on a map, in any unit; `filled` points lie above hollow ones."""

    x: float
    y: float
    label: str
    colour: int
    filled: bool
    link: str


def where(**filters: str) -> str:
    """The link that shows the clips with these values of the page's filters: subject, label, predicted, answer."""
    return "#?" + urlencode(filters)


def open_clip(key: str) -> str:
    """The link that shows the clip called subject/clip."""
    return "#" + quote(key)


def bars(rows: Sequence[Bar], series: Sequence[str] = ()) -> str:
    """Horizontal bars, a group per row, with a legend where there are several series."""
    groups = []
    for row in rows:
        strips = "".join(
            f'<span class="track"><span style="width:{100 * value:.1f}%;background:{_colour(k)}"></span></span>'
            f"<span>{escape(text)}</span>"
            for k, (value, text) in enumerate(zip(row.values, row.texts, strict=True))
        )
        label = f'<a href="{escape(row.link)}">{escape(row.label)}</a>' if row.link else escape(row.label)
        groups.append(f'<div role="listitem"><span>{label}</span><span class="strips">{strips}</span></div>')
    return f'<div class="bars" role="list">{"".join(groups)}</div>{_legend(series)}'


def matrix(counts: np.ndarray, names: Sequence[str], link: Callable[[str, str], str]) -> str:
    """A confusion matrix (rows true, columns predicted): shares of the row and counts; each cell is a link."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for r, name in enumerate(names):
        cells = []
        for c, other in enumerate(names):
            title = escape(f"{name} taken for {other}: {counts[r, c]} of {counts[r].sum()} clips")
            cells.append(
                f'<td style="--share:{100 * shares[r, c]:.0f}%"><a href="{escape(link(name, other))}" '
                f'title="{title}"><b>{shares[r, c]:.0%}</b> <small>{counts[r, c]}</small></a></td>'
            )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    top = f'<thead><tr><th scope="col" class="corner">true ↓ predicted →</th>{head}</tr></thead>'
    return f'<div class="scroll"><table class="matrix">{top}<tbody>{"".join(rows)}</tbody></table></div>'


def lines(curves: Sequence[Line], x: str, y: str, *, first: int = 0, percent: bool = False) -> str:
    """Curves from zero up, their ranges behind them; hovering anywhere shows the values there."""
    top = max(float(np.max(line.values if line.high is None else line.high)) for line in curves) * 1.05 or 1.0
    count = max(len(line.values) for line in curves)
    step = (_WIDTH - _LEFT - 14) / max(count - 1, 1)
    places = [_LEFT + 6 + i * step for i in range(count)]

    def text(value: float) -> str:
        return f"{value:.0%}" if percent else f"{value:.2g}"

    def path(values: np.ndarray) -> list[str]:
        return [f"{at:.1f},{_FLOOR - float(v) / top * (_FLOOR - 2):.1f}" for at, v in zip(places, values, strict=False)]

    drawn = [f'<path class="axis" d="M{_LEFT} 2V{_FLOOR}H{_WIDTH}"/>', _text(_LEFT + 150, 216, x)]
    drawn.append(f'<text transform="translate(9 95) rotate(-90)" text-anchor="middle">{escape(y)}</text>')
    drawn += [_text(_LEFT - 5, _FLOOR + 4 - part * 176, text(part * top), "end") for part in (0, 0.5, 1)]
    drawn += [_text(places[i], 201, str(i + first)) for i in sorted({0, (count - 1) // 2, count - 1})]
    for k, line in enumerate(curves):
        if line.low is not None and line.high is not None:
            ring = " ".join(path(line.high) + path(line.low)[::-1])
            drawn.append(f'<polygon points="{ring}" fill="{_colour(k)}" opacity=".18"/>')
        drawn.append(
            f'<polyline points="{" ".join(path(line.values))}" fill="none" stroke="{_colour(k)}" stroke-width="1.8"/>'
        )
    for i, at in enumerate(places):
        values = "; ".join(f"{line.name} {text(float(line.values[i]))}" for line in curves if i < len(line.values))
        drawn.append(
            f'<rect class="probe" x="{at - step / 2:.1f}" y="0" width="{step:.1f}" height="{_FLOOR}">'
            f"<title>{escape(f'{x} {i + first}: {values}')}</title></rect>"
        )
    label = "; ".join(f"{line.name} ends at {text(float(line.values[-1]))}" for line in curves)
    return _svg(_WIDTH, _HEIGHT, f"{y} over {x}: {label}", drawn) + _legend([line.name for line in curves])


def scatter(points: Sequence[Point], series: Sequence[str]) -> str:
    """A map whose axes have no unit; hovering names a point, a click opens its clip."""
    x, y = (np.array([getattr(point, axis) for point in points], float) for axis in "xy")
    x, y = (size * (values - values.min()) / max(float(np.ptp(values)), 1e-9) for values, size in ((x, 320), (y, 240)))
    drawn = [
        f'<{tag} href="{escape(p.link)}"><circle cx="{x[i] + 12:.1f}" '
        f'cy="{252 - y[i]:.1f}" r="{4 + p.filled}" stroke="{_colour(p.colour)}" '
        f'fill="{_colour(p.colour) if p.filled else "transparent"}"><title>{escape(p.label)}</title></circle></{tag}>'
        for i, p in sorted(enumerate(points), key=lambda pair: pair[1].filled)
        for tag in ["a" if p.link else "g"]
    ]
    return _svg(344, 264, f"{len(points)} clips on a map", drawn) + _legend(series)


def _svg(width: int, height: int, label: str, drawn: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width} {height}"'
    return f'<svg {size} role="group" aria-label="{escape(label)}">{"".join(drawn)}</svg>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _colour(number: int) -> str:
    """One of the eight colours of page.css: Okabe and Ito's, told apart with any colour vision."""
    return f"var(--c{number % 8})"


def _legend(series: Sequence[str]) -> str:
    if len(series) < 2:
        return ""
    items = [f'<li><i style="background:{_colour(k)}"></i>{escape(name)}</li>' for k, name in enumerate(series)]
    return f'<ul class="legend">{"".join(items)}</ul>'
