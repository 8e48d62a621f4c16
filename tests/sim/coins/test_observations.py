"""Simulated histories as observations: the same facts, and a truth in which nothing is taken back."""

from collections import Counter
from itertools import chain

import pytest

from tidelake.sim.coins.events import Fact, Head, Retraction, SourceState
from tidelake.sim.coins.history import CoinHistory
from tidelake.sim.coins.observations import clean, setups, told
from tidelake.sim.coins.plan import CoinPlan
from tidelake.stablecoins import observation


@pytest.fixture(scope="module")
def history():
    crisis = "reorg:ethereum@8h=12,down:coingecko@9h+20m"
    return CoinHistory(CoinPlan(seed=7, days=1, coins=("USDC",), chains=("ethereum", "solana")).with_crisis(crisis))


def test_all_that_is_told_is_observed_in_its_order(history):
    words, seen = list(history.told()), list(chain.from_iterable(told(history)))
    assert [each.known_us for each in seen] == [word.known_us for word in words]
    kinds = {Head: "head", Retraction: "retract", SourceState: "source"}
    for word, each in zip(words, seen, strict=True):
        assert each.feature == (word.feature if isinstance(word, Fact) else kinds[type(word)])
        assert each.event_us == word.event_us
        if isinstance(word, Fact):
            assert not observation.refusal(each)
            assert (each.id, each.value, each.units) == (word.id, word.value, word.units)
            assert each.chain == ("" if word.feature == "sentiment" else word.chain)
        elif isinstance(word, SourceState):
            assert each.value == (1.0 if word.up else 0.0)
        elif isinstance(word, Retraction):
            assert isinstance(each.told, observation.Retraction)
            assert (each.told.ids, each.told.ids_in) == (word.ids_out, word.ids_in)
        else:
            assert isinstance(each.told, observation.Head)
            assert (each.told.tier2_us, each.told.tier3_block) == (word.tier2_us, word.tier3_block)


def test_truth_is_each_final_fact_once_and_heads_by_the_time_they_are_known(history):
    seen = list(chain.from_iterable(clean(history)))
    assert [each.known_us for each in seen] == sorted(each.known_us for each in seen)
    counts = Counter(each.feature for each in seen)
    assert counts["retract"] == counts["source"] == 0
    facts = {(each.id, each.chain): each.value for each in seen if each.feature != "head"}
    final = list(history.facts())
    assert len(facts) == len(final) == sum(counts.values()) - counts["head"]
    assert facts == {(f.id, "" if f.feature == "sentiment" else f.chain): f.value for f in final}


def test_setups_say_what_is_told_where(history):
    (usdc,) = setups(history).values()
    by_name = {each.name: each for each in usdc.chains}
    assert by_name["ethereum"].expects == ("circulating", "liquidity", "supply")
    assert by_name["solana"].expects == ("supply",)  # nobody tells liquidity there
    assert by_name["ethereum"].exposure == 5 * by_name["solana"].exposure
    assert (usdc.begin_us, by_name["solana"].grace_us) == (history.plan.start_us, 30_000_000)
