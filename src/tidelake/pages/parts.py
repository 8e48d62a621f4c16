"""The frame of a page, and what pages are made of: cards, tables, figures. A page is one file and loads nothing."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

FRAME = Path(__file__).with_name("frame.html")


def write_framed(path: Path, title: str, body: str) -> int:
    """Write the page whose `<main>` holds `body`, which is HTML; gives its size in bytes."""
    frame = Template(FRAME.read_text(encoding="utf-8"))
    text = frame.substitute(plotly=get_plotlyjs(), title=html.escape(title), body=body)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.stat().st_size


def figure_html(figure: go.Figure, name: str) -> str:
    """A figure; `name` is its id on the page."""
    config = {"displaylogo": False, "responsive": True, "displayModeBar": False}
    return str(figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config))


def cards_html(cards: Iterable[tuple[str, str]]) -> str:
    """Figures in a row: value and what it counts."""
    told = (
        f"<div class='card'><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>" for value, name in cards
    )
    return f"<div class='cards'>{''.join(told)}</div>"


def swatch_html(colour: str, pattern: str) -> str:
    """A bit of the filling `look.marker` gives, for the explanation of a colour."""
    kind = {"": "plain", ".": "dots", "/": "stripes", "x": "crossed"}[pattern]
    return f"<i class='swatch {kind}' style='background-color:{colour}'></i>"


def table_html(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """A table; underscores in the names of its columns are blanks."""
    told = list(rows)
    head = "".join(f"<th{_align(told, name)}>{html.escape(name.replace('_', ' '))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(map(_cell, row.values())) + "</tr>" for row in told)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _align(rows: Sequence[dict[str, Any]], column: str) -> str:
    """The head of a column of numbers stands over them."""
    return " class='number'" if rows and isinstance(rows[0].get(column), (int, float)) else ""


def _cell(value: object) -> str:
    if isinstance(value, (int, float)):
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.8g}" if value < 1e4 else f"{value:,.2f}"
        return f"<td class='number'>{text}</td>"
    return f"<td>{html.escape(str(value))}</td>"
