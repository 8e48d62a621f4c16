"""Coins watched on a real node and at doubles of providers; what must come is what the node and the doubles say."""

import asyncio
import time
from dataclasses import replace

import msgspec

import tidelake
from tests.chains.evm_code import STAGE, emitting, script
from tests.jobs.chain_relay import mine, relay, rpc
from tests.jobs.coin_server import serving_coins
from tests.jobs.test_follow_coins import HOLDER, coin_at
from tests.jobs.test_follow_heads import CHAIN, FAST, provider
from tests.stablecoins.tokens import NOBODY
from tidelake.errors import FormatDrift
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.watch_coins import CoinWatch
from tidelake.providers.registry import COIN_SOURCES
from tidelake.raw.verify import verify
from tidelake.sim.tokens.assembler import deploying
from tidelake.stablecoins.records import WindowRow
from tidelake.transport.rates import Pace

S = 1_000_000


async def until(watching, enough):
    """The report of a watch that is interrupted once there is enough."""
    task = asyncio.create_task(watching.run())
    async with asyncio.timeout(240):
        while not task.done() and not enough():
            await asyncio.sleep(0.02)
    task.cancel()
    return await task


def told(record, start_s):
    """Mints, price and first source of a record, where it is the minute of the chain that begins then."""
    if not isinstance(record, WindowRow) or record.minted is None:
        return None
    if (record.chain, record.window_s, record.window_start_us) != ("anvil", 60, start_s * S):
        return None
    return float(record.minted), record.price, record.sources.partition(",")[0]


def test_watch_brings_mints_of_a_node_and_prices_of_providers_to_the_lake_with_a_line_for_each_source(
    start_anvil, tmp_path
):
    minute = int(time.time()) // 300 * 300
    node = start_anvil("--no-mining", "--timestamp", str(minute - 600)).url
    sender = rpc(node, "eth_accounts")[0]

    def send(transaction):
        return rpc(node, "eth_sendTransaction", {"from": sender, "gas": hex(3_000_000), **transaction})

    def mine_at(second):
        rpc(node, "evm_setNextBlockTimestamp", second)
        rpc(node, "anvil_mine", "0x1")

    created = send({"data": "0x" + deploying(STAGE).hex()})
    mine_at(minute - 300)
    token = rpc(node, "eth_getTransactionReceipt", created)["contractAddress"].lower()
    minted = (
        "Transfer(address,address,uint256)",
        [("address", NOBODY), ("address", HOLDER)],
        [("uint256", 12_500_000)],
    )
    send({"to": token, "data": "0x" + script(emitting(*minted)).hex()})
    mine_at(minute + 10)  # in the first window of the watch
    for at in range(8):
        mine_at(minute + 310 + at)  # that window is over by the chain's clock
    lake, heard = tidelake.open(tmp_path / "lake"), []
    with relay(node) as second, serving_coins() as server:
        server.dead.add("pools")
        server.now_s = lambda: minute + 20
        watching = CoinWatch(
            lake.store,
            [coin_at(token)],
            [(CHAIN, (provider("alpha", node), provider("beta", second.url)))],
            polls=PollSettings(
                urls=dict.fromkeys(COIN_SOURCES, server.url), paces=dict.fromkeys(COIN_SOURCES, Pace(1e6, 1.0))
            ),
            jsonl=tmp_path / "lines",
            every_s=FAST,
            clock=lambda: minute * 10**9,
            listen=heard.extend,
        )

        def enough():
            now = {line.source: line for line in watching.sources()}
            followed = [now.get(f"anvil:{node}") for node in ("alpha", "beta")]
            return (
                all(line and line.state == "FOLLOWS" and line.detail.startswith("block 10, ") for line in followed)
                and now["coingecko"].state == "up"
                and now["defillama-pools"].state != "up"
                and any(told(record, minute) == (12.5, 1.0, "coingecko") for record in heard)
            )

        report = asyncio.run(until(watching, enough))
    lines = {line.source: line for line in report.sources}
    assert (lines["anvil:alpha"].state, lines["anvil:beta"].state) == ("FOLLOWS", "FOLLOWS")
    assert lines["anvil:alpha"].detail.startswith("block 10, ")
    assert lines["coingecko"].state == "up"
    assert lines["defillama-pools"].state != "up"
    assert not report.failed
    rows = lake.scan("stablecoin_windows").collect().filter(coin="USDC", chain="anvil", window_s=60).to_dicts()
    first = [row for row in rows if row["event_time"].timestamp() == minute]
    assert {row["window_state"] for row in first} == {"PROVISIONAL"}
    last = max(first, key=lambda row: row["event_version"])
    assert (float(last["minted"]), last["price"], last["sources"].split(",")[0]) == (12.5, 1.0, "coingecko")
    assert report.counts["WindowRow"] > len(rows)
    assert list((tmp_path / "lines" / report.run / "unified" / "USDC").iterdir())
    assert verify(lake.store).problems == []


class Breaking(CoinWatch):
    """One of its chains ends by a fault, as where a node tells what is none of its blocks."""

    async def _follow(self, one):
        if one.chain.name == "broken":
            one.told = self._fault
        await super()._follow(one)

    async def _fault(self):
        for text in ("block 5 says that its parent is block 9",):
            raise FormatDrift(text)
        yield []


def test_chain_that_cannot_be_followed_stops_no_other_and_an_interrupt_ends_in_a_report(start_anvil, tmp_path):
    node = start_anvil().url
    mine(node, 5)
    coin = coin_at("0x" + "33" * 20)
    other = msgspec.structs.replace(coin.deployments[0], chain="broken", address="0x" + "44" * 20)
    coin = msgspec.structs.replace(coin, deployments=(*coin.deployments, other))
    chains = [(CHAIN, [provider("alpha", node)]), (replace(CHAIN, name="broken"), [provider("beta", node)])]
    watching = Breaking(tidelake.open(tmp_path / "lake").store, [coin], chains, every_s=FAST)

    def enough():
        now = {line.source: line.state for line in watching.sources()}
        return now.get("anvil:alpha") == "FOLLOWS" and now.get("broken") == "GONE" and watching._state.taken > 2

    report = asyncio.run(until(watching, enough))
    states = {line.source: (line.state, line.detail) for line in report.sources}
    assert states["anvil:alpha"][0] == "FOLLOWS"
    assert states["broken"] == ("GONE", "block 5 says that its parent is block 9")
    assert report.counts["IncidentRow"] == 1  # its source is down
    assert report.observations > 2
