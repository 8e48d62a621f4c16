"""The page of a calibration: reliability before and after the fit, figures, exponents."""

import html
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tidelake.pages.look import INK, LEGEND, LINES, MUTED, dress, marker
from tidelake.pages.parts import cards_html, figure_html, table_html, write_framed
from tidelake.stablecoins.calibration.brier import Verification
from tidelake.stablecoins.calibration.calibrate import AFTER, BASE, BEFORE, CalibrationReport
from tidelake.stablecoins.calibration.samples import FACTORS

ABOUT = (
    "The Temporal Confidence Score says how likely all that a row states is what the window will say once it is final. "
    "Here it is held against simulated histories, whose truth is known."
)
CURVE = (
    "A score of 0.7 should come true seven times in ten: points on the grey line. Above it the score is too low, below "
    "it too high. Bars are 95\u00a0% intervals by Wilson; they are too narrow, for rows of one history are not "
    "independent. Below: how many rows have such a score; the scale is one of multiples."
)
FIGURES = (
    "Brier score = reliability - resolution + uncertainty + within bins (Murphy 1973). Less is better, but for "
    "resolution and skill; a skill of 0 is that of always saying the base rate. All rows are of seeds that were not "
    "fitted to."
)
POWERS = (
    "Each factor is taken to its exponent; 0 leaves it out. Beside those fitted to all fit seeds, those of each "
    "alone, with their Brier score on the scored seeds: where they differ, the histories do not settle them. The "
    "product uses the prior ones."
)
WEIGHTS = (
    "Scored rows of PROVISIONAL windows that lack no value, by the weight of their tier, and the share of them that "
    "came true: what that weight would be if it were a chance of these histories."
)
TOLERANCE = (
    "A row is right where each value is within its tolerance of the final one; one that is missing equals only "
    "one that is missing too."
)
LOOKS = {BEFORE: (LINES[1], "diamond", "dash"), AFTER: (LINES[0], "circle", "solid")}


def write_calibration_page(path: Path, report: CalibrationReport) -> int:
    """Write the page; gives its size in bytes."""
    title = "Calibration of the Temporal Confidence Score"
    seeds = f"Fitted on seeds {_list(report.fit_seeds)}, scored on seeds {_list(report.score_seeds)}. {report.history}"
    header = (
        f"<header><h1>{title}</h1><p>{ABOUT}</p><p><b>{html.escape(report.note)}</b></p>"
        f"<p>{html.escape(seeds)}</p></header>"
    )
    parts = [
        header,
        cards_html(_cards(report)),
        _section("Reliability", CURVE, figure_html(reliability_figure(report), "reliability")),
        _section("Brier score and its parts", FIGURES, _table(_figures(report))),
        _section("Exponents", POWERS, _table(_exponents(report))),
        _section("Complete rows by finality", WEIGHTS, _table(_complete(report))),
        _section("Histories", "", _table(_seeds(report))),
        _section("What counts as right", TOLERANCE, _table(_tolerances(report))),
    ]
    return write_framed(path, title, "".join(parts))


def reliability_figure(report: CalibrationReport) -> go.Figure:
    """Of all rows, and of parts of them: what came true by score, and how many rows had it."""
    shown = list(dict.fromkeys(each.rows for each in report.forecasts))
    titles = [f"{rows} rows" for rows in shown]
    figure = make_subplots(
        2, len(shown), row_heights=[0.72, 0.28], shared_xaxes=True, vertical_spacing=0.06, horizontal_spacing=0.05,
        subplot_titles=titles,
    )  # fmt: skip
    for column, rows in enumerate(shown, 1):
        ideal = go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "width": 1}, showlegend=False)
        figure.add_trace(ideal.update(hoverinfo="skip"), 1, column)
        for name in (BEFORE, AFTER):
            _draw(figure, report.of(name, rows), name, column)
    dress(figure)
    figure.update_xaxes(range=[-0.03, 1.03])
    figure.update_xaxes(title_text="score", row=2)
    figure.update_yaxes(range=[-0.03, 1.03], row=1)
    figure.update_yaxes(type="log", dtick=1, row=2)
    figure.update_yaxes(title_text="share that came true", row=1, col=1)
    figure.update_yaxes(title_text="rows", row=2, col=1)
    figure.update_layout(height=560, barmode="group", bargap=0.15, legend={**LEGEND, "y": 1.08}, margin_t=84)
    return figure


