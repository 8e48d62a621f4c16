"""How charts look: colours that stay apart for colour-blind readers, patterns beside them, fonts and axes."""

from typing import Any

import plotly.graph_objects as go

INK, MUTED, RULE, PAPER = "#1f2a37", "#5b6675", "#e3e7ec", "#ffffff"
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00")  # Okabe and Ito, the yellow made darker
STATES = {  # each colour has a pattern of its own besides
    "VALID": ("#0072b2", ""),
    "UNPROVABLE": ("#9fb8cc", "."),
    "SUSPECT": ("#e69f00", "/"),
    "GAP": ("#b3261e", "x"),
}
BOOK_STATES = {**{state: STATES[state] for state in ("VALID", "UNPROVABLE", "SUSPECT")}, "INVALID": STATES["GAP"]}
LEGEND: dict[str, Any] = {"font": {"size": 12}, "orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}


def marker(colour: str, pattern: str) -> dict[str, Any]:
    """The filling of a bar."""
    return {
        "color": colour, "line": {"width": 0},
        "pattern": {
            "shape": pattern, "bgcolor": colour, "fgcolor": PAPER, "fgopacity": 0.9, "size": 6,
            "solidity": 0.15 if pattern == "." else 0.35,
        },
    }  # fmt: skip


def dress(figure: go.Figure) -> None:
    """Give a figure the fonts, the margins and the axes of all of them."""
    figure.update_layout(
        template="none", paper_bgcolor=PAPER, plot_bgcolor=PAPER, font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 10, "r": 16, "t": 56, "b": 44}, hoverlabel={"bgcolor": PAPER, "font": {"color": INK}},
    )  # fmt: skip
    look = {"gridcolor": RULE, "linecolor": RULE, "zerolinecolor": RULE, "automargin": True, "ticks": "outside",
            "tickcolor": RULE, "title": {"font": {"size": 12, "color": MUTED}, "standoff": 12}}  # fmt: skip
    figure.update_xaxes(**look)
    figure.update_yaxes(**look)
