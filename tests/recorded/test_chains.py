"""Recorded headers, receipts and logs: hashes and roots recomputed, one changed or omitted log found."""

import json
from collections import Counter

import pytest

from tests.chains.ancestry import check_links, common_ancestor
from tests.recorded.independent_reader import DATA
from tests.recorded.linked_blocks import linked
from tidelake.chains.abi import event
from tidelake.chains.bloom import bloom_of, may_hold
from tidelake.chains.headers import Header, header_of, parse_header, prove_header
from tidelake.chains.logs import LogFilter, bloom_values, compare_logs
from tidelake.chains.receipts import Receipt, parse_receipts, prove_receipts, receipt_of
from tidelake.chains.registry import chain
from tidelake.chains.spec import Chain
from tidelake.errors import FormatDrift

RPC = DATA / "chains" / "rpc"
SHANGHAI = DATA / "chains" / "blocks" / "native_block_17300000.json"
LIQUIDATION = DATA / "lending" / "aave-v3-liquidation-receipt.json"
pytestmark = pytest.mark.skipif(not RPC.is_dir(), reason="needs the recorded data in ../shared/data/chains")

# Receipts and logs of each block, counted apart from the product.
BLOCKS = {
    ("ethereum", 1_000_000): (2, 1),
    ("ethereum", 4_369_999): (22, 171),
    ("ethereum", 18_000_000): (94, 291),
    ("ethereum", 18_500_000): (157, 408),
    ("polygon", 50_000_000): (564, 877),
    ("arbitrum", 150_000_000): (5, 18),
}
CRONOS = Chain(
    name="cronos",
    title="Cronos",
    chain_id=25,
    native="CRO",
    defillama="cronos",
    block_ms=None,
    multicall3=chain("ethereum").multicall3,
    finality=(),
    sources=(),
)


def block(name: str, number: int) -> tuple[Header, list[Receipt]]:
    folder = RPC / name / str(number)
    header = parse_header((folder / "block.json").read_bytes())
    receipts = parse_receipts(name, (folder / "receipts.json").read_bytes())
    assert header is not None
    assert receipts is not None
    return header, receipts


def told_receipts(name, number):
    return json.loads((RPC / name / str(number) / "receipts.json").read_bytes())


@pytest.mark.parametrize(("name", "number"), BLOCKS)
def test_hash_and_receipts_root_are_recomputed(name, number):
    header, receipts = block(name, number)
    logs = [log for receipt in receipts for log in receipt.logs]
    assert header.number == number
    assert (len(receipts), len(logs)) == BLOCKS[name, number]
    assert prove_header(chain(name), header).state == "proven"
    assert prove_receipts(chain(name), header, receipts).state == "proven"
    assert bloom_of(bloom_values(logs)) == header.logs_bloom


@pytest.mark.parametrize(("name", "number"), [place for place, (_, logs) in BLOCKS.items() if logs > 2])
def test_one_changed_or_omitted_log_is_found(name, number):
    header, whole = block(name, number)
    told = told_receipts(name, number)
    place = max(range(len(told)), key=lambda place: len(told[place]["logs"]))
    kept = told[place]["logs"]
    assert len(kept) > 1
    changed = [*kept[:-1], {**kept[-1], "data": "0x" + "ff" + str(kept[-1]["data"])[4:]}]
    for logs in (changed, kept[:-1], kept[1:], [kept[1], kept[0], *kept[2:]]):
        told[place]["logs"] = logs
        damaged = [receipt_of(name, receipt) for receipt in told]
        assert prove_receipts(chain(name), header, damaged).state == "differs"
        found = compare_logs(
            [log for receipt in damaged for log in receipt.logs], [log for receipt in whole for log in receipt.logs]
        )
        assert bool(found) == (len(logs) < len(kept) or logs == changed)


def test_empty_answer_is_refuted_by_the_receipts_and_proven_by_the_bloom():
    header, receipts = block("ethereum", 18_500_000)
    transfer = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    asked = LogFilter((), (transfer,))
    expected = [log for receipt in receipts for log in receipt.logs if asked.matches(log)]
    assert len(compare_logs([], expected).missing) == len(expected) > 0
    assert not asked.ruled_out(header.logs_bloom)
    absent = LogFilter(("0x87870bca3f3fd6335c3f4ce8392d69350b4fa4e2",), ("0x" + 64 * "7",))
    assert absent.ruled_out(header.logs_bloom)


@pytest.mark.parametrize("number", [6541, 6542, 10_000, 68_215, 68_216, 11_446_765])
def test_chain_whose_headers_hold_no_receipts_proves_nothing(number):
    header, receipts = block("cronos", number)
    assert prove_header(CRONOS, header).state == "unprovable"
    assert prove_receipts(CRONOS, header, receipts).state == "unprovable"