def _draw(figure: go.Figure, found: Verification, name: str, column: int) -> None:
    colour, symbol, dash = LOOKS[name]
    full = [each for each in found.bins if each.count]
    points = go.Scatter(
        x=[each.mean_forecast for each in full],
        y=[each.observed for each in full],
        error_y={
            "type": "data", "symmetric": False, "thickness": 1.2, "width": 3,
            "array": [(each.observed_high or 0.0) - (each.observed or 0.0) for each in full],
            "arrayminus": [(each.observed or 0.0) - (each.observed_low or 0.0) for each in full],
        },
        mode="lines+markers", name=name, legendgroup=name, showlegend=column == 1,
        line={"color": colour, "dash": dash, "width": 1.6}, marker={"symbol": symbol, "size": 8},
        customdata=[each.count for each in full],
        hovertemplate="score %{x:.3f}, came true %{y:.3f}, %{customdata:,} rows<extra>" + name + "</extra>",
    )  # fmt: skip
    figure.add_trace(points, 1, column)
    bars = go.Bar(
        x=[(each.low + each.high) / 2 for each in full],
        y=[each.count for each in full],
        marker=marker(colour, "/" if name == BEFORE else ""), name=name, legendgroup=name, showlegend=False,
        hovertemplate="%{y:,} rows<extra>" + name + "</extra>",
    )  # fmt: skip
    figure.add_trace(bars, 2, column)
    figure.update_annotations(font={"size": 13, "color": INK})


def _cards(report: CalibrationReport) -> list[tuple[str, str]]:
    before, after, base = report.of(BEFORE), report.of(AFTER), report.of(BASE)
    return [
        (f"{before.brier:.4f}", "Brier score, prior exponents"),
        (f"{after.brier:.4f}", "after the fit, on other seeds"),
        (f"{base.brier:.4f}", "of always saying the base rate"),
        (f"{before.samples:,}", "rows scored"),
        (f"{100 * before.base_rate:.1f} %", "of them said what became final"),
    ]


def _figures(report: CalibrationReport) -> list[dict[str, Any]]:
    return [
        {
            "forecast": each.forecast,
            "rows": each.rows,
            "number": each.found.samples,
            "Brier": _short(each.found.brier),
            "skill": _short(each.found.skill),
            "reliability": _short(each.found.reliability),
            "resolution": _short(each.found.resolution),
            "uncertainty": _short(each.found.uncertainty),
            "within bins": _short(each.found.within_bins),
        }
        for each in report.forecasts
    ]


def _exponents(report: CalibrationReport) -> list[dict[str, Any]]:
    told = [("prior", report.prior, report.of(BEFORE).brier), ("fitted", report.fitted, report.of(AFTER).brier)]
    told += [(f"seed {each.seed} alone", each.alone, each.alone_brier or 0.0) for each in report.seeds if each.alone]
    return [
        {"of": of, **{name: _short(getattr(powers, name)) for name in FACTORS}, "Brier": _short(brier)}
        for of, powers, brier in told
    ]


def _complete(report: CalibrationReport) -> list[dict[str, Any]]:
    return [
        {"finality": each.finality, "rows": each.count, "came true": _short(each.came_true)} for each in report.complete
    ] or [{"finality": "none", "rows": 0, "came true": ""}]


def _seeds(report: CalibrationReport) -> list[dict[str, Any]]:
    return [
        {
            "seed": str(each.seed),
            "use": each.use,
            "rows": each.samples,
            "came true": _short(each.came_true),
            "Brier, prior": _short(each.brier_prior),
            "Brier, fitted": _short(each.brier_fitted),
            "FINAL rows": each.finals,
            "that depart from the truth": each.finals_wrong,
        }
        for each in report.seeds
    ]


def _tolerances(report: CalibrationReport) -> list[dict[str, Any]]:
    return [
        {
            "value": name,
            "tolerance": f"{relative:.3g} of it" if relative else f"{absolute:.3g}" if absolute else "exact",
            "scored rows that departed": report.departures.get(name, 0),
        }
        for name, (relative, absolute) in report.tolerances.items()
    ]


def _short(value: float | None) -> float | str:
    return "" if value is None else round(value, 4) + 0.0  # no -0


def _list(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))


def _section(title: str, text: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{body}</section>"


def _table(rows: list[dict[str, Any]]) -> str:
    return table_html(rows, tuple(rows[0]))
