"""The charts of the panel: value and utilisation of protocols, liquidations by day, and what is known of each day."""

from itertools import cycle
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from tidelake.lending.panel.columns import OBSERVED, STATUSES
from tidelake.pages.look import INK, LEGEND, LINES, MUTED, PAPER, dress

DASHES = ("solid", "dot", "dash", "dashdot")
COLOURS = {  # apart in lightness too, so that they stay apart without colour
    "OK": "#0072b2",
    "PARTLY_PRICED": "#7cc3ee",
    "NOT_PRICED": "#e6b800",
    "NOT_DEPLOYED": "#eef1f4",
    "SOURCE_FAILED": "#d55e00",
    "REFUSED": "#8a2c6b",
    "RETRACTED": "#1f2a37",
    "NOT_COLLECTED": "#b4bcc6",
}
ROW_PX = 17
MONEY = {"tickprefix": "$", "exponentformat": "B", "separatethousands": True}  # $500M, $2B: not the G of physicists


def dollars(amount: float) -> str:
    """An amount for people: "$1.23 bn"."""
    for size, unit in ((1e12, " tn"), (1e9, " bn"), (1e6, " m"), (1e3, " k")):
        if abs(amount) >= size:
            return f"${amount / size:.3g}{unit}" if abs(amount) < 1000 * size else f"${amount / size:,.0f}{unit}"
    return f"${amount:.2f}"


def by_protocol(rows: pl.DataFrame) -> pl.DataFrame:
    """Sums of each protocol and day: `total_value_usd` and `utilisation`; null where one of its markets has no amount.

    A market that was not there yet holds nothing.
    """
    there = pl.col("status") != "NOT_DEPLOYED"
    sums = rows.group_by("protocol", "date").agg(
        known=(pl.col("status").is_in(OBSERVED) | ~there).all() & there.any(),
        total_value_usd=pl.col("total_value_usd").sum(),
        valued=(pl.col("total_value_usd").is_not_null() | ~there).all(),
        supplied=pl.col("supplied_usd").sum(),
        borrowed=pl.col("borrowed_usd").sum(),
    )
    supplied = pl.col("supplied")
    return sums.select(
        "protocol",
        "date",
        total_value_usd=pl.when("known", "valued").then("total_value_usd"),
        utilisation=pl.when(pl.col("known") & (supplied > 0)).then(pl.col("borrowed") / supplied),
    ).sort("protocol", "date")


def looks(rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each protocol's line, the greatest first."""
    sums = by_protocol(rows).group_by("protocol").agg(pl.col("total_value_usd").mean())
    names = sums.sort(pl.col("total_value_usd").fill_null(0), "protocol", descending=[True, False])["protocol"]
    styles = [(colour, dash) for dash in DASHES for colour in LINES]
    return {name: {"color": colour, "dash": dash} for name, (colour, dash) in zip(names, cycle(styles), strict=False)}


def value_figure(rows: pl.DataFrame) -> go.Figure:
    """Total value and utilisation of each protocol over time."""
    sums = by_protocol(rows)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.55, 0.45], vertical_spacing=0.07)
    for name, line in looks(rows).items():
        mine = sums.filter(pl.col("protocol") == name)
        said = [None if value is None else dollars(value) for value in mine["total_value_usd"].to_list()]
        for row, column, text in ((1, "total_value_usd", "%{customdata}"), (2, "utilisation", "%{y:.1%}")):
            figure.add_trace(go.Scatter(
                x=mine["date"].to_list(), y=mine[column].to_list(), name=name, legendgroup=name, showlegend=row == 1,
                mode="lines+markers" if mine.height < 60 else "lines", line={**line, "width": 1.8}, marker={"size": 4},
                connectgaps=False, customdata=said, hovertemplate=f"{text}<extra>{name}</extra>",
            ), row=row, col=1)  # fmt: skip
    figure.update_yaxes(title_text="total value, USD", type="log", **MONEY, dtick="D2", row=1, col=1)
    figure.update_yaxes(title_text="utilisation", tickformat=".0%", rangemode="tozero", row=2, col=1)
    dress(figure)
    figure.update_layout(height=560, hovermode="x unified", legend=LEGEND)
    return figure


def liquidations_figure(rows: pl.DataFrame) -> go.Figure:
    """Debt that was repaid in liquidations, by day and protocol; below, how many markets' logs are not known."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.06)
    for name, line in looks(rows).items():
        mine = rows.filter(pl.col("protocol") == name).group_by("date").agg(
            pl.col("liquidations_usd").sum(), pl.col("liquidations").sum()
        ).sort("date")  # fmt: skip
        figure.add_trace(go.Bar(
            x=mine["date"].to_list(), y=mine["liquidations_usd"].to_list(), name=name, marker_color=line["color"],
            marker_pattern_shape="" if line["dash"] == "solid" else "/",
            customdata=[(dollars(paid), count) for _, paid, count in mine.rows()],
            hovertemplate="%{x|%Y-%m-%d}: %{customdata[0]} in %{customdata[1]:,} liquidations"
            "<extra>%{fullData.name}</extra>",
        ), row=1, col=1)  # fmt: skip
    unknown = pl.col("liquidations_status").is_in(["NOT_COLLECTED", "REFUSED"])
    missing = rows.group_by("date").agg(unknown.sum()).sort("date")
    figure.add_trace(go.Bar(
        x=missing["date"].to_list(), y=missing["liquidations_status"].to_list(), marker_color=MUTED,
        name="markets not known", showlegend=False, hovertemplate="%{x|%Y-%m-%d}: %{y} markets<extra></extra>",
    ), row=2, col=1)  # fmt: skip
    figure.update_yaxes(title_text="debt repaid, USD", **MONEY, row=1, col=1)
    most = max(1, *missing["liquidations_status"].to_list())
    figure.update_yaxes(title_text="not known", range=[0, most], tickvals=[0, most], row=2, col=1)
    dress(figure)
    figure.update_layout(height=430, barmode="stack", bargap=0, legend={**LEGEND, "traceorder": "normal"})
    return figure


def coverage_figure(rows: pl.DataFrame) -> go.Figure:
    """Market by day, coloured by status."""
    codes = {status: code for code, status in enumerate(STATUSES)}
    ordered = rows.sort("protocol", "market", "date")
    names = ordered["market"].unique(maintain_order=True).to_list()
    days = ordered["date"].unique().sort().to_list()
    coded = ordered.with_columns(code=pl.col("status").replace_strict(codes, return_dtype=pl.Int32))
    grid = coded.pivot("date", index="market", values="code", sort_columns=True)
    words = coded.pivot("date", index="market", values="status", sort_columns=True)
    steps = [(place / len(codes), colour) for at, colour in enumerate(COLOURS.values()) for place in (at, at + 1)]
    figure = go.Figure(go.Heatmap(
        x=days, y=names, z=grid.drop("market").rows(), customdata=words.drop("market").rows(), zmin=-0.5,
        zmax=len(codes) - 0.5, colorscale=steps, showscale=False, ygap=2, xgap=1 if len(days) <= 120 else 0,
        hovertemplate="%{y}<br>%{x|%Y-%m-%d}: %{customdata}<extra></extra>",
    ))  # fmt: skip
    dress(figure)
    figure.update_yaxes(autorange="reversed", showgrid=False, tickfont={"size": 11, "color": INK}, dtick=1)
    figure.update_xaxes(showgrid=False, side="top")
    figure.update_layout(height=60 + ROW_PX * len(names), margin={"t": 34, "b": 10}, plot_bgcolor=PAPER)
    return figure
