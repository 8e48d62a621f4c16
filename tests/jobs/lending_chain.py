"""A small chain with two markets of Compound v3, for nodes over real HTTP; its truth follows from block numbers."""

import datetime as dt
import hashlib
from functools import partial

from eth_abi.abi import decode, encode

from tests.lending.contracts import address, selector
from tests.transport.rpc_node import Refused
from tidelake.chains.registry import chain
from tidelake.jobs.collect_lending import CollectSettings
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.compound_v3 import ABSORB_DEBT, FAMILY
from tidelake.lending.market import Deployment, Market, Token
from tidelake.lending.recorded import DayNote, positions_lane, read_sections, recorded_answers, replay
from tidelake.raw.ledger import Ledger
from tidelake.raw.segments import iter_frames
from tidelake.transport.http import Patience

CHAIN = chain("gnosis")
MULTICALL = CHAIN.multicall3.address.lower()
START = dt.date(2024, 1, 1)
SECONDS = 600  # between blocks
AT_START = 40_000_000  # the first block of the first day
START_S = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp())
COMETS = {"one": address(0xC1), "late": address(0xC2)}
BASE = address(0xBA5E)
QUICK = Patience(attempts=4, total=5.0, timeout=2.0, first_wait=0.001, longest_wait=0.01)
SOURCE = "owner/repository@1234567:file"


def time_of(number):
    return START_S + (number - AT_START) * SECONDS


def last_block(day):
    return AT_START + (day + 1) * 86_400 // SECONDS - 1


def digest(*parts):
    return "0x" + hashlib.sha256(repr(parts).encode()).hexdigest()


def market(name, deployed):
    return Market(
        id=name,
        protocol="Compound",
        version="v3",
        family="compound_v3",
        title=name,
        chain=CHAIN.name,
        tier="own",
        status="active",
        contracts={"comet": COMETS[name]},
        deployment=Deployment(sources=(SOURCE,), block=deployed),
        sources=(SOURCE,),
        base=Token("USDC", BASE, 6),
    )


