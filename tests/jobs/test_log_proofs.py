"""Logs of one provider proven by the headers of all blocks: by blooms, by receipts where these do not decide."""

import datetime as dt
import json
from contextlib import ExitStack

import pytest

from tests.chains import generated
from tests.jobs.lending_chain import (
    AT_START,
    CHAIN,
    COMETS,
    MARKETS,
    START,
    LendingChain,
    last_block,
    settings,
    time_of,
)
from tests.transport.rpc_node import Refused, node
from tidelake.chains.headers import hash_of_header
from tidelake.chains.receipts import root_of_receipts
from tidelake.jobs.collect_lending import collect_lending
from tidelake.jobs.lending_lanes import logs_held
from tidelake.jobs.lending_status import lending_status
from tidelake.lending.families.compound_v3 import ABSORB_DEBT
from tidelake.raw.store import Store

FIRST = AT_START - 2  # from here on hashes are those of headers
DAYS = 3
LATER = dt.datetime(2024, 1, 8, tzinfo=dt.UTC)
BUSY = {last_block(0) + 5, last_block(2)}
LOOKALIKE = {AT_START + 7, last_block(1)}  # the address and the topic are in their bloom, and in no log together


class ProvableChain(LendingChain):
    """Its blocks from `FIRST` on hold together; market "one" is liquidated in the blocks of `BUSY`.

    Attributes:
        told: Blocks whose liquidation `eth_getLogs` tells.
        unknown: Blocks whose hash holds a field that nobody knows.
        receipts: Changes receipts before they are told: number, receipts -> receipts.
    """

    def __init__(self):
        super().__init__(DAYS)
        self.told = set(BUSY)
        self.unknown = set()
        self.receipts = lambda number, found: found
        self.asked = []
        self.blocks = {}

    def hash_of(self, number):
        return self.made(number)[0]["hash"] if number >= FIRST else super().hash_of(number)

    def header(self, number):
        if number < FIRST:
            return super().header(number)
        return self.made(number)[0]

    def made(self, number):
        for block in range(max(self.blocks, default=FIRST - 1) + 1, number + 1):
            parent = self.blocks[block - 1][0]["hash"] if block > FIRST else super().hash_of(FIRST - 1)
            self.blocks[block] = self.make(block, parent)
        return self.blocks[number]

    def make(self, number, parent):
        other, mine = generated.digest("other event"), ABSORB_DEBT.topic0
        logs: list[tuple[str, tuple[str, ...]]] = [(COMETS["late"], (other,))]
        if number in BUSY:
            logs.append((COMETS["one"], (mine, "0x" + "00" * 31 + "01", "0x" + "00" * 31 + "02")))
        if number in LOOKALIKE:
            logs += [(COMETS["one"], (other,)), (COMETS["late"], (other, mine))]
        tx = generated.digest("transaction", number)
        amounts = "0x" + "00" * 31 + "07" + "00" * 31 + "05"
        told = [
            {
                "address": at, "topics": list(topics), "data": amounts,
                "blockNumber": hex(number), "transactionHash": tx, "transactionIndex": "0x0",
                "blockHash": generated.ZERO, "logIndex": hex(index), "removed": False,
            }
            for index, (at, topics) in enumerate(logs)
        ]  # fmt: skip
        receipt = {**generated.receipt_json(0, told), "blockNumber": hex(number), "transactionHash": tx}
        root = root_of_receipts(generated.receipts([receipt]))
        bloom = generated.bloom_text(told)
        header = generated.header_json(number, parent, root=root, bloom=bloom, transactions=[tx])
        header["timestamp"] = hex(time_of(number))
        header["hash"] = hash_of_header(header)
        if number in self.unknown:
            header |= {"aFieldOfAFork": "0x1", "hash": generated.digest("hashed with that field")}
        for one in (receipt, *told):
            one["blockHash"] = header["hash"]
        return header, [receipt]

    def answers(self):
        return super().answers() | {"eth_getBlockReceipts": self._receipts}

    def _receipts(self, params):
        number = int(params[0], 16)
        self.asked.append(number)
        return self.receipts(number, json.loads(json.dumps(self.made(number)[1])))

    def _logs(self, params):
        first, last = int(params[0]["fromBlock"], 16), int(params[0]["toBlock"], 16)
        asked = {one.lower() for one in params[0]["address"]}
        if COMETS["one"] not in asked:
            return []
        return [self.made(n)[1][0]["logs"][1] for n in sorted(self.told) if first <= n <= last]


@pytest.fixture(autouse=True)
def provable():
    since = CHAIN.header_hash_since, CHAIN.receipts_root_since
    for name in ("header_hash_since", "receipts_root_since"):
        object.__setattr__(CHAIN, name, FIRST)
    yield
    for name, value in zip(("header_hash_since", "receipts_root_since"), since, strict=True):
        object.__setattr__(CHAIN, name, value)


@pytest.fixture
def serve():
    with ExitStack() as stack:
        yield lambda chain: stack.enter_context(node(chain_id=CHAIN.chain_id, answers=chain.answers(), head=chain.head))


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "lake")


def collect(store, *nodes, **options):
    end = START + dt.timedelta(days=DAYS)
    return collect_lending(store, MARKETS[:1], START, end, settings(*nodes, prove_logs=True, **options))


def proofs(store):
    held = logs_held(store, CHAIN.name, None)
    return [held.covers("one", last_block(n - 1) + 1, last_block(n), proven=True) for n in range(DAYS)]


