"""Mints and burns in both manners on a real node: logs add up to `totalSupply()`, also after a reorganisation.

The node's blocks, logs and state are its own; the tokens stand at the addresses that the facts tell.
"""

import json

from eth_hash.auto import keccak

from tests.chains.evm_code import (
    STAGE,
    moving,
    script,
    usdc_burn,
    usdc_mint,
    usdt_destroy,
    usdt_issue,
    usdt_redeem,
)
from tests.jobs.anvil_markets import Node
from tidelake.chains.logs import parse_logs
from tidelake.stablecoins.issuers import SupplyLogs, filters_of
from tidelake.stablecoins.registry import read_coins

COINS = {coin.symbol: coin for coin in read_coins() if coin.symbol in ("USDC", "USDT")}
ETHEREUM = {name: next(d for d in coin.deployments if d.chain == "ethereum") for name, coin in COINS.items()}
READER = SupplyLogs(COINS.values())
MINTER, HOLDER, OTHER = ("0x" + octet * 20 for octet in ("11", "22", "33"))
E6 = 10**6


def started(start_anvil):
    node = Node(start_anvil("--chain-id", "1", "--no-mining"))
    for deployment in ETHEREUM.values():
        node.ask("anvil_setCode", deployment.address, "0x" + STAGE.hex())
    return node


def changes(node, name):
    """What its logs tell, each once, in the order of the chain."""
    head = int(node.ask("eth_blockNumber"), 16)
    found = {}
    for asked in filters_of(COINS[name], ETHEREUM[name]):
        answer = json.dumps(node.ask("eth_getLogs", asked.parameters(0, head))).encode()
        found |= {log.key: log for log in parse_logs("ethereum", answer)}
    logs = sorted(found.values(), key=lambda log: (log.block_number, log.log_index))
    return [change for change in map(READER.change, logs) if change is not None]


def total_supply(node, name):
    call = {"to": ETHEREUM[name].address, "data": "0x" + keccak(b"totalSupply()")[:4].hex()}
    return int(node.ask("eth_call", call, "latest"), 16)


def test_each_unit_is_counted_once_in_the_manner_of_usdc_and_in_that_of_usdt(start_anvil):
    node = started(start_anvil)
    usdc, usdt = ETHEREUM["USDC"].address, ETHEREUM["USDT"].address
    node.send(script(*usdc_mint(MINTER, HOLDER, 900 * E6), moving(HOLDER, OTHER, 5 * E6)), usdc)
    node.send(script(*usdt_issue(700 * E6)), usdt)
    node.mine(up_to=1)
    node.send(script(moving(OTHER, HOLDER, E6), *usdc_burn(OTHER, 250 * E6 + 1)), usdc)
    node.send(script(*usdt_redeem(40 * E6), moving(HOLDER, OTHER, 9 * E6)), usdt)
    node.mine(up_to=2)
    node.send(script(*usdc_mint(MINTER, OTHER, 7)), usdc)
    node.send(script(*usdt_destroy(OTHER, 3 * E6)), usdt)
    node.mine(up_to=3)

    told = {name: [(c.kind, c.units, c.event, c.by, c.block_number) for c in changes(node, name)] for name in COINS}
    assert told == {
        "USDC": [
            ("mint", 900 * E6, "Mint", MINTER, 1),
            ("burn", 250 * E6 + 1, "Burn", OTHER, 2),
            ("mint", 7, "Mint", MINTER, 3),
        ],
        "USDT": [
            ("mint", 700 * E6, "Issue", None, 1),
            ("burn", 40 * E6, "Redeem", None, 2),
            ("burn", 3 * E6, "DestroyedBlackFunds", OTHER, 3),
        ],
    }
    for name in COINS:
        assert sum(change.change for change in changes(node, name)) == total_supply(node, name) > 0


def test_a_reorganisation_takes_back_what_its_blocks_held_and_the_same_transaction_has_another_id(start_anvil):
    node = started(start_anvil)
    usdc, usdt = ETHEREUM["USDC"].address, ETHEREUM["USDT"].address
    node.send(script(*usdc_mint(MINTER, HOLDER, 100 * E6)), usdc)
    node.send(script(*usdt_issue(100 * E6)), usdt)
    node.mine(up_to=1)
    node.mine(up_to=2)
    again = node.send(script(*usdc_mint(MINTER, HOLDER, 30 * E6)), usdc)
    lost = node.send(script(*usdt_redeem(60 * E6)), usdt)
    node.mine(up_to=3)
    node.mine(up_to=5)
    before = {name: changes(node, name) for name in COINS}
    assert total_supply(node, "USDT") == 40 * E6
    raw = node.ask("eth_getRawTransactionByHash", again)

    node.ask("anvil_reorg", 3, [[raw, 1]])  # blocks 3 to 5; it stood in 3, and stands in 4 now

    after = {name: changes(node, name) for name in COINS}
    assert after["USDC"][0] == before["USDC"][0]
    assert after["USDT"] == before["USDT"][:1]
    assert before["USDT"][1].tx_hash == lost
    (was,), (stands,) = before["USDC"][1:], after["USDC"][1:]
    assert (was.tx_hash, was.units, was.block_number) == (again, 30 * E6, 3)
    assert (stands.tx_hash, stands.units, stands.block_number) == (again, 30 * E6, 4)
    assert was.block_hash != stands.block_hash
    for name in COINS:
        assert sum(change.change for change in after[name]) == total_supply(node, name)
    assert (total_supply(node, "USDC"), total_supply(node, "USDT")) == (130 * E6, 100 * E6)
