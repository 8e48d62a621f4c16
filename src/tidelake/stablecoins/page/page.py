"""The page of a replay: what was believed of each coin, how sure it was, and what was taken back. It loads nothing."""

import datetime as dt
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from tidelake.errors import NotInLake
from tidelake.pages.parts import cards_html, figure_html, swatch_html, table_html, write_framed
from tidelake.raw.store import Store
from tidelake.stablecoins.explaining import FACTORS, plain
from tidelake.stablecoins.page.charts import (
    NAMES,
    STATES,
    alerts_figure,
    price_figure,
    shown_alerts,
    states_figure,
    supply_figure,
)
from tidelake.stablecoins.page.story import Story, read_story
from tidelake.stablecoins.reading import Asked, coins_told, runs

ABOUT: Final = (
    "What was believed of each coin at any moment, how sure that was, and what was corrected later. Nothing is "
    "smoothed or clipped, and what was said first is kept beside what stands now. All times are UTC."
)
PRICE: Final = (
    "The band goes from the lowest to the highest price of each window; its colour is how sure that is as it "
    "stands. Below, the lower line is the confidence of the first word on each window, the upper one that of what "
    "stands: the gap between them is what waiting for the chains brought. Crosses are prices that were said at "
    "first and are not any more. One point is {step}{kept}."
)
CHANGES: Final = (
    "One line for each window, around {about}. It is open while it lasts, provisional while a chain may still "
    "replace its blocks or a source restate its word, and FINAL when neither is expected. A red diamond is a new "
    "version that says something else: point at it to see what. The dotted line is when the reason became known."
)
ALERTS: Final = (
    "An alert fires with the first word that says so, whatever the confidence, and is then upgraded or withdrawn. "
    "The grey line is how long it lasted; it leaves the chart after an hour. Act on the first mark where a false "
    "alarm is cheap; wait for CONFIRMED where it is dear."
)
SUPPLY: Final = (
    "Tokens that were minted and burned, as it stands now, summed over chains. Crosses are mints and burns that a "
    "chain took back when it replaced its newest blocks, rings those that it gave back."
)
STATE_WORDS: Final = {
    "OPEN": "The window lasts; its facts still come.",
    "tier1": "It is over, and its blocks are new: a reorganisation may take back what they say. Weight 0.3.",
    "tier2": "Blocks are unlikely to be replaced; sources may still restate a price. Weight 0.8.",
    "FINAL": "The grace has passed and all its blocks are final: it never changes. Weight 1.",
}
MOST_CORRECTIONS: Final = 200
MOST_TOLD: Final = 3


def write_replay_page(
    path: Path, store: Store, *, coins: Sequence[str] = (), run: str = "", as_of: dt.datetime | None = None
) -> int:
    """Write the page of one replay; gives its size in bytes.

    Args:
        path: HTML file to write.
        store: The lake.
        coins: Only these; default: all of the replay.
        run: The replay; may be left out where there is one.
        as_of: Only what was known then, by the clock of the history.

    Raises:
        NotInLake: No replay told of that, or several did and none is named.
    """
    known = runs(store, coins)
    if not run and len(known) > 1:
        raise NotInLake(f"several replays told of that; name one with --run: {', '.join(known)}", available=known)
    chosen = run or (known[0] if known else "")
    names = coins or coins_told(store, Asked(run=chosen, as_of=as_of))
    stories = [read_story(store, coin, chosen, as_of) for coin in names]
    title = f"Stablecoins: {', '.join(names)}"
    when = f" As known at {as_of:%Y-%m-%d %H:%M:%S}." if as_of else ""
    head = f"<header><h1>{html.escape(title)}</h1><p>{ABOUT}{when} Replay: {html.escape(chosen)}.</p></header>"
    body = "".join(_coin(story, several=len(stories) > 1) for story in stories)
    return write_framed(path, title, head + body + _trust())


