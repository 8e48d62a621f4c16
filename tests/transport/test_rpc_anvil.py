"""The pool against a real node: its batches, its errors in its own words, and its logs."""

import asyncio
import itertools

import pytest

from tests.anvil_node import CHAIN_ID
from tidelake.errors import NotServed, SourceError
from tidelake.transport.http import Patience
from tidelake.transport.rates import Pace
from tidelake.transport.rpc import RpcPool
from tidelake.transport.rpc_calls import RpcCall
from tidelake.transport.rpc_logs import get_logs
from tidelake.transport.rpc_providers import Provider

QUICK = Patience(attempts=4, total=30.0, timeout=10.0, first_wait=0.001, longest_wait=0.01)
# PUSH1 42 PUSH1 0 PUSH1 0 LOG1 STOP, returned by its constructor: each call emits one log with topic 42.
EMITTER = "0x" + "67" + "602a60006000a100" + "60005260086018f3"
TOPIC = "0x" + f"{42:064x}"


def provider(anvil, name="anvil"):
    return Provider(name, anvil.url, requests=Pace(1e6, 1.0))


def pool_of(*providers, chain_id=CHAIN_ID):
    return RpcPool("anvil", providers, chain_id=chain_id, patience=QUICK, seed=1)


async def one(pool, method, *params):
    (answer,) = await pool.ask([RpcCall(method, params)])
    return answer.value()


async def emit(pool, blocks):
    """Deploy the emitter in block 1 and call it in each of the blocks after it."""
    (sender, *_) = await one(pool, "eth_accounts")
    created = await one(pool, "eth_sendTransaction", {"from": sender, "data": EMITTER})
    await one(pool, "evm_mine")
    contract = (await one(pool, "eth_getTransactionReceipt", created))["contractAddress"]
    for _ in range(blocks):
        await one(pool, "eth_sendTransaction", {"from": sender, "to": contract, "gas": hex(100_000)})
        await one(pool, "evm_mine")
    return contract


def test_batches_logs_and_finality_of_a_real_node(start_anvil):
    anvil = start_anvil("--no-mining")  # mining by itself it answers for a transaction before that stands in a block

    async def run():
        async with pool_of(provider(anvil)) as pool:
            contract = await emit(pool, 30)
            blocks = await pool.ask([RpcCall("eth_getBlockByNumber", [hex(at), False]) for at in range(40)])
            pieces = await get_logs(pool, [contract], [TOPIC], 0, 31, width=4)
            final = await one(pool, "eth_getBlockByNumber", "finalized", False)
            return blocks, pieces, final, contract, pool.usage["anvil"]

    blocks, pieces, final, contract, usage = asyncio.run(run())
    headers = [answer.value() for answer in blocks]
    assert [int(header["number"], 16) for header in headers[:32]] == list(range(32))
    assert headers[32:] == [None] * 8
    assert all(after["parentHash"] == before["hash"] for before, after in itertools.pairwise(headers[:32]))
    logs = [log for piece in pieces for log in piece.answer.value(list)]
    assert [int(log["blockNumber"], 16) for log in logs] == list(range(2, 32))
    assert {(log["address"].lower(), log["topics"][0]) for log in logs} == {(contract.lower(), TOPIC)}
    assert int(final["number"], 16) == 31 - 4
    assert usage.calls["eth_chainId"] == 1


def test_the_words_of_a_real_node_are_understood(start_anvil):
    anvil = start_anvil()

    async def run():
        async with pool_of(provider(anvil)) as pool:
            reverted, missing = await pool.ask(
                [RpcCall("eth_call", [{"data": "0x60006000fd"}, "0x0"]), RpcCall("eth_nonsense")]
            )
            with pytest.raises(NotServed) as failed:
                await pool.ask([RpcCall("eth_call", [{"data": "0x"}, "0x64"])])
            return reverted, missing, failed.value

    reverted, missing, failed = asyncio.run(run())
    assert (reverted.error.code, reverted.error.message) == (3, "execution reverted")
    assert missing.error.code == -32601
    assert failed.what == "block"


def test_two_real_nodes_agree_until_one_chain_differs(start_anvil):
    alpha, beta = start_anvil(), start_anvil()
    balance = RpcCall("eth_getBalance", ["0x" + "01" * 20, "0x0"])

    async def run():
        async with pool_of(provider(alpha, "alpha"), provider(beta, "beta")) as pool:
            (answer,) = await pool.ask([balance], agree=2)
            async with pool_of(provider(beta, "beta")) as other:
                await one(other, "anvil_setBalance", "0x" + "01" * 20, "0x7")
                await one(other, "evm_mine")
            with pytest.raises(SourceError, match="alpha and beta do not agree"):
                await pool.ask([RpcCall("eth_getBalance", ["0x" + "01" * 20, "latest"])], agree=2)
            return answer

    answer = asyncio.run(run())
    assert (answer.value(), answer.provider, answer.agreed) == ("0x0", "alpha", ("beta",))


def test_a_real_node_of_another_chain_is_refused(start_anvil):
    anvil = start_anvil("--chain-id", "137")

    async def run():
        async with pool_of(provider(anvil), chain_id=1) as pool:
            await one(pool, "eth_blockNumber")

    with pytest.raises(SourceError, match="anvil: it is of chain 137, not of 1"):
        asyncio.run(run())
