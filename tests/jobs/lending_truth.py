"""The panel that is true of simulated chains: of the generator's state and drawn prices, through no decoder of ours."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal, localcontext

from tests.jobs.price_server import text
from tidelake.chains.addresses import NATIVE, ZERO_ADDRESS
from tidelake.chains.registry import CHAINS
from tidelake.lending.registry import markets
from tidelake.sim.chains.draws import Draws
from tidelake.sim.chains.truth import Truth

DAY = dt.timedelta(days=1)
REGISTRY = markets()
PRICES = Draws("prices of tests")
HELD = ("supplied", "collateral", "borrowed", "available")
ONE_ULP = Decimal("1e-18")


def days_of(start, count):
    return [start + DAY * n for n in range(count)]


def end_s(day):
    return int(dt.datetime.combine(day + DAY, dt.time(), dt.UTC).timestamp())


def price_of(chain: str, asset: str, day: dt.date, restated: bool = False) -> Decimal | None:
    """Dollars for one whole token on a day; None of one token in twelve, which nobody prices."""
    if PRICES.below(12, "unpriced", chain, asset) == 0:
        return None
    about = 10 ** PRICES.between(0, 8, "about", chain, asset)
    drawn = PRICES.between(500_000, 1_500_000, "price", chain, asset, day.isoformat(), restated)
    return Decimal(about * drawn).scaleb(-10)


class DrawnPrices(dict[str, Callable[[int], str]]):
    """What the double of DefiLlama answers, by coin: the drawn price of any token."""

    def __init__(self, restated=False):
        self.restated = restated
        self.names = {chain.defillama: name for name, chain in CHAINS.items()}

    def token(self, coin: str) -> tuple[str, str]:
        name, _, address = coin.partition(":")
        return self.names[name], NATIVE if address == ZERO_ADDRESS else address

    def __contains__(self, coin):
        return price_of(*self.token(coin), dt.date(2000, 1, 1)) is not None

    def __getitem__(self, coin):
        return lambda moment: text(str(self.at(coin, moment)))(moment)

    def at(self, coin, moment):
        day = dt.datetime.fromtimestamp(moment - 1, dt.UTC).date()
        return price_of(*self.token(coin), day, self.restated)


def true_rows(chains, ids, days, restated=False):
    """What must stand in the panel of each market and day: (market, day) -> columns, amounts exactly."""
    truths = {name: Truth(chain) for name, chain in chains.items()}
    held = {(name, day): truths[REGISTRY[name].chain].positions_on(name, day) for name in ids for day in days}
    oracles = _told_by_oracles(truths, held)
    found = {}
    with localcontext(prec=120):
        for (name, day), positions in held.items():
            market = REGISTRY[name]

            def price(asset, chain=market.chain, day=day):
                drawn = price_of(chain, asset, day, restated)
                return oracles.get((chain, asset, day)) if drawn is None else drawn

            found[name, day] = _row(truths[market.chain], market, day, positions, price)
    return found


def _told_by_oracles(truths, held):
    """What the oracles of Aave's markets say of what these hold, which counts where nobody else tells a price."""
    found = {}
    for (name, day), positions in held.items():
        market = REGISTRY[name]
        if market.family in ("aave_v2", "aave_v3") and "oracle" in market.contracts:
            truth = truths[market.chain]
            for one in positions or ():
                told = truth.price(one.asset, truth.day_block(day)[0])
                found[market.chain, one.asset, day] = Decimal(told).scaleb(-8)
    return found