def _coin(story: Story, *, several: bool) -> str:
    name = story.coin
    words = "".join(f"<li>{html.escape(line)}</li>" for line in story_words(story))
    parts = [
        f"<h2>{html.escape(name)}</h2>" if several else "",
        cards_html(_cards(story)),
        _section("In words", "", f"<ul>{words}</ul>"),
        _section("Price, and how sure it is", _price_note(story), figure_html(price_figure(story), f"price-{name}")),
    ]
    if not story.stretch.is_empty():
        note = CHANGES.format(about=story.about)
        parts.append(_section("Windows change state", note, figure_html(states_figure(story), f"states-{name}")))
    if not story.alerts.is_empty():
        body = figure_html(alerts_figure(story), f"alerts-{name}") + _alert_table(story)
        parts.append(_section("Alerts", ALERTS, body))
    body = figure_html(supply_figure(story), f"supply-{name}") + _correction_table(story)
    parts.append(_section("Supply, and what was taken back", SUPPLY, body))
    return "".join(parts)


def _price_note(story: Story) -> str:
    step = "one minute" if story.step_s == 60 else f"{story.step_s // 60} minutes"
    is_thinned = story.step_s > 300
    kept = ": the lowest and highest price of its windows, and the least of their scores" if is_thinned else ""
    return PRICE.format(step=step, kept=kept)


def _cards(story: Story) -> list[tuple[str, str]]:
    last = story.last_steps["state"].to_list()
    counts = story.counts
    return [
        (f"{100 * counts['final'] / counts['windows']:.4g} %", f"of {counts['windows']:,} windows FINAL"),
        (f"{counts['attested']:,}", "windows attested, over chains and lengths"),
        (f"{last.count('CONFIRMED')}", f"alerts confirmed, of {len(last)} that fired"),
        (f"{last.count('WITHDRAWN')}", "alerts withdrawn"),
        (f"{story.corrections.height}", "facts taken back or given back by chains"),
    ]


def story_words(story: Story) -> Iterator[str]:
    """What happened, in sentences."""
    last = story.last_steps
    steps = story.alerts
    depegs = last.filter(pl.col("kind") == "depeg", pl.col("state") != "WITHDRAWN")
    for row in depegs.iter_rows(named=True):
        mine = steps.filter(pl.col("alert_id") == row["alert_id"])
        delay = (row["fired_at"] - row["event_time"]).total_seconds()
        text = f"{story.coin} left its peg by {100 * row['measure']:.3g} % at worst. The alert fired at "
        text += f"{row['fired_at']:%Y-%m-%d %H:%M:%S}, {delay:.1f} s after the price that said so"
        sure = mine.filter(pl.col("state") == "CONFIRMED")
        if not sure.is_empty():
            text += f", and was CONFIRMED at {sure['known_at'][0]:%H:%M:%S}: {sure['reason'][0]}"
        text += f". It was over at {row['ended_at']:%H:%M:%S}." if row["ended_at"] else ". It is not over."
        yield text
    gone = story.corrections.filter(pl.col("correction") == "invalidated")
    yield from _reorganisations(gone)
    withdrawn = last.filter(pl.col("state") == "WITHDRAWN").height
    if withdrawn:
        told = "1 alert was" if withdrawn == 1 else f"{withdrawn} alerts were"
        yield f"{told} withdrawn: what had been said was restated, or other sources did not agree."
    halted = story.incidents["kind"].to_list().count("finality_violated")
    if halted:
        yield f"{halted} facts in final blocks were taken back, which must not be: that chain was halted."
    down = story.incidents["kind"].to_list().count("source_down")
    if down:
        yield f"Sources of chain facts went down {down} times; windows waited until they were back."
    weak = story.counts["weak"]
    if weak:
        yield (
            f"FINAL windows with a score below 0.8, which are not attested: {weak:,}. Their weakest factor is mostly "
            f"{story.weakest.replace('_', ' ')} ({FACTORS[story.weakest]})."
        )
    if depegs.is_empty() and gone.is_empty() and not withdrawn:
        yield "It stayed at its peg, no chain took anything back, and no alert was withdrawn."


def _reorganisations(gone: pl.DataFrame) -> Iterator[str]:
    """The greatest of them, in order of time, and how many more there were."""
    found = gone.group_by("chain", "known_at").agg(
        facts=pl.len(), tokens=pl.col("net_supply_change").sum(), windows=pl.col("windows_reopened").sum()
    )
    greatest = found.sort("windows", pl.col("tokens").abs(), descending=True).head(MOST_TOLD).sort("known_at")
    for row in greatest.iter_rows(named=True):
        facts = "1 mint or burn was" if row["facts"] == 1 else f"{row['facts']} mints and burns were"
        then = (
            f"{row['windows']} windows that had closed were told anew"
            if row["windows"]
            else "no window had closed by then"
        )
        yield (
            f"{row['chain'].capitalize()} replaced its newest blocks, seen at {row['known_at']:%Y-%m-%d %H:%M:%S}: "
            f"{facts} taken back (net {row['tokens']:+,.0f} tokens), and {then}."
        )
    if found.height > MOST_TOLD:
        yield f"{found.height - MOST_TOLD} more reorganisations took back mints or burns; all are listed below."


