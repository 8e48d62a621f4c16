"""Commands that read what replays wrote: stablecoins windows, alerts, verify, explain, page."""

from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, FAILED, example, options
from tidelake.cli.output import Format
from tidelake.cli.times import point

Run = Annotated[str, typer.Option(help="Only what this replay told; by default all of them, side by side.")]
AsOf = Annotated[str, typer.Option(help="Only what was known at this time, by the clock of the history.")]
WINDOW_COLUMNS = (
    "window_id window_end window_state event_version finality_tier temporal_confidence price price_quote price_low "
    "price_high liquidity_depth net_supply_change circulating_supply sources"
)
ALERT_COLUMNS = "alert_id event_version known_at severity state confidence measure threshold corroborated reason"


def register(stablecoins: typer.Typer) -> None:
    """Add the commands to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins windows USDC --chain all --window 300 --start 2023-03-10",
            "stablecoins windows USDC --chain ethereum --as-of 2023-03-11T04:00Z",
            "stablecoins windows USDC --versions --format json",
        )
    )(windows)
    stablecoins.command(epilog=example("stablecoins alerts", "stablecoins alerts USDC --last"))(alerts)
    stablecoins.command(epilog=example("stablecoins verify", "stablecoins verify USDC --format json"))(verify)
    stablecoins.command(
        epilog=example(
            "stablecoins explain USDC:ethereum:60:1678492800",
            "stablecoins explain USDC:all:depeg:1678492800",
            "stablecoins explain USDC:all:60:1678492800 --trace price --history historical/",
        )
    )(explain)
    stablecoins.command(epilog=example("stablecoins page usdc.html --coins USDC --as-of 2023-03-11T04:00Z"))(page)


def windows(
    ctx: typer.Context,
    coin: Annotated[str, typer.Argument(help="Canonical symbol, such as USDC.")],
    chain: Annotated[str, typer.Option(help="A chain, or all: over all of them.  [default: both]")] = "",
    window: Annotated[int, typer.Option(help="Length in seconds, 60 or 300; 0: both.")] = 0,
    start: Annotated[str, typer.Option(help="First start of a window.")] = "",
    end: Annotated[str, typer.Option(help="Starts before this time.")] = "",
    run: Run = "",
    as_of: AsOf = "",
    versions: Annotated[bool, typer.Option("--versions", help="Each version, not only the one that stands.")] = False,
) -> None:
    """Show what the windows of a coin say, and how sure it is.

    A window is PROVISIONAL while something in it may still change, then FINAL. All columns in JSON and CSV; what they
    mean is in docs/semantics.md.
    """
    opts = options(ctx)
    found = opts.open_lake().stablecoins.windows(
        coin,
        chain=chain or None,
        window_s=window or None,
        start=point(start),
        end=point(end),
        run=run,
        as_of=point(as_of),
        versions=versions,
    )
    several = found["run"].n_unique() > 1
    opts.show(found, columns=_columns(WINDOW_COLUMNS, several) if opts.form is Format.table else ())
    final = (found["window_state"] == "FINAL").sum()
    opts.say(f"{found.height:,} {'versions' if versions else 'windows'}, {final:,} FINAL")


def alerts(
    ctx: typer.Context,
    coin: Annotated[str, typer.Argument(help="Canonical symbol; all by default.")] = "",
    chain: Annotated[str, typer.Option(help="A chain, or all: of the coin itself.  [default: both]")] = "",
    last: Annotated[bool, typer.Option("--last", help="Only the last step of each alert.")] = False,
    run: Run = "",
    as_of: AsOf = "",
) -> None:
    """Show the life of each alert: a row for each step, with its reason.

    It fires as PROVISIONAL, and becomes PROBABLE, CONFIRMED or WITHDRAWN. All columns in JSON and CSV.
    """
    opts = options(ctx)
    door = opts.open_lake().stablecoins
    found = door.alerts(coin, chain=chain or None, run=run, as_of=point(as_of), last=last)
    several = found["run"].n_unique() > 1
    opts.show(found, columns=_columns(ALERT_COLUMNS, several) if opts.form is Format.table else ())
    count = found.select("run", "alert_id").n_unique()
    opts.say(f"{count:,} alert{'' if count == 1 else 's'}, {found.height:,} steps")


def verify(
    ctx: typer.Context,
    coin: Annotated[str, typer.Argument(help="Canonical symbol; all by default.")] = "",
    chain: Annotated[str, typer.Option(help="A chain, or all: over all of them.  [default: both]")] = "",
    run: Run = "",
) -> None:
    """Hold attestations against the windows that they vouch for.

    Follows each chain of hashes, and hashes each FINAL window again: names each entry that does not follow from the one
    before, each row that says something else now, and what is attested without a row or should be and is not. Exits
    with 1 where there is one. While a run still writes, its last windows may not be attested yet.
    """
    from tidelake.stablecoins.attested import Finding

    opts = options(ctx)
    checked = opts.open_lake().stablecoins.verify(coin, chain=chain or None, run=run)
    opts.show(checked.findings, Finding)
    found = len(checked.findings)
    opts.say(f"{checked.chains:,} chains of hashes, {checked.entries:,} entries: {found:,} problem{'s' * (found != 1)}")
    raise typer.Exit(FAILED if found else DONE)


def explain(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="WINDOW|ALERT", help="Its id, as windows and alerts show it.")],
    trace: Annotated[
        str,
        typer.Option(
            metavar="VALUE",
            help="Instead, the facts that this value was made of, such as price or net_supply_change; alert: its own.",
        ),
    ] = "",
    history: Annotated[
        Path | None,
        typer.Option(
            help="With --trace: the folder that was replayed; a watch needs none.", exists=True, file_okay=False
        ),
    ] = None,
    run: Run = "",
    as_of: AsOf = "",
) -> None:
    """Say why a window says what it says, or why an alert is in its state.

    Its values with the time and source of each, the factors of its score, its versions and what changed each, facts
    that a chain took back, incidents, its attestation. With --trace the facts that one value was made of, each with its
    id, its source, when it was known and where it stands: file and line, or SEGMENT:LINE for `tidelake explain`.
    """
    from tidelake.stablecoins.explaining import Line

    opts = options(ctx)
    door = opts.open_lake().stablecoins
    if trace or history:
        from tidelake.stablecoins.replay.folders import open_history

        played = open_history(history) if history else None
        opts.show(door.trace(name, trace, history=played, run=run, as_of=point(as_of)), Line)
    else:
        opts.show(door.explain(name, run=run, as_of=point(as_of)), Line)


def page(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="HTML file to write; it loads nothing.")],
    coins: Annotated[str, typer.Option(help="Only these, such as USDC,DAI.")] = "",
    run: Annotated[str, typer.Option(help="The replay; may be left out where there is one.")] = "",
    as_of: AsOf = "",
) -> None:
    """Write a page about a replay: price and confidence, windows changing state, alerts, what was taken back."""
    from tidelake.stablecoins.page.page import write_replay_page

    opts = options(ctx)
    names = [name.strip() for name in coins.split(",") if name.strip()]
    size = write_replay_page(out, opts.open_lake().store, coins=names, run=run, as_of=point(as_of))
    opts.say(f"{out}: {size:,} bytes")


def _columns(names: str, with_run: bool) -> list[str]:
    return ["run", *names.split()] if with_run else names.split()
