"""Tables in reStructuredText, a plot in SVG, and the pages in ``docs/`` that they go into."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from math import floor, log10
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def brief(value: float) -> str:
    """Return ``value`` with its three leading digits, and no more than three after the point."""
    return f"{value:.{min(max(2 - floor(log10(value)), 0), 3) if value > 0 else 0}f}"


def table(rows: Iterable[list[str]]) -> str:
    """Return ``rows``, the first of which is the heading, as a simple table."""
    heading, *body = rows
    widths = [max(map(len, column)) for column in zip(heading, *body, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in (heading, *body)
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def replace_part(name: str, text: str, page_name: str = "performance.rst") -> None:
    """Put ``text`` between the two comments that mark the part ``name`` of a page in ``docs/``."""
    page = DOCS / page_name
    begin, end = f".. begin {name}\n", f"\n.. end {name}\n"
    pattern = re.escape(begin) + ".*?" + re.escape(end)
    page.write_text(re.sub(pattern, lambda _: f"{begin}\n{text}\n{end}", page.read_text(), flags=re.DOTALL))


def bars(title: str, groups: dict[str, dict[str, float]]) -> None:
    """Draw ``docs/performance.svg``: a bar for each value of each group, every group to a scale of its own."""
    width, row, label = 760, 20, 150
    y = 30
    parts = []
    for group, values in groups.items():
        y += 14
        parts.append(f'<text x="0" y="{y}" font-weight="bold">{escape(group)}</text>')
        y += 8
        for name, value in values.items():
            length = (width - label - 60) * value / max(values.values())
            fill = "#1b7f5c" if name == "wordecho" else "#9aa5b1"
            parts.append(f'<text x="{label - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{label}" y="{y + 3}" width="{length:.1f}" height="{row - 6}" fill="{fill}"/>')
            figure = f"{value:.2f}" if value < 1 else f"{value:.1f}"
            parts.append(f'<text x="{label + length + 6:.1f}" y="{y + 14}">{figure}</text>')
            y += row
        y += 10
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-family="sans-serif" font-size="12">'
    background = f'<rect width="{width}" height="{y}" fill="white"/>'
    heading = f'<text x="0" y="18" font-size="14">{escape(title)}</text>'
    (DOCS / "performance.svg").write_text("\n".join([head, background, heading, *parts, "</svg>\n"]))
