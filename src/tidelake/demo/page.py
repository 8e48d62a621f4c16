"""One HTML page about a lake: prices, coverage, what is in it, what the words mean. It loads nothing."""

import datetime as dt
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

import polars as pl

from tidelake.books.report import BookReport
from tidelake.client import Lake
from tidelake.demo.charts import books_figure, coverage_figure, price_figure, strips
from tidelake.demo.prices import choose_prices
from tidelake.pages.look import STATES
from tidelake.pages.parts import cards_html, figure_html, swatch_html, table_html, write_framed
from tidelake.raw.coverage import StreamCoverage
from tidelake.stablecoins.page.charts import states_figure
from tidelake.stablecoins.page.page import story_words
from tidelake.stablecoins.page.story import Story

TEMPLATE = Path(__file__).with_name("page.html")
MEANINGS = {
    "VALID": "Proven complete: the venue numbers its trades, and every number of the run is here.",
    "UNPROVABLE": "Trades are here, but the venue numbers nothing that could prove that none is missing.",
    "SUSPECT": "The venue shows the trades on both sides and, asked again, says that it has none between.",
    "GAP": "Missing: it was asked for or is meant to be heard, and it is not here.",
}


@dataclass(frozen=True)
class PageFacts:
    """What the page says beside its charts.

    Attributes:
        title: Names the input.
        origin: Where the numbers come from, in one clause.
        after: Coverage as it is.
        before: Coverage before a repair; empty where there was none.
        asset: Base asset of the price chart; by default the one that most venues were heard on at the same time.
        proofs: What was checked, one sentence each.
        books: Order books that were captured live.
        story: A coin that was replayed; None where none was.
        coins_page: Name of the file beside the page that tells it whole.
    """

    title: str
    origin: str
    after: Sequence[StreamCoverage]
    before: Sequence[StreamCoverage] = ()
    asset: str = ""
    proofs: Sequence[str] = field(default=())
    books: Sequence[BookReport] = ()
    story: Story | None = None
    coins_page: str = ""


def write_page(path: Path, lake: Lake, facts: PageFacts) -> int:
    """Write the page; gives its size in bytes."""
    prices = choose_prices(lake, facts.asset)
    found = strips(facts.before, facts.after)
    contents = _contents(lake)
    missing = sum(each.state in ("GAP", "SUSPECT") for s in facts.before for each in s.intervals)
    left = sum(each.state in ("GAP", "SUSPECT") for s in facts.after for each in s.intervals)
    if prices.asset:
        title = f"{prices.asset} at {len(prices.streams)} venues"
        note = (
            f"Last price of each {prices.stretch}. Quotes differ (USD, USDT), so the lines do too; below, the distance "
            "of each venue from the median of all, in basis points (hundredths of a percent)."
        )
    else:
        title = "The busiest stream of each venue"
        note = (
            f"Last price of each {prices.stretch}, in the quote currency, event time in UTC. Each venue was heard at "
            "another time or on other assets, so each has a panel of its own."
        )
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(facts.title),
        origin=html.escape(facts.origin),
        made=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        lake=html.escape(lake.store.url),
        cards=_cards(contents, facts.after, missing, left),
        price_title=html.escape(title),
        price_note=html.escape(note),
        prices=figure_html(price_figure(prices), "prices"),
        coverage=figure_html(coverage_figure(found), "coverage"),
        coverage_note=_coverage_note(found, facts.after),
        books=_books(facts.books),
        coins=_coins(facts),
        meanings="".join(_meaning(state) for state in STATES),
        contents=table_html(contents.iter_rows(named=True), contents.columns),
        proofs="".join(f"<li>{html.escape(proof)}</li>" for proof in facts.proofs),
    )
    return write_framed(path, facts.title, text)


def _books(books: Sequence[BookReport]) -> str:
    """The section about live books; nothing where there were none."""
    if not books:
        return ""
    updates, breaks = sum(book.updates for book in books), sum(book.breaks for book in books)
    return (
        "<section><h2>Order books, live</h2><p>Captured over a WebSocket that lost updates on purpose: "
        f"{updates:,} updates came, {breaks} times some were missing. A book is INVALID from the first update that "
        "does not fit until it is synchronised again; it is not served as valid in between.</p>"
        f"{figure_html(books_figure(books), 'books')}</section>"
    )


def _coins(facts: PageFacts) -> str:
    """The section about a replayed coin: the story in words, and its windows around the reorganisation."""
    story = facts.story
    if story is None:
        return ""
    words = "".join(f"<li>{html.escape(line)}</li>" for line in story_words(story))
    note = (
        f"A simulated day of {story.coin}, replayed. Below, one line for each window around {story.about} (dotted): a "
        "diamond is a version that says something else than the one before. Prices, alerts and supply are in "
        f"{facts.coins_page}, beside this file."
    )
    chart = figure_html(states_figure(story), "coins")
    return f"<section><h2>A stablecoin in a crisis</h2><p>{html.escape(note)}</p><ul>{words}</ul>{chart}</section>"


def _coverage_note(found: Sequence[object], after: Sequence[StreamCoverage]) -> str:
    streams = [stream for stream in after if stream.feed.endswith("trades")]
    if len(streams) > len(found):
        return (
            f"The {len(found)} busiest of {len(streams)} streams of trades; <code>tidelake coverage</code> lists all."
        )
    return "Every stream of trades, from the ledger alone: no table is needed to know what is missing."


def _contents(lake: Lake) -> pl.DataFrame:
    """Trades per stream, with their extent."""
    at = pl.col("event_time")
    return (
        lake.scan("trades")
        .group_by("source", "symbol", "grain")
        .agg(
            trades=pl.len(),
            first_utc=at.min().dt.strftime("%Y-%m-%d %H:%M:%S"),
            last_utc=at.max().dt.strftime("%Y-%m-%d %H:%M:%S"),
            lowest_price=pl.col("price").min().cast(pl.Float64),
            highest_price=pl.col("price").max().cast(pl.Float64),
            transport=pl.col("transport").unique().sort().str.join(", "),
        )
        .sort("source", "symbol", "grain")
        .collect()
    )


def _cards(contents: pl.DataFrame, after: Sequence[StreamCoverage], missing: int, left: int) -> str:
    valid = sum(1 for s in after if s.intervals and all(i.state == "VALID" for i in s.intervals))
    cards = [
        (f"{contents['trades'].sum():,}", "trades in one table"),
        (f"{contents['source'].n_unique()}", "venues"),
        (f"{contents.height}", "streams of trades"),
        (f"{valid}", "streams proven complete"),
        (f"{left}", f"holes left, of {missing} that were found" if missing else "holes"),
    ]
    return cards_html(cards)


def _meaning(state: str) -> str:
    colour, pattern = STATES[state]
    return f"<tr><td>{swatch_html(colour, pattern)}</td><th>{state}</th><td>{html.escape(MEANINGS[state])}</td></tr>"
