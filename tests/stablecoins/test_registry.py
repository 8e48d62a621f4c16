"""The registry of stablecoins: the facts as they were read, and every kind of wrong coin found."""

import datetime as dt
import json
from pathlib import Path

import msgspec
import pytest

from tests.recorded.independent_reader import DATA
from tidelake.chains.abi import Event, Parameter
from tidelake.chains.addresses import address_fault, solana_address_fault
from tidelake.errors import ConfigError
from tidelake.stablecoins.coin import Balance, Bound, ContractDeploy, IssuerEvent, Mover
from tidelake.stablecoins.registry import coins, read_coins, validate

EXAMPLE = Path(__file__).parents[2] / "docs" / "coins.toml"
ADDRESS = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
WRONG_CASE = "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
SOURCE = "owner/repository@" + 40 * "a" + ":path"
# Coins that give day by day; the others tell no date.
BUSD_DAYS = dt.date(2019, 9, 5), dt.date(2023, 2, 21)


@pytest.fixture(scope="module")
def registry():
    return {coin.symbol: coin for coin in read_coins()}


@pytest.fixture(autouse=True)
def without_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDELAKE_COINS", raising=False)


@pytest.fixture(scope="module")
def facts():
    file = DATA / "stablecoins" / "registry.json"
    if not file.is_file():
        pytest.skip("needs the facts in ../shared/data/stablecoins/registry.json")
    return {fact["symbol"]: fact for fact in json.loads(file.read_text())["stablecoins"]}


def as_sources(told):
    told = told if isinstance(told, list) else [told] if told else []
    return [f"{one['repo'].removeprefix('github:')}@{one['commit']}:{one['path']}" for one in told]


def as_list(told):
    return told if isinstance(told, list) else [told] if told else []


def test_shipped_coins_have_no_problem(registry):
    assert validate(registry.values()) == []
    assert len(registry) == 15
    assert sum(len(coin.deployments) for coin in registry.values()) == 104
    assert {"USDC", "USDT", "DAI", "BUSD"} <= registry.keys()


def test_coins_are_those_that_were_read(registry, facts):
    assert registry.keys() == facts.keys()
    for symbol, fact in facts.items():
        coin = registry[symbol]
        assert (coin.issuer, coin.peg_mechanism) == (fact["issuer"], fact["peg_mechanism"])
        assert coin.home == fact.get("home_chains")
        assert msgspec.structs.asdict(coin.ids) == {
            "coingecko": fact["coingecko_id"],
            "defillama": fact["defillama_stablecoin_id"],
            "defillama_symbol": fact["defillama_symbol"],
            "defillama_doublecounted": fact["defillama_doublecounted"],
            "coinmarketcap": fact["cmc_id"],
            "sources": tuple(as_sources(fact["ids_source"])),
        }
        assert set(filter(None, [fact.get("note")])) <= set(coin.notes)
        assert set(filter(None, [fact.get("also")])) <= set(coin.outside)
        assert list(coin.note_sources) == as_sources(fact.get("note_source"))


def test_dates_are_those_that_were_read(registry, facts):
    for symbol, fact in facts.items():
        coin = registry[symbol]
        for name in ("start", "end"):
            bound = getattr(coin, name)
            assert (bound.date.isoformat() if bound and bound.date else None) == fact[f"{name}_date"]
            if note := fact.get(f"{name}_note"):
                assert bound.what == note
        if block := fact.get("start_block"):
            assert (coin.start.chain, coin.start.block) == (block["chain"], block["block"])
            assert list(coin.start.sources) == as_sources(block["source"])
        told = [(one["says"], one.get("page") or one["issue"]) for one in fact.get("dates_source", [])]
        found = [one for bound in (coin.end, coin.start) if bound for one in bound.statements]
        assert [(one.says, one.url) for one in found] == told
        if fact["start_date"] is None:
            assert any("neither start nor end" in doubt for doubt in coin.doubts)


