"""The registry of lending markets: the facts as they were read, and every kind of wrong market found."""

import datetime as dt
import json
import re
from pathlib import Path

import msgspec
import pytest

from tests.recorded.independent_reader import DATA
from tidelake.chains.addresses import checksummed
from tidelake.errors import ConfigError
from tidelake.lending.market import FAMILIES, MAIN_CONTRACT, DatedContract, Deployment, Evidence, Token
from tidelake.lending.market_files import read_assets, read_markets
from tidelake.lending.registry import markets, validate

EXAMPLE = Path(__file__).parents[2] / "docs" / "markets.toml"
WRONG_CASE = "0x87870bca3F3fD6335C3F4ce8392D69350B4fA4E2"
ADDRESS = "0x87870Bca3F3fD6335C3F4ce8392D69350B4fA4E2"


@pytest.fixture(scope="module")
def registry():
    return {market.id: market for market in read_markets()}


@pytest.fixture(autouse=True)
def without_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDELAKE_MARKETS", raising=False)


@pytest.fixture(scope="module")
def facts():
    file = DATA / "lending" / "markets.json"
    if not file.is_file():
        pytest.skip("needs the facts in ../shared/data/lending/markets.json")
    return {fact["id"]: fact for fact in json.loads(file.read_text())}


def test_shipped_markets_have_no_problem(registry):
    assert validate(registry.values()) == []
    assert len(registry) == 60
    assert sum(market.tier == "core" for market in registry.values()) == 43
    assert len({market.chain for market in registry.values()}) == 17
    assert {market.family for market in registry.values()} == set(FAMILIES) == set(MAIN_CONTRACT)


def test_contracts_and_blocks_are_those_that_were_read(registry, facts):
    assert registry.keys() == facts.keys()
    for name, fact in facts.items():
        market = registry[name]
        assert market.contracts == fact["contracts"]
        for field in ("protocol", "version", "family", "chain", "tier", "status"):
            assert getattr(market, field) == fact[field]
        assert market.deployment.block == fact["deployment"]["block"]
        told = (fact.get("base_asset") or {}).get("address")
        assert (market.base.address if market.base else None) == told
        assert [(entry.address, entry.registered_by.isoformat(), entry.commit) for entry in market.history] == [
            (entry["address"], entry["registered_by"], entry["commit"])
            for entry in fact.get("protocol_data_provider_history", [])
        ]


def test_days_and_sources_are_those_that_were_read(registry, facts):
    for name, fact in facts.items():
        market, told = registry[name], fact["deployment"]
        time = market.deployment.time
        day = time.date() if time else market.deployment.date
        assert (day.isoformat() if day else None) == told["date"]
        if told.get("timestamp"):
            assert time == dt.datetime.fromisoformat(told["timestamp"])
        assert [entry.basis for entry in market.evidence] == [entry["basis"] for entry in fact["status_evidence"]]
        for ours, theirs in (
            (market.sources, fact["source"]),
            (market.deployment.sources, [source for source in told["source"] if "repo" in source]),
            ([entry.source for entry in market.evidence], [entry["source"] for entry in fact["status_evidence"]]),
        ):
            assert set(ours) == {
                f"{one['repo'].removeprefix('github:')}@{one['commit']}:{one['path']}" for one in theirs
            }
        if any("repo" not in source for source in told["source"]) or told["block"] is None:
            assert market.doubts


def test_known_assets_are_those_that_were_read(registry):
    file = DATA / "lending" / "assets.json"
    if not file.is_file():
        pytest.skip("needs the facts in ../shared/data/lending/assets.json")
    told = json.loads(file.read_text())
    known = read_assets()
    for name in registry:
        fact = told.get(name, {})
        expected = {
            ("reserve", one["symbol"], one["decimals"], one["underlying"], one["a_token"], one["variable_debt_token"])
            for one in fact.get("assets", [])
        }
        expected |= {
            ("ctoken", None, None, one["underlying"] or None, one["address"], None) for one in fact.get("ctokens", [])
        }
        found = {
            (one.role, one.symbol, one.decimals, one.asset, one.supply_token, one.debt_token)
            for one in known
            if one.market == name and one.role in ("reserve", "ctoken")
        }
        assert found == expected
        collateral = [*fact.get("collateral", []), *fact.get("collateral_on_chain_2026_08_22", [])]
        assert {one["address"] for one in collateral} == {
            one.asset for one in known if (one.market, one.role) == (name, "collateral")
        }


def test_known_assets_belong_to_markets_and_carry_checksums(registry):
    known = read_assets()
    assert len(known) == 476
    for asset in known:
        assert asset.market in registry
        assert registry[asset.market].assets_read
        for address in filter(None, (asset.asset, asset.supply_token, asset.debt_token)):
            assert address == checksummed(address)


def test_replaced_contract_is_found_by_its_day(registry):
    market = registry["aave_v3_arbitrum"]
    days = {
        dt.date(2022, 1, 1): "0x69FA688f1Dc47d4B5d8029D5a35FB7a548310654",
        dt.date(2023, 5, 14): "0x69FA688f1Dc47d4B5d8029D5a35FB7a548310654",
        dt.date(2023, 5, 15): "0x6b4E260b765B3cA1514e618C0215A6B7839fF93e",
        dt.date(2023, 8, 31): "0x6b4E260b765B3cA1514e618C0215A6B7839fF93e",
        dt.date(2026, 1, 1): market.contracts["protocol_data_provider"],
    }
    assert {day: market.contract_at("protocol_data_provider", day) for day in days} == days
    assert market.contract_at("pool", dt.date(2020, 1, 1)) == market.contracts["pool"]
    with pytest.raises(KeyError):
        market.contract_at("comet", dt.date(2024, 1, 1))


