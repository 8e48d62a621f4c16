"""The panel as one HTML page with charts; it loads nothing."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tidelake.lending.panel.charts import COLOURS, coverage_figure, dollars, liquidations_figure, value_figure
from tidelake.lending.panel.columns import COLUMNS, LOG_STATES, OBSERVED, STATUSES
from tidelake.lending.panel.reading import Panel
from tidelake.pages.parts import cards_html, figure_html, swatch_html, table_html, write_framed

ABOUT = (
    "State and liquidations of lending markets, read from their contracts at the last block of each UTC day and valued "
    "at the prices of that day. A day that could not be read, or has no price, says so: nothing missing counts as zero."
)
VALUE = (
    "Total value is what lies in the markets: supplied and collateral, less what is borrowed; the scale is one of "
    "multiples. A line breaks where one of a protocol's markets has no amount that day: its sum would be too small. "
    "What has no price is missing from the sums (PARTLY_PRICED below): a line steps where a price begins or ends."
)
LIQUIDATED = (
    "Debt that was repaid, at the prices of the day's end. Below: of how many markets not all logs of the day are "
    "known; a day without bars is quiet only where that is none."
)
COVERAGE = "One line for each market, one column for each day. Point at a day to see its status."


def write_panel_page(path: Path, panel: Panel) -> int:
    """Write the page of a panel, which shows its balanced form; gives its size in bytes."""
    rows = panel.balanced
    title = f"Lending panel, {panel.days[0]} to {panel.days[-1]}"
    parts = [
        f"<header><h1>{html.escape(title)}</h1><p>{ABOUT}{_as_of(panel)}</p></header>",
        cards_html(_cards(rows)),
        _section("Total value and utilisation", VALUE, figure_html(value_figure(rows), "value")),
        _section("Liquidations by day", LIQUIDATED, figure_html(liquidations_figure(rows), "liquidations")),
        _section("What is known", COVERAGE, _meanings(rows) + figure_html(coverage_figure(rows), "coverage")),
        _section("Markets", "Amounts are those of the last day that was observed.", _table(_markets(rows))),
        _section("What the columns mean", "", _table(_definitions())),
    ]
    return write_framed(path, title, "".join(parts))


def _as_of(panel: Panel) -> str:
    return f" As known at {panel.asked.as_of:%Y-%m-%d %H:%M} UTC." if panel.asked.as_of else ""


def _cards(rows: pl.DataFrame) -> list[tuple[str, str]]:
    there = rows.filter(pl.col("status") != "NOT_DEPLOYED")
    seen = there.filter(pl.col("status").is_in(OBSERVED))
    last = _last_observed(rows)
    share = f"{100 * seen.height / there.height:.4g} %" if there.height else "none"
    return [
        (f"{rows['market'].n_unique()}", "markets"),
        (share, "of their days observed"),
        (dollars(float(last["total_value_usd"].sum())), "total value, last days observed"),
        (f"{int(rows['liquidations'].sum()):,}", "liquidations"),
        (dollars(float(rows["liquidations_usd"].sum())), "debt repaid in them"),
    ]


def _last_observed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("status").is_in(OBSERVED)).sort("date").group_by("market").last()


def _markets(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """A line for each market, by protocol and market."""
    last = {row["market"]: row for row in _last_observed(rows).iter_rows(named=True)}
    observed = pl.col("status").is_in(OBSERVED)
    sums = rows.group_by("protocol", "market", "version", "chain").agg(
        observed=observed.sum(),
        missing=(~observed & (pl.col("status") != "NOT_DEPLOYED")).sum(),
        first=pl.col("date").filter(observed).min(),
        last=pl.col("date").filter(observed).max(),
        liquidations=pl.col("liquidations").sum(),
        repaid=pl.col("liquidations_usd").sum(),
    )
    return [_market(row, last.get(row["market"], {})) for row in sums.sort("protocol", "market").iter_rows(named=True)]


def _market(row: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    value, used = last.get("total_value_usd"), last.get("utilisation")
    return {
        "market": row["market"],
        "chain": row["chain"],
        "first_day": str(row["first"] or "none"),
        "last_day": str(row["last"] or "none"),
        "days_observed": row["observed"],
        "days_missing": row["missing"],
        "assets": str(last.get("assets", "")),
        "total_value": "unknown" if value is None else dollars(value),
        "utilisation": "none" if used is None else f"{100 * used:.1f} %",
        "liquidations": row["liquidations"],
        "debt_repaid": dollars(row["repaid"]),
    }


def _meanings(rows: pl.DataFrame) -> str:
    """The statuses, their colours, and how many days have each."""
    counts = dict(rows["status"].value_counts().rows())
    told = "".join(
        f"<tr><td>{swatch_html(COLOURS[status], '')}</td><th>{status}</th><td>{html.escape(text)}</td>"
        f"<td class='number'>{counts.get(status, 0):,}</td></tr>"
        for status, text in STATUSES.items()
    )
    return f"<table class='meanings'><tbody>{told}</tbody></table>"


def _definitions() -> Iterable[dict[str, Any]]:
    plain = [column for column in COLUMNS if not column.name.endswith("_exact")]
    rows = [{"column": one.name, "unit": one.unit, "meaning": one.meaning} for one in plain]
    logs = [{"column": f"liquidations_status {name}", "unit": "", "meaning": text} for name, text in LOG_STATES.items()]
    return [*rows, {"column": ".._exact", "unit": "USD", "meaning": "The same amounts with all their digits."}, *logs]


def _section(name: str, note: str, body: str) -> str:
    told = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<section><h2>{html.escape(name)}</h2>{told}{body}</section>"


def _table(rows: Iterable[dict[str, Any]]) -> str:
    told: Sequence[dict[str, Any]] = list(rows)
    return f"<div class='wide'>{table_html(told, list(told[0]))}</div>" if told else ""
