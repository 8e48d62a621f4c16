"""What FINAL windows must say, from the set of facts alone: slow, obvious, and written without the product's code."""

from decimal import Decimal, localcontext
from math import exp

INTERVAL = {"price": 60, "volume": 60, "liquidity": 180, "circulating": 180, "volatility": 300, "sentiment": 300}
S = 1_000_000


def last(facts, feature, chain, end, source=None):
    """The last fact of a feature before `end`, of equal times that of the last source by name."""
    mine = [f for f in facts if f.feature == feature and f.chain == chain and f.time < end]
    mine = [f for f in mine if source is None or f.source == source]
    return max(mine, key=lambda f: (f.time, f.source), default=None)


def price(facts, start, end):
    inside, told = {}, {}
    for fact in facts:
        if fact.feature == "price" and start <= fact.time < end:
            told.setdefault(fact.source, []).append(fact.value)
            if fact.source not in inside or fact.time > inside[fact.source].time:
                inside[fact.source] = fact
    if not inside:
        before = last(facts, "price", "", end)
        return {
            "price": before and before.value,
            "price_low": None,
            "price_high": None,
            "price_sources": 0,
            "price_agreeing": 0,
            "off_peg_sources": 0,
            "price_age_us": before and end - before.time,
        }, before
    votes = sorted(inside.values(), key=lambda f: f.value)
    if len(votes) % 2:
        chosen = votes[len(votes) // 2]
    else:
        low, high = votes[len(votes) // 2 - 1], votes[len(votes) // 2]
        chosen = low if abs(low.value - 1) > abs(high.value - 1) else high
    every = [value for values in told.values() for value in values]
    return {
        "price": chosen.value,
        "price_low": min(every),
        "price_high": max(every),
        "price_sources": len(votes),
        "price_agreeing": sum(abs(v.value - chosen.value) <= 0.0025 for v in votes),
        "off_peg_sources": sum(max(v) - 1 >= 0.005 or 1 - min(v) >= 0.005 for v in told.values()),
        "price_age_us": end - chosen.time,
    }, chosen


def supply(facts, chains, start, end):
    """Minted, burned and the number of changes on these chains, in tokens."""
    minted = burned = Decimal(0)
    found = [f for f in facts if f.feature == "supply" and f.chain in chains and start <= f.time < end]
    with localcontext() as exact:
        exact.prec = 60
        for fact in found:
            amount = Decimal(fact.units) / Decimal(10) ** chains[fact.chain]
            minted, burned = minted + max(amount, Decimal(0)), burned + max(-amount, Decimal(0))
        return {"minted": minted, "burned": burned, "net_supply_change": minted - burned}, len(found)


def final_window(facts, chain, start, end, decimals, counted):
    """The row of a FINAL window, without what says how it became known; `chain` "" is all chains."""
    row, priced = price(facts, start, end)
    used = {"price": priced} if priced else {}
    chains = {chain: decimals[chain]} if chain else decimals
    gauge: dict[str, tuple[float, int] | None] = {}
    for feature, name in (("liquidity", "liquidity_depth"), ("circulating", "circulating_supply")):
        wanted = [c for c in chains if chain or feature != "circulating" or c in counted]
        parts = [last(facts, feature, c, end) for c in wanted]
        if feature == "liquidity" and None in parts:
            parts = []
        parts = [part for part in parts if part]
        gauge[feature] = (sum(p.value for p in parts), min(p.time for p in parts)) if parts else None
        row[name] = sum(p.value for p in parts) if parts else None
    for feature, name in (("volume", "volume"), ("volatility", "market_volatility"), ("sentiment", "sentiment_score")):
        found = last(facts, feature, "", end)
        gauge[feature] = found and (found.value, found.time)
        row[name] = found and found.value
    for feature, found in gauge.items():
        row[f"{feature}_age_us"] = found and end - found[1]
    ages = {feature: end - found[1] for feature, found in gauge.items() if found}
    ages |= {"price": end - used["price"].time} if used else {}
    expected = ("price", "volatility", "sentiment", "liquidity")
    row["completeness"] = (1 + sum(name in ages for name in expected)) / 5  # supply is known of every FINAL window
    overdue = max([0.0, *(age / (INTERVAL[name] * S) - 1 for name, age in ages.items())])
    row["staleness"] = exp(-overdue / 5)
    row["temporal_confidence"] = row["completeness"] * row["staleness"]
    apart = {c: d for c, d in chains.items() if c not in counted} if not chain else {}
    told, _ = supply(facts, {c: d for c, d in chains.items() if c not in apart}, start, end)
    row |= told
    row["uncounted_supply_change"] = supply(facts, apart, start, end)[0]["net_supply_change"] if apart else None
    row["supply_events"] = supply(facts, chains, start, end)[1]
    blocks = [f.block for f in facts if f.feature == "supply" and f.chain == chain and start <= f.time < end]
    row["block_number"] = max(blocks, default=None)
    return row
