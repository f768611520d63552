"""Bars as an SVG, readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_LEFT, _WIDTH, _RIGHT, _ROW, _GAP = 250, 400, 110, 20, 14
_OURS, _OTHER, _TEXT = "#2f7d4f", "#8a94a6", "#6b7280"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, its length, what is written behind it, and whether it is ours."""

    label: str
    value: float
    text: str
    ours: bool = False


def bars(groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Draw groups of bars under their titles, each group on a scale of its own."""
    lines: list[str] = []
    y = 0
    for title, group in groups:
        y += _ROW
        lines.append(f'<text x="0" y="{y}" font-weight="bold">{escape(title)}</text>')
        longest = max(bar.value for bar in group)
        for bar in group:
            y += _ROW
            lines += _bar(bar, y, bar.value / longest * _WIDTH)
        y += _GAP
    size = f'width="{_LEFT + _WIDTH + _RIGHT}" height="{y}"'
    style = f'font-family="system-ui, sans-serif" font-size="13" fill="{_TEXT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(lines) + "\n</svg>\n"


def _bar(bar: Bar, y: int, length: float) -> list[str]:
    colour = _OURS if bar.ours else _OTHER
    return [
        f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{_LEFT}" y="{y - 11}" width="{max(1.0, length):.1f}" height="14" fill="{colour}"/>',
        f'<text x="{_LEFT + max(1.0, length) + 6:.1f}" y="{y}">{escape(bar.text)}</text>',
    ]
