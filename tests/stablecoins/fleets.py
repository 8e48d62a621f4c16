"""Histories of several coins in one delivery: what is of chains and of all coins is told once, to all of them."""

import random

import msgspec

from tests.stablecoins import histories
from tests.stablecoins.histories import BEGIN, S
from tidelake.stablecoins.observation import Observation
from tidelake.stablecoins.setup import ChainSetup

COINS = ("USDC", "USDT", "DAI", "BUSD", "FRAX")


def setups(coins=COINS):
    """The coins; DAI is on one chain alone, and BUSD on one whose heads nobody tells."""
    found = {coin: histories.setup(coin) for coin in coins}
    ethereum = found["DAI"].chains[:1]
    bnb = ChainSetup(name="bnb", decimals=18, follows_heads=False)
    found["DAI"] = msgspec.structs.replace(found["DAI"], chains=ethereum)
    found["BUSD"] = msgspec.structs.replace(found["BUSD"], chains=(*ethereum, bnb))
    return found


def delivery(seed, minutes):
    """All faults of each coin's own history, with what is too wide, unknown, or cannot be taken."""
    rng = random.Random(seed)
    told = []
    for number, coin in enumerate(COINS):
        seen = histories.make(seed + number, minutes, coin).faulted[:-1]
        shared = ("head", "source") if number else ()
        told.append([one for one in seen if one.feature not in shared])
    at = [[(place / len(seen), one) for place, one in enumerate(seen)] for seen in told]
    out = [one for _, one in sorted((pair for seen in at for pair in seen), key=lambda pair: pair[0])]
    for _ in range(12):
        time = BEGIN + rng.randrange(minutes * 60) * S
        coin = rng.choice((*COINS, "XYZ"))
        odd = [
            Observation(
                "supply", time, time, coin, "bnb", "logs", f"bnb:b:t{time}:0", units=rng.choice((-1, 1)) * 10**27
            ),
            Observation("price", time, time, coin, "", "kraken", f"nan:{time}", float("nan")),
            Observation("price", time, time, coin, "nowhere", "kraken", f"n:{time}", 1.0),
            Observation("liquidity", time, time, coin, "ethereum", "defillama", "", 1.0),
            Observation("source", time, time, "", "bnb", "logs", value=rng.choice((0.0, 1.0))),
        ]
        for one in odd:
            out.insert(rng.randrange(len(out)), one)
    last = BEGIN + (minutes * 60 + 1200) * S
    return [*out, Observation("clock", last, last)]