def test_rules_and_events_are_those_that_were_read(registry, facts):
    for symbol, fact in facts.items():
        rule, told = registry[symbol].supply, fact["mint_burn"]
        assert rule.says == told["rule"]
        assert rule.applies_to == told.get("applies_to")
        assert rule.zero_address_transfers == told.get("zero_address_transfers")
        assert list(rule.sources) == as_sources(told["source"]) + as_sources(told.get("note_source"))
        assert set(rule.notes) == {told[name] for name in ("cctp", "issue_is_authorisation", "note") if name in told}
        assert [
            (event.event.name, event.event.signature, event.event.topic0, event.event.parameters, [event.source])
            for event in rule.events
        ] == [
            (
                event["name"],
                event["signature"],
                event["topic0"],
                tuple(Parameter(one["name"], one["type"], one["indexed"]) for one in event["inputs"]),
                as_sources(event["source"]),
            )
            for event in told.get("events", [])
        ]
        contracts = [told["controller_factory"], *told["pegkeepers_in_adapter"]] if "controller_factory" in told else []
        assert list(registry[symbol].contracts.values()) == contracts


def test_deployments_are_those_that_were_read(registry, facts):
    for symbol, fact in facts.items():
        ours, theirs = registry[symbol].deployments, fact["deployments"]
        assert len(ours) == len(theirs)
        for deployment, told in zip(ours, theirs, strict=True):
            assert (deployment.chain, deployment.address, deployment.symbol) == (
                told["chain"], told["address"], told["symbol"],
            )  # fmt: skip
            assert (deployment.decimals, deployment.form) == (told["decimals"], told["form"])
            assert deployment.counted is told["counted_in_global_supply"]
            assert deployment.ccip_token_pool == told.get("ccip_token_pool")
            assert list(deployment.sources) == as_sources(told["source"])
            assert list(deployment.notes) == list(filter(None, [told.get("note")]))
            assert set(filter(None, [told.get("doubt")])) <= set(deployment.doubts)
            deploy = told.get("contract_deploy")
            assert (deployment.deploy.block if deployment.deploy else None) == (deploy["block"] if deploy else None)
            assert (deployment.deploy.date.isoformat() if deployment.deploy else None) == (deploy or {}).get("date")
            assert [balance_told(escrow) for escrow in deployment.escrows] == [
                escrow_fact(one) for one in as_list(told.get("escrow"))
            ]


def balance_told(balance):
    since = int(balance.since.timestamp()) if balance.since else None
    return balance.chain, balance.address, balance.what, [balance.source], since


def escrow_fact(told):
    return (
        told["chain"],
        told["address"],
        told["what"],
        as_sources(told["source"]),
        told.get("start_timestamp_defillama"),
    )


def test_balances_that_are_not_counted_are_those_that_were_read(registry, facts):
    for symbol, fact in facts.items():
        told = [
            (one["chain"], address, one["what"], as_sources(one["source"]), None)
            for one in fact.get("unreleased", [])
            for address in one.get("addresses") or [one["address"]]
        ]
        told += [escrow_fact(one) for one in as_list(fact["mint_burn"].get("escrow"))]
        assert [balance_told(balance) for balance in registry[symbol].not_counted] == told


def test_coin_is_there_from_its_first_to_its_last_day():
    first, last = BUSD_DAYS
    day = dt.timedelta(days=1)
    assert "BUSD" not in coins(first - day)
    assert "BUSD" in coins(first)
    assert "BUSD" in coins(last)
    assert "BUSD" not in coins(last + day)
    assert set(coins()) - set(coins(last + day)) == {"BUSD"}
    assert {"USDC", "USDT", "DAI"} <= set(coins(dt.date(2000, 1, 1)))


def on_ethereum(coin, **changes):
    """The coin with its first deployment changed."""
    first, *others = coin.deployments
    return msgspec.structs.replace(coin, deployments=(msgspec.structs.replace(first, **changes), *others))


