"""Charts as SVG: groups of bars on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

WIDTH, HEIGHT = 960, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 84, 40
GAP = 0.2  # of a group, between groups
COLORS = ("#1f77b4", "#9ecae1", "#2ca02c", "#98df8a", "#ff7f0e", "#d62728", "#9467bd", "#8c564b")
LEGEND_WIDTH = 125


def grouped_bars(title: str, groups: list[str], bars: Mapping[str, list[float]]) -> str:
    """Return a chart with a group of bars for each name in `groups`; each item of `bars` is a color."""
    values = [value for row in bars.values() for value in row if value > 0]
    low = min(0, math.floor(math.log10(min(values))))
    high = max(1, math.ceil(math.log10(max(values))))
    return "\n".join(_elements(title, groups, bars, low=low, high=high)) + "\n"


def _elements(title: str, groups: list[str], bars: Mapping[str, list[float]], *, low: int, high: int) -> Iterator[str]:
    bottom = HEIGHT - BOTTOM

    def y_of(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return bottom - min(max(share, 0.0), 1.0) * (bottom - TOP)

    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="sans-serif" font-size="12">'
    )
    yield f"<title>{escape(title)}</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>'
    for index, name in enumerate(bars):
        left = LEFT + index * LEGEND_WIDTH
        yield f'<rect x="{left}" y="38" width="12" height="12" fill="{COLORS[index % len(COLORS)]}"/>'
        yield f'<text x="{left + 17}" y="48">{escape(name)}</text>'
    for power in range(low, high + 1):
        y = y_of(10.0**power)
        strong = "#333333" if power == 0 else "#dddddd"
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{strong}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
    group_width = (WIDTH - LEFT - RIGHT) / len(groups)
    bar_width = group_width * (1 - GAP) / len(bars)
    for place, group in enumerate(groups):
        start = LEFT + (place + GAP / 2) * group_width
        middle = start + group_width * (1 - GAP) / 2
        yield f'<text x="{middle:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{escape(group)}</text>'
        for index, (name, row) in enumerate(bars.items()):
            value = row[place]
            if value <= 0:
                continue
            x, y, base = start + index * bar_width, y_of(value), y_of(1.0)
            upper, height = min(y, base), max(abs(base - y), 1.0)
            yield (
                f'<rect x="{x:.1f}" y="{upper:.1f}" width="{bar_width - 1:.1f}" height="{height:.1f}" '
                f'fill="{COLORS[index % len(COLORS)]}"><title>{escape(name)} {group}: {value:.2f}</title></rect>'
            )
            label = y - 4 if y <= base else y + 11
            yield (
                f'<text x="{x + bar_width / 2:.1f}" y="{label:.1f}" text-anchor="middle" font-size="8">'
                f"{value:.{1 if value >= 1 else 2}f}</text>"
            )
    yield "</svg>"
