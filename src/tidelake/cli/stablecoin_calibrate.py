"""The command that holds scores against simulated truth: stablecoins calibrate."""

from pathlib import Path
from typing import Annotated

import typer

from tidelake.cli.options import DONE, DONE_WITH_GAPS, example, options
from tidelake.cli.output import Format


def register(stablecoins: typer.Typer) -> None:
    """Add the command to the group."""
    stablecoins.command(
        epilog=example(
            "stablecoins calibrate --seeds 1..6 --days 2 --html page.html",
            "--format json stablecoins calibrate --seeds 1..4 --score-seeds 11,12 --coins USDC > report.json",
        )
    )(calibrate)


def calibrate(
    ctx: typer.Context,
    seeds: Annotated[
        str, typer.Option(help="Of histories, such as 1..6 or 1,4,7; the first half is fitted to, the rest scored on.")
    ] = "1..6",
    score_seeds: Annotated[
        str, typer.Option(help="Scored on instead; then all of --seeds are fitted to. None may be in both.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, help="Length of each history.")] = 2,
    coins: Annotated[str, typer.Option(help="Symbols, with commas.")] = "USDC,USDT,DAI,BUSD",
    chains: Annotated[
        str, typer.Option(help="Of ethereum, arbitrum, solana; the first is the home.")
    ] = "ethereum,arbitrum",
    crisis: Annotated[
        str, typer.Option(help='What goes wrong in each, as of `sim coins`; "" for small faults alone.')
    ] = "seeded",
    html: Annotated[Path | None, typer.Option(help="File for a page with the reliability curves.")] = None,
) -> None:
    """How often windows said already what became final, by their score, before and after its exponents are fitted.

    All histories are simulated, for only these have a known truth: what is found holds for how often things go wrong
    there. Exponents are fitted on some seeds and scored on others; the product goes on with its prior ones. JSON is the
    whole report, CSV the bins of the curves.
    """
    from tidelake.sim.coins.history import CoinHistory
    from tidelake.sim.coins.observations import clean, setups, told
    from tidelake.sim.coins.plan import CoinPlan
    from tidelake.stablecoins.calibration.calibrate import AFTER, BEFORE, calibrate as held_against, check_disjoint
    from tidelake.stablecoins.calibration.samples import FACTORS, Samples, collect

    opts = options(ctx)
    first, last = _seeds("--seeds", seeds), _seeds("--score-seeds", score_seeds)
    fit_on, score_on = (first, last) if last else (first[: len(first) // 2], first[len(first) // 2 :])
    check_disjoint(fit_on, score_on)
    samples: dict[int, Samples] = {}
    for seed in (*fit_on, *score_on):
        plan = CoinPlan(seed=seed, days=days, coins=_names(coins), chains=_names(chains)).with_crisis(crisis)
        history = CoinHistory(plan)
        samples[seed] = collect(setups(history), told(history), clean(history), plan.end_us)
        opts.say(f"seed {seed}: {len(samples[seed]):,} rows, {samples[seed].finals:,} FINAL windows")
    where = f"{', '.join(_names(coins))} on {', '.join(_names(chains))}"
    what = f"Length of each history in days: {days}; {where}; crisis: {crisis or 'none'}."
    report = held_against(samples, fit_on, score_on, what)
    figures = [{"forecast": each.forecast, "rows": each.rows, **_figures(each.found)} for each in report.forecasts]
    curves = [
        {"forecast": each.forecast, "rows": each.rows, **{name: getattr(bin_, name) for name in bin_.__struct_fields__}}
        for each in report.forecasts
        if each.forecast in (BEFORE, AFTER)
        for bin_ in each.found.bins
    ]
    if opts.form is Format.json:
        opts.show(report)
    elif opts.form is Format.csv:
        opts.show(curves)
    else:
        opts.show(figures)
        print()  # noqa: T201
        opts.show([row for row in curves if row["count"]])
    if html is not None:
        from tidelake.stablecoins.calibration.page import write_calibration_page

        opts.say(f"{html}: {write_calibration_page(html, report):,} bytes")
    opts.say("fitted: " + ", ".join(f"{name} {getattr(report.fitted, name):.3g}" for name in FACTORS))
    wrong, unsettled = (sum(getattr(each, name) for each in report.seeds) for name in ("finals_wrong", "unsettled"))
    if wrong or unsettled:
        opts.say(f"{wrong:,} FINAL rows depart from the truth, {unsettled:,} windows have none")
    opts.say(report.note)
    raise typer.Exit(DONE_WITH_GAPS if wrong or unsettled else DONE)


def _figures(found: object) -> dict[str, float | None]:
    names = "samples base_rate mean_forecast brier skill reliability resolution uncertainty within_bins"
    told = {name: getattr(found, name) for name in names.split()}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in told.items()}


def _seeds(option: str, text: str) -> tuple[int, ...]:
    """Seeds of a text such as "1..3,7"."""
    found: list[int] = []
    try:
        for part in filter(None, (part.strip() for part in text.split(","))):
            first, dots, last = part.partition("..")
            found += range(int(first), int(last) + 1) if dots else [int(first)]
    except ValueError:
        raise typer.BadParameter(f"{option}: {text!r} are no seeds such as 1..6 or 1,4,7") from None
    if len(set(found)) < len(found):
        raise typer.BadParameter(f"{option}: {text!r} names a seed twice")
    return tuple(found)


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (name.strip() for name in text.split(","))))