def event_of(declaration, tells, by=None):
    return IssuerEvent(declaration, tells, SOURCE, by)


MINT = "event Mint(address indexed minter, address indexed to, uint256 amount)"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"symbol": "US:DC"}, "colon or spaces"),
        ({"symbol": ""}, "empty"),
        ({"deployments": ()}, "no deployment"),
        ({"doubts": ()}, "no day of its start"),
        ({"start": Bound(dt.date(2020, 1, 2), sources=(SOURCE,)), "end": Bound(dt.date(2020, 1, 1))}, "it ends on"),
        ({"start": Bound(dt.date(2020, 1, 1))}, "its start rests on"),
        ({"end": Bound(dt.date(2020, 1, 1))}, "its end rests on"),
        ({"start": Bound(block=1, sources=(SOURCE,))}, "both chain and block"),
        ({"contracts": {"pot": WRONG_CASE}}, "pot: 0x5aaeb"),
        ({"not_counted": (Balance("ethreum", ADDRESS, "treasury", SOURCE),)}, "treasury: no chain 'ethreum'"),
        ({"not_counted": (Balance("solana", ADDRESS, "treasury", SOURCE),)}, "expected base58"),
        ({"not_counted": (Balance("bnb", ADDRESS, "treasury", SOURCE),)}, "balances on bnb are not counted"),
        ({"not_counted": (Balance("ethereum", WRONG_CASE, "treasury", SOURCE),)}, "another checksum"),
    ],
)
def test_each_kind_of_wrong_coin_is_found(registry, changes, says):
    assert_found(msgspec.structs.replace(registry["USDC"], **changes), says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"events": (event_of("Mint(uint256", "mint"),)}, "is no declaration"),
        ({"events": (event_of("event Mint(address a, address b)", "mint"),)}, "exactly one uint256"),
        ({"events": (event_of("event Mint(uint256 a, uint256 b)", "mint"),)}, "exactly one uint256"),
        ({"events": (event_of(MINT, "mint", "amount"),)}, "no parameter 'amount' of type address"),
        ({"events": (event_of(MINT, "mint", "owner"),)}, "no parameter 'owner'"),
        ({"events": (event_of(MINT, "zero_transfer"),)}, "is no Transfer"),
        ({"events": (event_of(MINT, "mint"),)}, "has not both"),
        ({"movers": (Mover("ethereum", "0x12", "mover", SOURCE),)}, "mover: '0x12' is no address"),
        ({"movers_known_on": ("etherum",)}, "no chain 'etherum'"),
    ],
)
def test_each_kind_of_wrong_rule_is_found(registry, changes, says):
    usdc = registry["USDC"]
    assert_found(msgspec.structs.replace(usdc, supply=msgspec.structs.replace(usdc.supply, **changes)), says)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chain": "ethreum"}, "no chain 'ethreum'"),
        ({"address": WRONG_CASE}, "another checksum"),
        ({"address": "0x12"}, "is no address"),
        ({"decimals": -1}, "-1 decimals"),
        ({"decimals": 37}, "37 decimals"),
        ({"form": "lock_backed"}, "lock_backed and counted in the global supply, expected not counted"),
        ({"form": "binance_peg"}, "expected not counted"),
        ({"counted": False}, "native and not counted"),
        ({"counted": None}, "whether it counts is not known"),
        ({"changes": "none"}, "only for it"),
        ({"changes": "transfers"}, "no event of the coin tells by them"),
        ({"deploy": ContractDeploy(-1, dt.date(2020, 1, 1), (SOURCE,))}, "below 0"),
        ({"deploy": ContractDeploy(1, dt.date(2020, 1, 1))}, "no doubt says so"),
        ({"sources": ()}, "no source is named"),
        ({"ccip_token_pool": "0x12"}, "token pool of USDC on ethereum"),
        ({"escrows": (Balance("ethereum", "0x12", "bridge", SOURCE),)}, "escrow of USDC on ethereum"),
        ({"escrows": (Balance("ethereum", ADDRESS, "bridge", SOURCE, dt.datetime(2020, 1, 1)),)}, "no time zone"),
    ],
)
def test_each_kind_of_wrong_deployment_is_found(registry, changes, says):
    assert_found(on_ethereum(registry["USDC"], **changes), says)


