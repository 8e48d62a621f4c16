"""Charts of an episode: the price and the bands of its alerts, volatility and its levels, and false alarms by level."""

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from tidelake.pages.look import INK, LEGEND, LINES, MUTED, RULE, dress
from tidelake.stablecoins.episodes.lead_times import price_known, worst
from tidelake.stablecoins.episodes.playing import Life, Played
from tidelake.stablecoins.episodes.volatility_levels import LevelLine
from tidelake.stablecoins.signals import SEVERITIES, Rules

LOOKS: Final = {  # of a severity: colour and symbol
    "notice": ("#e69f00", "circle"),
    "warning": ("#d55e00", "diamond"),
    "severe": ("#b3261e", "square"),
}
CRISIS: Final = "rgba(213, 94, 0, 0.07)"
BAND: Final = "rgba(0, 114, 178, 0.4)"
LINEAR: Final = 0.005  # about the peg the scale is linear, beyond it one of multiples
AWAY: Final = (0.0, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 5.0, 10.0)
MOST_POINTS: Final = 3_000
NOTHING: Final[list[Any]] = [None]  # so that the legend explains what does not occur too


def step_minutes(played: Played) -> int:
    """Minutes that one point of the chart stands for."""
    return max(1, -(-played.minutes.height // MOST_POINTS))


def episode_figure(played: Played, rules: Rules) -> go.Figure:
    """Price above, volatility over its median below; alerts where they fired, days of the episode tinted."""
    rows = _thinned(played.minutes, step_minutes(played))
    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.56, 0.44], vertical_spacing=0.08)
    times = rows["at"].to_list()
    edge = [scaled(value) for value in rows["high"]] + [scaled(value) for value in rows["low"].reverse()]
    figure.add_trace(
        go.Scatter(
            x=[*times, *reversed(times)], y=edge, fill="toself", fillcolor=BAND, mode="lines",
            line={"width": 1, "color": BAND}, name="lowest to highest price", hoverinfo="skip",
        ),
        1, 1,
    )  # fmt: skip
    told = [
        f"{low:.5g} to {high:.5g}, last {price:.5g}" for low, high, price in rows.select("low", "high", "price").rows()
    ]
    figure.add_trace(
        go.Scatter(
            x=times, y=[scaled(value) for value in rows["price"]], mode="lines", line={"color": LINES[0], "width": 1.2},
            name="last price", customdata=told, hovertemplate="%{customdata}<extra></extra>",
        ),
        1, 1,
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=times, y=rows["ratio"].to_list(), mode="lines", line={"color": LINES[2], "width": 1.2},
            name="volatility of BTC over its median", hovertemplate="%{y:.2f} times the median<extra></extra>",
        ),
        2, 1,
    )  # fmt: skip
    _levels(figure, rules)
    _alerts(figure, played)
    _worst(figure, played)
    dress(figure)
    _axes(figure, rows)
    for episode in played.episodes:
        first, last = (dt.datetime.fromtimestamp(time_us / 1e6, dt.UTC) for time_us in episode.span_us)
        figure.add_vrect(
            x0=max(first, times[0]), x1=min(last, times[-1]), fillcolor=CRISIS, line_width=0, layer="below"
        )
    figure.update_layout(height=660, legend={**LEGEND, "y": 1.02}, margin={"t": 76, "r": 104})
    return figure


def scaled(price: float) -> float:
    """Where a price stands: its distance from 1, in a scale that is linear near it and logarithmic far off."""
    return math.asinh((price - 1.0) / LINEAR)


def _thinned(rows: pl.DataFrame, together: int) -> pl.DataFrame:
    """Minutes in a row made one; lowest, highest and greatest ratio are kept."""
    return (
        rows.with_columns(group=pl.int_range(pl.len()) // together, ratio=pl.col("volatility") / pl.col("usual"))
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("at").first(),
            pl.col("price").last(),
            pl.col("low").min(),
            pl.col("high").max(),
            pl.col("ratio").max(),
        )
    )


def _levels(figure: go.Figure, rules: Rules) -> None:
    for severity, depeg, volatility in zip(SEVERITIES, rules.depeg, rules.volatility, strict=True):
        colour, _ = LOOKS[severity]
        line = {"color": colour, "dash": "dot", "width": 1}
        for price in (1.0 + depeg, 1.0 - depeg):
            figure.add_hline(y=scaled(price), line=line, row=1, col=1)
        figure.add_hline(y=volatility, line=line, row=2, col=1)
        for axis, at, text in (
            ("", scaled(1.0 + depeg), f"{100 * depeg:.3g} %"),
            ("2", math.log10(volatility), f"{volatility:.3g} times"),
        ):
            figure.add_annotation(
                x=1, xref=f"x{axis} domain", y=at, yref=f"y{axis}", text=f"{severity}, {text}", showarrow=False,
                xanchor="left", xshift=4, font={"size": 11, "color": colour},
            )  # fmt: skip