SOURCE = "owner/repository@" + 40 * "a" + ":path"
DAY = dt.date(2024, 1, 1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "Aave V3"}, "small letters"),
        ({"chain": "ethreum"}, "no chain 'ethreum'"),
        ({"family": "aave_v9"}, "no family 'aave_v9'"),
        ({"variant": "radiant"}, "no variant 'radiant' of aave_v3"),
        ({"contracts": {"comet": ADDRESS}, "history": ()}, "needs the contract 'pool'"),
        ({"contracts": {"pool": WRONG_CASE}, "history": ()}, "another checksum"),
        ({"contracts": {"pool": "0x12"}, "history": ()}, "is no address"),
        ({"base": Token("WETH", ADDRESS, 18)}, "has a base asset"),
        ({"family": "compound_v3", "contracts": {"comet": ADDRESS}, "history": ()}, "has a base asset"),
        ({"deployment": Deployment(sources=(), block=None)}, "no deployment block"),
        ({"deployment": Deployment(sources=(), block=-1)}, "below 0"),
        ({"deployment": Deployment(sources=(), block=1, time=dt.datetime(2024, 1, 1))}, "no time zone"),
        ({"status": "deprecated", "evidence": ()}, "rests on"),
        ({"sources": ()}, "no source"),
        ({"history": (DatedContract("pool", WRONG_CASE, DAY, "a"),)}, "pool of 2024-01-01: 0x87870bca"),
        ({"history": (DatedContract("pool", "0x" + 40 * "1", DAY, "a"),)}, "the last pool"),
        (
            {"history": tuple(DatedContract("pool", ADDRESS, DAY - dt.timedelta(days), "a") for days in (0, 1))},
            "not in the order",
        ),
    ],
)
def test_each_kind_of_wrong_market_is_found(registry, changes, says):
    wrong = msgspec.structs.replace(registry["aave_v3_ethereum"], **changes)
    assert [problem.text for problem in validate([wrong]) if says in problem.text]


def test_named_doubt_and_evidence_make_a_market_whole(registry):
    unsure = msgspec.structs.replace(
        registry["aave_v3_ethereum"],
        deployment=Deployment(sources=()),
        doubts=("no block was read",),
        status="deprecated",
        evidence=(Evidence("told so", SOURCE),),
    )
    assert validate([unsure]) == []


def test_two_markets_of_one_id_are_a_problem(registry):
    twice = [registry["aave_v3_ethereum"], registry["aave_v3_base"], registry["aave_v3_ethereum"]]
    assert [(problem.of, problem.text) for problem in validate(twice)] == [
        ("aave_v3_ethereum", "2 markets have this id")
    ]


def test_folder_of_the_setting_is_read(tmp_path, registry, monkeypatch):
    assert markets() == registry
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text())
    monkeypatch.setenv("TIDELAKE_MARKETS", str(tmp_path))
    assert markets().keys() - registry.keys() == {"aave_v3_base_mine"}


def test_markets_of_your_own_stand_beside_ours(tmp_path, registry):
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text())
    (tmp_path / "assets.csv").write_text(
        "market,role,symbol,decimals,asset,supply_token,supply_symbol,supply_decimals,debt_token,since_block\n"
        f"aave_v3_base_mine,reserve,WETH,18,{ADDRESS},,,,,\n"
    )
    found = markets(tmp_path)
    assert found.keys() - registry.keys() == {"aave_v3_base_mine"}
    assert found["aave_v3_base_mine"].deployment.block is None
    assert [asset.symbol for asset in read_assets(tmp_path) if asset.market == "aave_v3_base_mine"] == ["WETH"]


def test_market_of_your_own_with_an_id_of_ours_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text().replace("aave_v3_base_mine", "aave_v3_base"))
    with pytest.raises(ConfigError, match="aave_v3_base: 2 markets have this id"):
        markets(tmp_path)


def test_market_of_your_own_with_the_contract_of_one_of_ours_is_refused(tmp_path, registry):
    pool = registry["aave_v3_base"].contracts["pool"]
    mine = re.sub(r'pool = "\w+"', f'pool = "{pool}"', EXAMPLE.read_text())
    (tmp_path / "mine.toml").write_text(mine)
    with pytest.raises(ConfigError, match=f"aave_v3_base_mine: pool: {pool} is that of aave_v3_base"):
        markets(tmp_path)
    (tmp_path / "mine.toml").write_text(mine.replace('chain = "base"', 'chain = "optimism"'))
    assert "aave_v3_base_mine" in markets(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("[[market]]", "[[market", "mine.toml"),
        ('tier = "own"', 'tier = "mine"', r"Invalid enum value 'mine' - at `\$.market\[0\].tier`"),
        ('title = "A fork of mine on Base"\n', "", "title"),
        ('protocol = "aave"', 'protocol = "aave"\nprotcol = "aave"', "protcol"),
        ("@f61c97628307d387ca93a78578970fe6db885029:", "/", "sources"),
        ('pool = "0x', 'pool = "0X', "is no address"),
        ("sources = []", "block = 1.5\nsources = []", "block"),
    ],
)
def test_file_that_is_not_of_the_form_is_named_with_the_place(tmp_path, before, after, says):
    assert before in EXAMPLE.read_text()
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text().replace(before, after))
    with pytest.raises(ConfigError, match=says):
        markets(tmp_path)


def test_assets_that_are_not_of_the_form_are_named_with_their_line(tmp_path):
    (tmp_path / "assets.csv").write_text("market,role\naave_v3_base,reserve\n")
    with pytest.raises(ConfigError, match=r"assets.csv, line 2"):
        read_assets(tmp_path)


def test_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is no folder"):
        read_markets(tmp_path / "missing")