def _row(truth, market, day, held, price):
    if held is None:
        return {"status": "NOT_DEPLOYED", "liquidations_status": "NOT_DEPLOYED"}
    number, digest = truth.day_block(day)
    prices = {}

    def worth(asset, raw, decimals):
        if raw == 0:
            return Decimal(0)
        if asset not in prices:
            prices[asset] = price(asset)
        told = prices[asset]
        return None if told is None else told * Decimal(raw).scaleb(-decimals)

    sides = defaultdict(list)
    for one in held:
        kind = "supplied" if one.role == "loan" else "collateral"
        sides[kind].append(worth(one.asset, one.supplied, one.decimals))
        sides["borrowed"].append(worth(one.asset, one.borrowed, one.decimals))
        if one.role == "loan":
            lies = worth(one.asset, one.available, one.decimals)  # also where nobody owns it
            sides["available"].append(lies if one.supplied or one.borrowed else lies or Decimal(0))
    if market.family == "morpho_blue":
        for asset, decimals, amount in _morpho_collateral(truth, market.id, number):
            sides["collateral"].append(worth(asset, amount, decimals))
    unpriced = any(value is None for values in sides.values() for value in values)
    row = {f"{side}_usd": _sum(sides[side]) for side in HELD}
    row |= {"status": "PARTLY_PRICED" if unpriced else "OK", "block_number": number, "block_hash": digest}
    row["terms"] = sum(map(len, sides.values()))
    return row | _liquidated(truth, market, day, held, worth)


def _sum(values):
    """None where something is held and none of it has a price."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if any(known) or len(known) == len(values) else None


def _morpho_collateral(truth, market, number):
    tokens = {one.id: one.collateral for one in truth.chain.markets[market]._markets}
    for part, amount in truth.collateral(market, number).items():
        yield tokens[part].address, tokens[part].decimals, amount


def _liquidated(truth, market, day, held, worth):
    told = truth.liquidations_on(market.id, day)
    behind = {one.part: one for one in held if one.shares is not None}
    sums = defaultdict(list)
    events = set()
    for one in told:
        what = one.what
        debt = what.debt_asset and truth.chain.tokens.of(what.debt_asset) if what.debt_asset != NATIVE else None
        places = 18 if debt is None else debt.decimals
        if what.debt_repaid is not None:
            sums["liquidations"].append(worth(what.debt_asset, what.debt_repaid, places))
        if what.bad_debt is not None:
            sums["bad_debt"].append(worth(what.debt_asset, what.bad_debt, places))
        if what.collateral_seized is not None:
            seized, asset = what.collateral_seized, what.collateral_asset
            if what.collateral_token in behind:
                c_token = behind[what.collateral_token]
                seized = seized * c_token.supplied // c_token.shares
            places = 18 if asset == NATIVE else truth.chain.tokens.of(asset).decimals
            sums["seized"].append(worth(asset, seized, places))
        if what.debt_repaid is not None or what.collateral_seized is not None:
            account = market.family == "compound_v3"
            events.add((one.tx_hash, what.borrower) if account else (one.tx_hash, one.log_index))
    always = market.family == "morpho_blue"
    return {
        "liquidations_status": "OK",
        "liquidations": len(events),
        "liquidations_usd": _sum(sums["liquidations"]),
        "seized_usd": _sum(sums["seized"]),
        "bad_debt_usd": _sum(sums["bad_debt"]) if always or sums["bad_debt"] else None,
        "liquidation_terms": sum(map(len, sums.values())),
    }


def assert_panel_is_true(rows, expected):
    """Each row of a panel: counts and names equal, sums exact up to the rounding of each term to 18 places."""
    told = {(row["market"], row["date"]): row for row in rows.iter_rows(named=True)}
    assert told.keys() == expected.keys()
    for key, true in expected.items():
        row = told[key]
        terms = true.get("terms", 0) + true.get("liquidation_terms", 0)
        for name, value in true.items():
            if name.endswith("_usd"):
                found = row[f"{name}_exact"]
                close = found == value if None in (found, value) else abs(found - value) <= (1 + terms) * ONE_ULP
                assert close, f"{key} {name}: {found} and not {value}"
            elif not name.endswith("terms"):
                assert row[name] == value, f"{key} {name}: {row[name]} and not {value}"
    return len(expected)