def test_receipt_whose_logs_are_of_another_index_is_refused():
    with pytest.raises(FormatDrift, match="in the receipt of 0x672fbc93"):
        block("cronos", 131_465)


@pytest.mark.parametrize("number", [6541, 68_215])
def test_parent_and_child_of_cronos_link(number):
    parent, child = block("cronos", number)[0], block("cronos", number + 1)[0]
    check_links([parent, child])
    fork = common_ancestor([parent], [child])
    assert fork is not None
    assert (fork.number, fork.hash, fork.orphaned, fork.adopted) == (number, parent.hash, (), (child,))


def test_block_after_shanghai_with_numbers_as_text():
    if not SHANGHAI.is_file():
        pytest.skip("needs the recorded data in ../shared/data/chains/blocks")
    told = json.loads(SHANGHAI.read_bytes())["ethereum"]
    head = told["header"]
    numbers = {name: hex(int(head[name])) for name in ("number", "gasLimit", "gasUsed", "baseFeePerGas")}
    header = header_of({**head, **numbers, "timestamp": hex(1_684_577_927), "difficulty": "0x0"})
    receipts = [
        receipt_of("ethereum", _as_rpc(transaction["receipt"], place))
        for place, transaction in enumerate(told["transactions"])
    ]
    assert sum(len(receipt.logs) for receipt in receipts) == 310
    assert prove_header(chain("ethereum"), header).state == "proven"
    assert prove_receipts(chain("ethereum"), header, receipts).state == "proven"


def _as_rpc(receipt, place):
    found = {**receipt, "transactionIndex": hex(place)}
    for name in ("cumulativeGasUsed", "status", "type"):
        found[name] = hex(int(found.get(name, 0)))
    found["logs"] = [
        {
            **log,
            "blockNumber": hex(int(log["blockNumber"])),
            "transactionIndex": hex(place),
            "logIndex": hex(int(log.get("logIndex", 0))),
            "topics": log.get("topics", []),
            "data": log.get("data", "0x"),
        }
        for log in receipt.get("logs", [])
    ]
    return found


def test_five_linked_blocks_link_and_their_blooms_are_those_of_their_logs():
    headers, logs = linked()
    assert [header.number for header in headers] == list(range(15_000_000, 15_000_005))
    check_links(headers)
    assert len(logs) == len({log.key for log in logs}) == 2_228
    for header in headers:
        inside = [log for log in logs if log.block_hash == header.hash]
        assert sorted(log.log_index for log in inside) == list(range(len(inside)))
        assert bloom_of(bloom_values(inside)) == header.logs_bloom
        assert all(may_hold(header.logs_bloom, value) for value in bloom_values(inside))


def test_bloom_finds_a_log_left_out_that_alone_held_an_address_or_topic():
    headers, logs = linked()
    inside = [log for log in logs if log.block_hash == headers[3].hash]
    held = Counter(value for log in inside for value in set(bloom_values([log])))
    alone = [log for log in inside if any(held[value] == 1 for value in bloom_values([log]))]
    found = [
        left_out
        for left_out in inside
        if bloom_of(bloom_values(log for log in inside if log is not left_out)) != headers[3].logs_bloom
    ]
    assert set(found) <= set(alone)
    assert (len(inside), len(alone), len(found)) == (318, 155, 139)


def test_burn_of_usdc_in_15000003_is_found_by_its_filter():
    _, logs = linked()
    usdc, burn = (
        "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        "0xcc16f5dbb4873280815c1ee09dbd06736cffcc184412cf7a71a0fdb75d397ca5",
    )
    assert [log.block_number for log in logs if LogFilter((usdc,), (burn,)).matches(log)] == [15_000_003]


def test_receipt_of_a_liquidation_holds_one_such_log():
    if not LIQUIDATION.is_file():
        pytest.skip("needs the recorded data in ../shared/data/lending")
    call = event(
        "event LiquidationCall(address indexed collateralAsset, address indexed debtAsset, address indexed user, "
        "uint256 debtToCover, uint256 liquidatedCollateralAmount, address liquidator, bool receiveAToken)"
    )
    receipt = receipt_of("ethereum", json.loads(LIQUIDATION.read_bytes()))
    (log,) = [log for log in receipt.logs if LogFilter((), (call.topic0,)).matches(log)]
    assert log.block_number == 17_938_283
    assert call.decode(log.topics, log.data) == {
        "collateralAsset": "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
        "debtAsset": "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
        "user": "0x7420fa58ba44e1141d5e9adb6903be549f7ce0b5",
        "debtToCover": 30_660_134,
        "liquidatedCollateralAmount": 18_891_825_379_519_208,
        "liquidator": "0x594efbe5a71a10a958d812b4c65f3dfa60922a15",
        "receiveAToken": False,
    }
    assert bloom_of(bloom_values(receipt.logs)) == receipt.logs_bloom