class LendingChain:
    """The chain as one node sees it.

    Attributes:
        head: Newest block.
        branch: From this block on it is another chain; None on the right one.
        stateless: It answers as if nothing stood in blocks up to here.
        without: Contracts that stand nowhere.
        down: Days of whose blocks it tells no state.
        logs: Blocks with one liquidation of market "one" each.
    """

    def __init__(self, days=6):
        self.head = last_block(days)
        self.branch = None
        self.stateless = -1
        self.without = set()
        self.down = set()
        self.logs = {last_block(0) + 5, last_block(2)}
        self.deployed = {COMETS["one"]: 0, COMETS["late"]: last_block(1) + 3}

    def hash_of(self, number):
        return digest("block", number, self.branch is not None and number >= self.branch)

    def header(self, number):
        zero = "0x" + "00" * 32
        return {
            "number": hex(number),
            "hash": self.hash_of(number),
            "parentHash": self.hash_of(number - 1),
            "timestamp": hex(time_of(number)),
            "transactionsRoot": zero,
            "receiptsRoot": zero,
            "logsBloom": "0x" + "00" * 256,
            "transactions": [],
            "sha3Uncles": zero,
            "stateRoot": zero,
            "miner": address(0),
            "difficulty": "0x0",
            "gasLimit": "0x0",
            "gasUsed": "0x0",
            "extraData": "0x",
            "mixHash": zero,
            "nonce": "0x" + "00" * 8,
        }

    def answers(self):
        return {
            "eth_chainId": lambda params: hex(CHAIN.chain_id),
            "eth_blockNumber": lambda params: hex(self.head),
            "eth_getBlockByNumber": self._block,
            "eth_getCode": self._code,
            "eth_call": self._call,
            "eth_getLogs": self._logs,
        }

    def _block(self, params):
        number = self.head if params[0] in ("latest", "finalized") else int(params[0], 16)
        return self.header(number) if number <= self.head else None

    def _state(self, block):
        number = int(block, 16)
        if number > self.head:
            raise Refused(-32000, "header not found")
        if (time_of(number) - START_S) // 86_400 in self.down:
            raise Refused(-32000, "something is wrong with this day")
        return number

    def stands(self, to, number):
        if number <= self.stateless or to in self.without:
            return False
        return to in (MULTICALL, BASE) or (to in self.deployed and number >= self.deployed[to])

    def _code(self, params):
        return "0x60" if self.stands(params[0].lower(), self._state(params[1])) else "0x"

    def _call(self, params):
        number, to = self._state(params[1]), params[0]["to"].lower()
        done, data = self.run(to, bytes.fromhex(params[0]["data"][2:]), number)
        if not done:
            raise Refused(3, "execution reverted", "0x")
        return "0x" + data.hex()

    def run(self, to, data, number):
        if not self.stands(to, number):
            return True, b""
        if to == MULTICALL:
            (calls,) = decode(["(address,bool,bytes)[]"], data[4:])
            found = [self.run(one.lower(), inner, number) for one, _, inner in calls]
            return True, encode(["(bool,bytes)[]"], [found])
        owner = "0x" + data[-20:].hex() if data[:4] == selector("balanceOf(address)") else to
        supplied, borrowed = self.truth(owner, number)
        says = {
            selector("baseToken()"): (["address"], [BASE]),
            selector("totalSupply()"): (["uint256"], [supplied]),
            selector("totalBorrow()"): (["uint256"], [borrowed]),
            selector("numAssets()"): (["uint8"], [0]),
            selector("decimals()"): (["uint8"], [6]),
            selector("symbol()"): (["string"], ["USDC"]),
            selector("balanceOf(address)"): (["uint256"], [supplied - borrowed]),
        }
        if data[:4] not in says:
            return False, b""
        return True, encode(*says[data[:4]])

    @staticmethod
    def truth(to, number):
        supplied = 10**24 + 7 * number + int(to, 16)
        return supplied, supplied // 3 + number % 11

    def _logs(self, params):
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        asked = {one.lower() for one in params[0]["address"]}
        return [self._log(number) for number in sorted(self.logs) if first <= number <= last and COMETS["one"] in asked]

    def _log(self, number):
        return {
            "address": COMETS["one"],
            "topics": [ABSORB_DEBT.topic0, "0x" + "00" * 31 + "01", "0x" + "00" * 31 + "02"],
            "data": "0x" + encode(["uint256", "uint256"], [number, 5]).hex(),
            "blockNumber": hex(number),
            "blockHash": self.hash_of(number),
            "transactionHash": digest("transaction", number),
            "transactionIndex": "0x0",
            "logIndex": "0x0",
            "removed": False,
        }


MARKETS = (market("one", 100), market("late", None))


def settings(*nodes, **options):
    found = [one.provider(f"node{i}") for i, one in enumerate(nodes)]
    return CollectSettings(providers=lambda name: found, patience=QUICK, **options)


def sections(store, name):
    """The standing section of each grid time of a market."""
    found = {}
    for entry in Ledger(store).entries(positions_lane(name)):
        for section in read_sections(iter_frames(store, entry.segment), DayNote):
            found[section.note.grid] = section
    return found


def states(store, name):
    return {grid: section.note.state for grid, section in sections(store, name).items()}


def assert_no_wrong_day(store, right):
    """Each recorded day is of the last block of the right chain, and says what stands there."""
    count = 0
    for found in MARKETS:
        comet = COMETS[found.id]
        for grid, section in sections(store, found.id).items():
            number = last_block((dt.date.fromisoformat(grid) - START).days)
            note = section.note
            if note.state not in ("OK", "NOT_DEPLOYED"):
                continue
            assert (note.block, note.hash, note.time) == (number, right.hash_of(number), time_of(number))
            assert (note.state == "OK") == right.stands(comet, number)
            count += 1
            if note.state == "OK":
                answers = recorded_answers(section, MULTICALL)
                (position,) = replay(partial(FAMILY.positions, contracts_of(found), ()), answers)
                supplied, borrowed = right.truth(comet, number)
                assert (position.supplied, position.borrowed) == (supplied, borrowed)
                assert (position.available, position.decimals) == (supplied - borrowed, 6)
    return count