def test_each_block_is_proven_by_its_bloom_or_where_that_does_not_decide_by_its_receipts(store, serve):
    chain = ProvableChain()
    report = collect(store, serve(chain))
    assert (report.exit_code, report.rows[0].logs_proven, report.rows[0].logs_unproven) == (0, 3, 0), report.summary
    assert proofs(store) == [True] * 3
    assert sorted(chain.asked) == sorted(BUSY | LOOKALIKE)
    assert {note.proof for note in logs_held(store, CHAIN.name, None).covered} == {"receipts root"}
    (status,) = lending_status(store, MARKETS[:1], LATER)
    assert (status.ok, status.logs_proven, status.logs_unproven, status.logs_missing) == (3, 3, 0, 0)


def test_without_the_option_logs_are_one_providers_word_until_it_is_given(store, serve):
    chain = ProvableChain()
    one = serve(chain)
    end = START + dt.timedelta(days=DAYS)
    report = collect_lending(store, MARKETS[:1], START, end, settings(one))
    assert (report.rows[0].logs_proven, report.rows[0].logs_unproven, chain.asked) == (0, 3, [])
    (status,) = lending_status(store, MARKETS[:1], LATER)
    assert (status.logs_proven, status.logs_unproven) == (0, 3)
    planned = collect(store, one, dry_run=True).estimate
    assert planned.calls >= 3 * 144  # a header of each block
    assert collect(store, one).rows[0].logs_proven == 3
    assert collect(store, one, dry_run=True).estimate.calls == 0
    assert collect(store, one).asked.requests == 0


def test_an_empty_answer_where_there_is_a_log_is_not_believed(store, serve):
    chain = ProvableChain()
    chain.told = {last_block(2)}
    report = collect(store, serve(chain))
    assert (report.exit_code, report.rows[0].logs_missing) == (3, 1)
    assert f"block {last_block(0) + 5}: by its receipts root 1 logs are missing" in report.rows[0].reason
    assert proofs(store) == [True, False, True]


def test_a_log_that_its_block_does_not_hold_is_refused(store, serve):
    chain = ProvableChain()
    invented = chain.made(AT_START + 20)[1][0]["logs"]
    invented.append({**chain.made(last_block(2))[1][0]["logs"][1], "logIndex": "0x1"})
    invented[1] |= {name: invented[0][name] for name in ("blockNumber", "blockHash", "transactionHash")}
    chain.told |= {AT_START + 20}
    report = collect(store, serve(chain))
    assert "holds no such log by its bloom" in report.rows[0].reason
    assert proofs(store) == [False, True, True]


@pytest.mark.parametrize("left_out", ["a log", "a receipt"])
def test_receipts_that_are_not_whole_prove_nothing(store, serve, left_out):
    chain = ProvableChain()
    chain.told = {last_block(2)}

    def without(number, found):
        if number == last_block(0) + 5:
            del (found[0]["logs"] if left_out == "a log" else found)[-1]
        return found

    chain.receipts = without
    report = collect(store, serve(chain))
    assert report.exit_code == 3
    assert f"block {last_block(0) + 5}" in report.rows[0].reason
    assert proofs(store) == [True, False, True]


def test_a_header_that_was_made_anew_to_hide_a_log_breaks_the_run_of_parents(store, serve):
    chain = ProvableChain()
    number = last_block(0) + 5
    header, receipts = chain.made(number)
    chain.made(last_block(DAYS))
    del receipts[0]["logs"][1]
    receipts[0]["logsBloom"] = bloom = generated.bloom_text(receipts[0]["logs"])
    root = root_of_receipts(generated.receipts(receipts))
    forged = {**header, "receiptsRoot": root, "logsBloom": bloom}
    chain.blocks[number] = {**forged, "hash": hash_of_header(forged)}, receipts
    chain.told = {last_block(2)}
    report = collect(store, serve(chain))
    assert f"block {number + 1} has the parent" in report.rows[0].reason
    assert proofs(store) == [True, False, True]


def test_what_cannot_be_proven_stays_one_providers_word_and_is_not_tried_each_time(store, serve):
    chain = ProvableChain()
    one = serve(chain)
    one.answers["eth_getBlockReceipts"] = refuse
    report = collect(store, one)
    assert (report.exit_code, report.rows[0].logs_missing, report.rows[0].logs_unproven) == (0, 0, 3)
    assert "eth_getBlockReceipts does not exist" in report.rows[0].reason
    assert collect(store, one).asked.requests == 0
    one.answers["eth_getBlockReceipts"] = chain.answers()["eth_getBlockReceipts"]
    assert collect(store, one, retry_failed=True).rows[0].logs_proven == 3


def test_a_header_with_a_field_of_a_fork_that_nobody_knows_proves_nothing(store, serve):
    chain = ProvableChain()
    chain.unknown = {AT_START + 30}
    report = collect(store, serve(chain))
    assert (report.exit_code, report.rows[0].logs_unproven, report.rows[0].logs_proven) == (0, 1, 2), report.summary


def refuse(params):
    raise Refused(-32601, "the method eth_getBlockReceipts does not exist")


def test_a_chain_whose_headers_prove_nothing_is_asked_for_none(store, serve):
    object.__setattr__(CHAIN, "receipts_root_since", None)
    chain = ProvableChain()
    report = collect(store, serve(chain))
    assert (report.rows[0].logs_unproven, chain.asked) == (3, [])
    assert report.asked.calls < 144