def _alerts(figure: go.Figure, played: Played) -> None:
    """A mark where an alert reached a severity for the first time; hollow on calm days."""
    for severity, (colour, symbol) in LOOKS.items():
        for is_calm in (False, True):
            mine = [life for life in played.lives if life.is_calm == is_calm]
            name = f"{severity}, a false alarm" if is_calm else severity
            looks = {"symbol": f"{symbol}-open" if is_calm else symbol, "size": 9, "color": colour,
                     "line": {"width": 1.6, "color": colour if is_calm else "#ffffff"}}  # fmt: skip
            for row, kind in ((1, "depeg"), (2, "volatility")):
                rose = [life for life in mine if life.kind == kind and _rose(life, severity)]
                points = [_point(played, life, severity) for life in rose]
                figure.add_trace(
                    go.Scatter(
                        x=[at for at, _, _ in points] or NOTHING, y=[y for _, y, _ in points] or NOTHING,
                        mode="markers", marker=looks, name=name, legendgroup=severity,
                        showlegend=row == 2 and not is_calm,
                        customdata=[text for _, _, text in points],
                        hovertemplate="%{customdata}<extra>" + f"{kind}, {name}" + "</extra>",
                    ),
                    row, 1,
                )  # fmt: skip
    hollow = {"symbol": "circle-open", "size": 9, "color": MUTED, "line": {"width": 1.6}}
    figure.add_trace(
        go.Scatter(x=NOTHING, y=NOTHING, mode="markers", marker=hollow, name="hollow: a false alarm"), 2, 1
    )


def _rose(life: Life, severity: str) -> bool:
    """Whether a step of the alert came to this severity, not at once to one above."""
    step = life.reached(severity)
    return step is not None and step.severity == severity


def _point(played: Played, life: Life, severity: str) -> tuple[dt.datetime, float, str]:
    step = life.reached(severity)
    assert step is not None, "_rose said so"
    text = f"{step.at:%d %b %H:%M}: {step.measure:.3g}, {step.state}; in the end {life.severity} {life.state}"
    if life.kind == "volatility":
        return step.at, step.measure, text
    price = price_known(played, step.at) or 1.0
    return step.at, math.copysign(math.asinh(step.measure / LINEAR), price - 1.0), text


def _worst(figure: go.Figure, played: Played) -> None:
    for episode in played.episodes:
        if (found := worst(played, episode)) is None:
            continue
        at, price = found
        figure.add_annotation(
            x=at, y=scaled(price), xref="x", yref="y", text=f"worst: {price:.5g}<br>{at:%d %b %H:%M}", showarrow=True,
            arrowcolor=INK, arrowwidth=1.2, ax=48, ay=16 if price > 1 else -16, xanchor="left", align="left",
            font={"size": 12, "color": INK}, bgcolor="rgba(255, 255, 255, 0.8)",
        )  # fmt: skip


def _axes(figure: go.Figure, rows: pl.DataFrame) -> None:
    lowest, highest = min([0.9945, *rows["low"]]), max([1.0055, *rows["high"]])
    shown = [1.0 + sign * away for away in AWAY for sign in (1, -1) if lowest <= 1.0 + sign * away <= highest]
    figure.update_yaxes(
        tickmode="array", tickvals=[scaled(price) for price in shown], ticktext=[f"{price:.4g}" for price in shown],
        range=[scaled(lowest) - 0.3, scaled(highest) + 0.3], title_text="price", zeroline=False, row=1, col=1,
    )  # fmt: skip
    ratios = rows["ratio"].drop_nulls().to_list()
    bottom, top = min([0.5, *ratios]), max([10.0, *ratios])
    figure.update_yaxes(
        type="log", range=[math.log10(bottom) - 0.05, math.log10(top) + 0.08], tickmode="array",
        tickvals=[0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50], title_text="times its median", row=2, col=1,
    )  # fmt: skip
    figure.update_xaxes(type="date")
    figure.update_xaxes(title_text="UTC", row=2, col=1)


def levels_figure(lines: Iterable[LevelLine], chosen: Sequence[float]) -> go.Figure:
    """False alarms a calm day, and alerts a day of an episode, by level; a line for each memory."""
    rows = list(lines)
    figure = make_subplots(
        1, 2, subplot_titles=("calm days: false alarms", "days of episodes: alerts"), horizontal_spacing=0.09
    )
    for place, days in enumerate(dict.fromkeys(line.memory_days for line in rows)):
        mine = [line for line in rows if line.memory_days == days]
        name = f"median of {days} day{'s' if days > 1 else ''}"
        sides = (
            [line.false_alarms_a_day for line in mine],
            [line.crisis_alerts / max(line.crisis_days, 1) for line in mine],
        )
        for column, values in enumerate(sides, 1):
            figure.add_trace(
                go.Scatter(
                    x=[line.factor for line in mine], y=values, name=name, legendgroup=name, showlegend=column == 1,
                    mode="lines+markers", line={"color": LINES[place], "width": 1.8}, marker={"size": 6},
                    hovertemplate="from %{x} times: %{y:.2f} a day<extra>" + name + "</extra>",
                ),
                1, column,
            )  # fmt: skip
    for column in (1, 2):
        for level in chosen:
            figure.add_vline(x=level, line={"color": RULE, "width": 6}, layer="below", row=1, col=column)
    dress(figure)
    figure.update_annotations(font={"size": 13, "color": MUTED})
    figure.update_xaxes(title_text="level, times the median")
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="a day", row=1, col=1)
    figure.update_layout(height=340, legend={**LEGEND, "y": 1.12}, margin={"t": 90})
    return figure
