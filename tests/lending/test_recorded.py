"""What stands in the raw log is read back as the market answered it."""

import msgspec
import pytest
from eth_abi.abi import encode

from tests.lending.contracts import Market, PretendedChain, address
from tidelake.chains.multicall import AGGREGATE3, Call, CallResult, encode_calls
from tidelake.errors import FormatDrift
from tidelake.lending.families.compound_v3 import FAMILY
from tidelake.lending.recorded import (
    Answers,
    DayNote,
    Unanswered,
    positions_lane,
    read_page,
    read_sections,
    recorded_answers,
    replay,
)
from tidelake.raw.frame import Frame
from tidelake.transport.rpc_calls import RpcCall, rpc_request

MULTICALL = address(0xCA11)
A, B = Call(address(1), b"\x01\x02\x03\x04"), Call(address(2), b"\x05")


def page(n, call, response):
    request = rpc_request(RpcCall("eth_call", [{"to": call.to, "data": "0x" + call.data.hex()}, "0x10"]))
    return Frame(n, n, n, "page", msgspec.json.encode({"jsonrpc": "2.0", "id": 1, **response}), request)


def note(n, **told):
    return Frame(n, n, n, "note", msgspec.json.encode(DayNote(**told)))


def result(data):
    return {"result": "0x" + data.hex()}


def test_pages_belong_to_the_note_that_closes_them_and_an_open_end_to_none():
    frames = [page(0, A, result(b"")), note(1, grid="2024-01-01", state="OK"), page(2, B, result(b""))]
    frames.insert(2, note(2, grid="2024-01-02", state="NOT_DEPLOYED", reason="before block 9"))
    first, second = read_sections(frames, DayNote)
    assert (first.note.grid, len(first.pages)) == ("2024-01-01", 1)
    assert (second.note, second.pages) == (DayNote("2024-01-02", "NOT_DEPLOYED", reason="before block 9"), ())


def test_calls_are_found_in_a_multicall_and_the_last_answer_stands():
    together = Call(MULTICALL.upper().replace("X", "x"), encode_calls([A, B]))
    answer = encode(["(bool,bytes)[]"], [[(True, b"\x07"), (False, b"")]])
    pages = [page(0, together, result(answer)), page(1, B, result(b"\x08"))]
    (section,) = read_sections([*pages, note(2, grid="2024-01-01", state="OK")], DayNote)
    found = recorded_answers(section, MULTICALL)
    assert found.find(A) == CallResult(True, b"\x07")
    assert found.find(B) == CallResult(True, b"\x08")


def test_a_revert_is_an_answer_and_an_error_of_the_node_is_none():
    found = Answers(MULTICALL)
    for call, error in ((A, {"code": 3, "message": "execution reverted"}), (B, {"code": -32000, "message": "timeout"})):
        found.keep(call.to, call.data, read_page(page(0, call, {"error": error}))[1])
    assert found.find(A) == CallResult(False, b"")
    assert found.find(B) is None


def test_a_family_reads_the_recorded_answers_as_it_reads_the_chain():
    chain, comet, token = PretendedChain(), address(7), address(8)
    chain.says(comet, "baseToken()", ["address"], [token])
    chain.says(comet, "totalSupply()", ["uint256"], [11])
    chain.says(comet, "totalBorrow()", ["uint256"], [5])
    chain.says(comet, "numAssets()", ["uint8"], [0])
    chain.says(token, "symbol()", ["string"], ["USDC"])
    chain.says(token, "decimals()", ["uint8"], [6])
    chain.says(token, "balanceOf(address)", ["uint256"], [6], (("address",), (comet,)))
    market = Market({"comet": comet})
    expected = chain.drive(FAMILY.positions(market, ()))
    answers = Answers(MULTICALL)
    asked = []
    while True:
        try:
            assert replay(lambda: FAMILY.positions(market, ()), answers) == expected
            break
        except Unanswered as missing:
            asked.append(len(missing.calls))
            results = [chain.answer(call) for call in missing.calls]
            data = encode(["(bool,bytes)[]"], [[(one.success, one.data) for one in results]])
            whole = Call(MULTICALL, encode_calls(missing.calls))
            answers.keep(whole.to, whole.data, read_page(page(0, whole, result(data)))[1])
    assert asked == [4, 3]


def test_what_is_no_such_frame_is_refused():
    with pytest.raises(FormatDrift, match="line 4 is no DayNote"):
        list(read_sections([Frame(4, 4, 4, "note", b'{"grid": 7}')], DayNote))
    with pytest.raises(FormatDrift, match="line 5 is no answer"):
        read_page(Frame(5, 5, 5, "page", b"{}", "GET https://example"))
    whole = Call(MULTICALL, AGGREGATE3.selector)
    _, response = read_page(page(0, whole, result(b"")))
    with pytest.raises(FormatDrift, match="aggregate3"):
        Answers(MULTICALL).keep(whole.to, whole.data, response)


def test_lanes_are_named_by_market():
    assert positions_lane("aave_v3_ethereum") == "lending.aave_v3_ethereum"