def assert_found(wrong, says):
    assert [problem.text for problem in validate([wrong]) if says in problem.text]


def test_coin_or_address_told_twice_is_a_problem(registry):
    usdc, dai = registry["USDC"], registry["DAI"]
    assert [(one.of, one.text) for one in validate([usdc, dai, usdc])][:1] == [("USDC", "2 coins have this symbol")]
    taken = on_ethereum(dai, address=usdc.deployments[0].address)
    assert [(one.of, one.text) for one in validate([usdc, taken])] == [
        ("DAI", f"{usdc.deployments[0].address.lower()} on ethereum is told twice, first of USDC")
    ]
    elsewhere = on_ethereum(registry["LUSD"], chain="gnosis", address=usdc.deployments[0].address)
    assert validate([usdc, elsewhere]) == []


def test_coins_of_your_own_stand_beside_ours(tmp_path, registry, monkeypatch):
    assert coins() == registry
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text())
    assert coins(folder=tmp_path).keys() - registry.keys() == {"MYUSD"}
    monkeypatch.setenv("TIDELAKE_COINS", str(tmp_path))
    assert coins().keys() - registry.keys() == {"MYUSD"}


def test_coin_of_your_own_with_a_symbol_of_ours_is_refused(tmp_path):
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text().replace("MYUSD", "USDC"))
    with pytest.raises(ConfigError, match="USDC: 2 coins have this symbol"):
        coins(folder=tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("[[coin]]", "[[coin", "mine.toml"),
        (
            'form = "native"',
            'form = "wrapped"',
            r"'wrapped' - at `\$.coin\[0\].deployments\[0\].form`",
        ),
        ('issuer = "A maker of mine"\n', "", "issuer"),
        ("decimals = 18", "decimals = 18\ndecmals = 18", "decmals"),
        ("@60cfca169fed2b9769d5dd962b453095952e192b:", "/", "sources"),
        ("decimals = 18", "decimals = 1.8", "decimals"),
        ("counted = true ", "", "native and of unknown count"),
    ],
)
def test_file_that_is_not_of_the_form_is_named_with_the_place(tmp_path, before, after, says):
    assert before in EXAMPLE.read_text()
    (tmp_path / "mine.toml").write_text(EXAMPLE.read_text().replace(before, after))
    with pytest.raises(ConfigError, match=says):
        coins(folder=tmp_path)


def test_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is no folder: stablecoins of your own"):
        coins(folder=tmp_path / "missing")


def test_addresses_of_solana_are_32_octets():
    # Made apart from the product: 32 zero octets, and 2^256 - 1, in base58 by repeated division.
    number, letters = 2**256 - 1, ""
    while number:
        number, place = divmod(number, 58)
        letters = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[place] + letters
    assert solana_address_fault("1" * 32) is None
    assert solana_address_fault(letters) is None
    assert "31 octets" in str(solana_address_fault("1" * 31))
    assert "33 octets" in str(solana_address_fault("1" + letters))
    for wrong in ("", "0" * 32, "l" * 32, ADDRESS):
        assert "expected base58" in str(solana_address_fault(wrong))


def test_address_with_its_checksum_has_no_fault():
    assert address_fault(ADDRESS) is None  # the first example of EIP-55
    assert "another checksum" in str(address_fault(WRONG_CASE))


def test_topic_of_an_event_is_found_by_its_declaration(registry):
    assert isinstance(registry["USDC"].supply.events[0].event, Event)
    assert [event.amount for event in registry["USDT"].supply.events] == ["amount", "amount", "_balance", None]
