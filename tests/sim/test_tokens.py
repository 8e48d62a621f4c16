"""Tokens of both mint styles on a real node: they keep a ledger, refuse what is not there, and log as issuers do."""

import json
from contextlib import ExitStack

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.stablecoins.tokens import APPROVAL, BURN, DESTROYED, ISSUE, REDEEM, SIGNS, TRANSFER, USDC_MINT, word
from tidelake.cli.app import run
from tidelake.errors import ConfigError, SourceError
from tidelake.sim.tokens.play import STYLES, TokenPlay

HOLDER, OTHER = "0x" + "11" * 20, "0x" + "22" * 20


class Caller:
    """Calls in words of eth-abi, each mined in a block of its own."""

    def __init__(self, play, name):
        self.play, self.name = play, name
        self.sender = play.ask("eth_accounts")[0]

    def _data(self, signature, arguments):
        types = signature[signature.index("(") + 1 : -1].split(",") if arguments else []
        return "0x" + (keccak(signature.encode())[:4] + encode(types, arguments)).hex()

    def do(self, signature, *arguments, sender=None):
        """Whether it went well, and the topics and data of what it logged."""
        told = {"from": sender or self.sender, "to": self.play.addresses[self.name], "gas": hex(200_000)}
        sent = self.play.ask("eth_sendTransaction", told | {"data": self._data(signature, arguments)})
        self.play.ask("evm_mine")
        receipt = self.play.ask("eth_getTransactionReceipt", sent)
        return receipt["status"] == "0x1", [(tuple(log["topics"]), log["data"]) for log in receipt["logs"]]

    def tell(self, signature, *arguments):
        call = {"to": self.play.addresses[self.name], "data": self._data(signature, arguments)}
        return int(self.play.ask("eth_call", call, "latest"), 16)


def logged(*topics, data):
    return (topics[0], *("0x" + word(topic) for topic in topics[1:])), "0x" + "".join(map(word, data))


@pytest.fixture
def playing(start_anvil):
    """Plays of one seed, each on a node of its own."""
    with ExitStack() as stack:

        def begin():
            node = start_anvil("--chain-id", "1", "--no-mining").url
            found = stack.enter_context(TokenPlay(node, "ethereum", seed=3, reorg_one_in=6, deepest=4))
            found.place()
            return found

        yield begin


def test_tokens_keep_their_ledger_refuse_what_is_not_there_and_log_in_the_manner_of_their_issuer(playing):
    play = playing()
    usdc = Caller(play, "USDC")
    me = usdc.sender
    minted = [logged(USDC_MINT, me, me, data=(100,)), logged(TRANSFER, "0x", me, data=(100,))]
    assert usdc.do("mint(address,uint256)", me, 100) == (True, minted)
    assert usdc.do("transfer(address,uint256)", HOLDER, 30) == (True, [logged(TRANSFER, me, HOLDER, data=(30,))])
    assert usdc.do("transfer(address,uint256)", HOLDER, 71) == (False, [])
    assert usdc.do("approve(address,uint256)", me, 50) == (True, [logged(APPROVAL, me, me, data=(50,))])
    assert usdc.tell("allowance(address,address)", me, me) == 50
    assert usdc.do("transferFrom(address,address,uint256)", me, OTHER, 51) == (False, [])
    moved = [logged(TRANSFER, me, OTHER, data=(20,))]
    assert usdc.do("transferFrom(address,address,uint256)", me, OTHER, 20) == (True, moved)
    assert usdc.tell("allowance(address,address)", me, me) == 30
    burned = [logged(BURN, me, data=(10,)), logged(TRANSFER, me, "0x", data=(10,))]
    assert usdc.do("burn(uint256)", 10) == (True, burned)
    assert usdc.do("burn(uint256)", 41) == (False, [])
    assert usdc.do("issue(uint256)", 1) == (False, [])  # of the other manner
    assert usdc.do("mint(address,uint256)", me, 2**256 - 1) == (False, [])
    assert [usdc.tell("balanceOf(address)", who) for who in (me, HOLDER, OTHER)] == [40, 30, 20]
    assert (usdc.tell("totalSupply()"), usdc.tell("decimals()")) == (90, 6)

    usdt = Caller(play, "USDT")
    assert usdt.do("issue(uint256)", 500) == (True, [logged(ISSUE, data=(500,))])
    assert usdt.do("transfer(address,uint256)", OTHER, 200) == (True, [logged(TRANSFER, me, OTHER, data=(200,))])
    assert usdt.do("redeem(uint256)", 60) == (True, [logged(REDEEM, data=(60,))])
    assert usdt.do("redeem(uint256)", 241) == (False, [])
    assert usdt.do("destroyBlackFunds(address)", OTHER) == (True, [logged(DESTROYED, data=(OTHER, 200))])
    assert [usdt.tell("balanceOf(address)", who) for who in (me, OTHER)] == [240, 0]
    assert usdt.tell("totalSupply()") == play.supply("USDT") == 240


def test_play_of_a_seed_is_the_same_again_and_the_logs_that_stand_add_up_to_the_supply(playing):
    play, other = playing(), playing()
    steps = [play.step() for _ in range(40)]
    assert [other.step() for _ in range(40)] == steps
    assert {step.depth for step in steps} >= {1, 2, 3, 4}
    assert {True, False} == {step.again > 0 for step in steps if step.depth}
    for name in STYLES:
        asked = {"fromBlock": "0x0", "toBlock": "latest", "address": play.addresses[name]}
        logs = play.ask("eth_getLogs", asked)
        assert {log["topics"][0] for log in logs} >= set(SIGNS[name])
        units = [SIGNS[name].get(log["topics"][0], 0) * int(log["data"][-64:], 16) for log in logs]
        assert sum(units) == play.supply(name) == other.supply(name)


def test_command_places_the_tokens_plays_and_ends_after_so_many_steps(start_anvil, capsys):
    node = start_anvil("--chain-id", "1", "--no-mining").url
    assert run(["--format", "json", "sim", "tokens", node, "--every", "0", "--blocks", "8", "--seed", "3"]) == 0
    told = capsys.readouterr()
    with TokenPlay(node, "ethereum") as play:
        assert json.loads(told.out) == [{"coin": name, "address": at} for name, at in play.addresses.items()]
        assert int(play.ask("eth_blockNumber"), 16) == 8
        done = [line.split(":")[0] for line in told.err.splitlines() if line.startswith("block ")]
        sent = [play.ask("eth_getBlockByNumber", hex(at), False)["transactions"] for at in range(1, 9)]
    assert len(done) == sum(map(len, sent)) > 0


def test_node_of_another_chain_and_one_that_is_not_there_are_refused(start_anvil):
    wrong = "of chain 31337; start it with --chain-id 1 to play ethereum"
    with TokenPlay(start_anvil().url, "ethereum") as play, pytest.raises(ConfigError, match=wrong):
        play.place()
    silent = "does not answer eth_chainId"
    with TokenPlay("http://127.0.0.1:1", "ethereum") as play, pytest.raises(SourceError, match=silent):
        play.place()
    with pytest.raises(ConfigError, match="USDT not on"):
        TokenPlay("http://127.0.0.1:1", "sonic")