def _alert_table(story: Story) -> str:
    """The alerts of the chart, with what decided them."""
    rows = [
        {
            "fired": f"{row['fired_at']:%Y-%m-%d %H:%M:%S}",
            "what": row["kind"].replace("_", " "),
            "chain": row["chain"] or "all",
            "severity": row["severity"],
            "worst": _worst(row),
            "came_to": row["state"],
            "why": _reason(story.alerts.filter(pl.col("alert_id") == row["alert_id"]), row["state"]),
            "over": f"{row['ended_at']:%H:%M:%S}" if row["ended_at"] else "",
        }
        for row in shown_alerts(story).iter_rows(named=True)
    ]
    left = story.last_steps.height - len(rows)
    more = (
        f"<p class='do'>{left} more, of lower severity or withdrawn: <code>tidelake stablecoins alerts</code>.</p>"
        if left
        else ""
    )
    body = table_html(rows, list(rows[0]))
    return f"<details><summary>The same as a table</summary><div class='wide'>{body}</div></details>{more}"


def _worst(row: dict[str, Any]) -> str:
    measure = row["measure"]
    return f"{measure:.3g} times" if row["kind"] == "volatility" or measure > 1 else f"{100 * measure:.3g} %"


def _reason(steps: pl.DataFrame, state: str) -> str:
    """The reason of the step by which it first had its last state."""
    return str(steps.filter(pl.col("state") == state)["reason"][0])


def _correction_table(story: Story) -> str:
    rows = [
        {
            "seen": f"{row['known_at']:%Y-%m-%d %H:%M:%S}",
            "chain": row["chain"],
            "was_in_a_block_of": f"{row['event_time']:%H:%M:%S}",
            "what": row["correction"],
            "tokens": plain(row["net_supply_change"]),
            "reason": row["reason"].replace("_", " "),
            "windows_told_anew": row["windows_reopened"],
            "transaction": _short(row["event_id"]),
            "came_for_it": f"{len(row['replacement_event_ids'].split())} facts",
        }
        for row in story.corrections.head(MOST_CORRECTIONS).iter_rows(named=True)
    ]
    if not rows:
        return "<p class='do'>No chain took anything back.</p>"
    return f"<div class='wide'>{table_html(rows, list(rows[0]))}</div>"


def _short(event_id: str) -> str:
    parts = event_id.split(":")
    name = parts[2] if len(parts) == 4 else event_id
    return f"{name[:10]}.." if len(name) > 12 else name


def _trust() -> str:
    """What the words mean, for somebody who reads them for the first time."""
    states = "".join(
        f"<tr><td>{swatch_html(*STATES[state])}</td><th class='name'>{NAMES[state]}</th>"
        f"<td>{html.escape(text)}</td></tr>"
        for state, text in STATE_WORDS.items()
    )
    factors = "".join(
        f"<tr><th class='name'>{name.replace('_', ' ')}</th><td>{html.escape(text)}</td></tr>"
        for name, text in FACTORS.items()
    )
    return (
        "<section><h2>What to trust, and why</h2><p>A window states what is known of a coin in one or five minutes. "
        "Each statement has a state, which says what may still change it, and a confidence between 0 and 1, which says "
        "how likely the final statement is the same.</p>"
        f"<table class='meanings'><tbody>{states}</tbody></table>"
        "<p>Confidence is the product of five factors. None counts twice; the smallest says what to wait for.</p>"
        f"<table><tbody>{factors}</tbody></table>"
        "<p>FINAL windows with 0.8 or more are attested: each is sealed with the hash of the one before, so that a "
        "later change would show. <code>tidelake stablecoins explain</code> with the id of a window or an alert says "
        "what stands behind it.</p></section>"
    )


def _section(name: str, note: str, body: str) -> str:
    told = f"<p>{html.escape(note)}</p>" if note else ""
    return f"<section><h2>{html.escape(name)}</h2>{told}{body}</section>"
