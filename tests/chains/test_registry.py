"""The chains as facts: whole, consistent, and each with the file in which it was read."""

import datetime as dt
import json
import re

import pytest

from tests.recorded.independent_reader import DATA
from tidelake.chains.addresses import checksummed
from tidelake.chains.registry import CHAINS, chain
from tidelake.chains.spec import Tag
from tidelake.errors import NotInLake

FACTS = DATA / "chains" / "chains.json"


def told():
    if not FACTS.is_file():
        pytest.skip("needs the facts in ../shared/data/chains/chains.json")
    return {fact["chain"]: fact for fact in json.loads(FACTS.read_text())["chains"]}


def sources(node):
    found = [*node.sources]
    found += [source for policy in node.finality for source in policy.sources]
    found += [time.source for time in node.block_times]
    found += [node.schedule.source] if node.schedule else []
    return [*found, *(node.rollup.sources if node.rollup else ())]


@pytest.mark.parametrize("name", CHAINS)
def test_chain_is_whole(name):
    found = chain(name)
    assert found.name == name
    assert found.multicall3.address == checksummed(found.multicall3.address)
    assert found.finality[0].since_block == 0
    starts = [policy.since_block for policy in found.finality]
    assert starts == sorted(set(starts))
    for policy in found.finality:
        assert policy.sources or policy.doubt
    for address in (*found.rollup.contracts.values(), *found.rollup.system.values()) if found.rollup else ():
        assert re.fullmatch("0x[0-9a-fA-F]{40}", address)
    if found.rollup:
        assert found.rollup.parent in CHAINS
    assert found.sources
    for source in sources(found):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", source.repo)
        assert re.fullmatch("[0-9a-f]{40}", source.commit)
        assert source.path


def test_names_and_ids_are_unique():
    assert len({found.chain_id for found in CHAINS.values()}) == len({found.defillama for found in CHAINS.values()})
    assert len({found.chain_id for found in CHAINS.values()}) == len(CHAINS)


def test_facts_are_those_that_were_read():
    facts = told()
    assert facts.keys() == CHAINS.keys()
    for name, fact in facts.items():
        found = CHAINS[name]
        assert (found.chain_id, found.native, found.defillama) == (
            fact["chain_id"], fact["native"]["symbol"], fact["defillama_key"]
        )  # fmt: skip
        assert found.block_ms == fact["block_time_ms"]
        assert (found.multicall3.address, found.multicall3.since_block) == (
            fact["multicall3"]["address"], fact["multicall3"]["block"]
        )  # fmt: skip
        assert found.wrapped_native == fact.get("wrapped_native", {}).get("address")
        read = re.findall('"path": "([^"]+)"', json.dumps(fact))
        assert set(read) <= {source.path for source in sources(found)}


def test_unknown_chain_is_told_with_those_that_exist():
    with pytest.raises(NotInLake, match="no chain 'ethreum'") as caught:
        chain("ethreum")
    assert "ethereum" in caught.value.available


def test_finality_follows_the_tags_of_the_policy_of_the_head():
    ethereum, avalanche = chain("ethereum"), chain("avalanche")
    before, after = ethereum.finality_at(15_537_393), ethereum.finality_at(15_537_394)
    assert before.level(5, {"latest": 100}) == "soft"
    tagged: dict[Tag, int] = {"latest": 100, "safe": 80, "finalized": 60}
    assert [after.level(number, tagged) for number in (60, 61, 80, 81, 100)] == [
        "final",
        "safe",
        "safe",
        "soft",
        "soft",
    ]
    assert after.level(60, {"latest": 100}) == "soft"
    assert avalanche.finality_at(5).level(100, {"latest": 100}) == "final"
    assert avalanche.finality_at(5).level(101, {"latest": 100}) == "soft"


def test_block_time_is_that_of_the_day():
    bnb = chain("bnb")
    days = [dt.datetime(*day, tzinfo=dt.UTC) for day in ((2024, 1, 1), (2025, 5, 1), (2025, 7, 1), (2026, 2, 1))]
    assert [bnb.block_ms_at(day) for day in days] == [None, 1_500, 750, 450]
    assert chain("ethereum").block_ms_at(days[0]) == 12_000


def test_schedule_gives_the_time_of_a_block():
    schedule = chain("base").schedule
    assert schedule is not None
    assert (schedule.time_of(0), schedule.time_of(3)) == (1_686_789_347, 1_686_789_353)
