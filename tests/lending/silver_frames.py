"""Recorded lanes of a pretended chain: frames as a collection writes them, with clocks that the test sets."""

import msgspec
from eth_abi.abi import encode

from tests.lending.contracts import PretendedChain, address
from tidelake.chains.multicall import Call, encode_calls
from tidelake.lending.contracts import contracts_of
from tidelake.lending.families.registry import family
from tidelake.lending.market import Deployment, Market
from tidelake.lending.recorded import DayNote
from tidelake.raw.frame import Frame, encode_line
from tidelake.raw.ledger import Ledger
from tidelake.raw.sealing import seal_lines
from tidelake.transport.rpc_calls import RpcCall, rpc_request

MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
START_NS = 1_735_700_000_000_000_000  # 2025-01-01 02:53:20
SECOND = 10**9


def market_of(name, kind, **contracts):
    return Market(
        id=name, protocol="Pretended", version="v1", family=kind, title=name, chain="ethereum", tier="own",
        status="active", contracts=contracts, deployment=Deployment(sources=()), sources=(),
    )  # fmt: skip


def response(result=None, error=None):
    told = {"error": error} if error else {"result": result}
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 1, **told})


class LaneOf:
    """The frames of one lane in the making; each is received a second after the one before."""

    def __init__(self, store, name, source="ethereum", start_ns=START_NS):
        self.store, self.name, self.source, self.now = store, name, source, start_ns
        self.frames = []

    def page(self, method, params, result=None, error=None):
        self._append("page", response(result, error), rpc_request(RpcCall(method, params)))

    def note(self, told):
        self._append("note", msgspec.json.encode(told), "")

    def _append(self, kind, payload, request):
        self.frames.append((self.now, kind, payload, request))
        self.now += SECOND

    def seal(self):
        head = Ledger(self.store).head(self.name)
        lines = b"".join(
            encode_line(Frame(head.next_n + i, now, 0, kind, payload, request))
            for i, (now, kind, payload, request) in enumerate(self.frames)
        )
        self.frames = []
        return seal_lines(self.store, self.name, self.source, lines, describe=lambda *_: ((), {}), head=head)

    def call(self, call, result, block):
        self.page("eth_call", [{"to": call.to, "data": "0x" + call.data.hex()}, hex(block)], "0x" + result.hex())


def record_state(lane, chain, market, block, parts=(), leave_out=None, alone=False):
    """The calls of the market's family at a block, one Multicall3 call for each round, or each alone."""
    asking = family(market.family).positions(contracts_of(market), parts)
    try:
        calls = next(asking)
        while True:
            results = [chain.answer(call) for call in calls]
            asked = [(c, r) for c, r in zip(calls, results, strict=True) if leave_out is None or not leave_out(c)]
            if alone:
                for call, result in asked:
                    lane.call(call, result.data, block)
            else:
                answer = encode(["(bool,bytes)[]"], [[(result.success, result.data) for _, result in asked]])
                lane.call(Call(MULTICALL, encode_calls([call for call, _ in asked])), answer, block)
            calls = asking.send(results)
    except StopIteration:
        pass


def record_day(lane, chain, market, grid, block, time, **how):
    record_state(lane, chain, market, block, **how)
    lane.note(DayNote(grid, "OK", block, block_hash(block), time))


def block_hash(number, fork=0):
    return f"0x{fork:02x}{number:062x}"


def comet_chain(supplied=1_000_000_000, borrowed=400_000_000, collateral=5 * 10**18):
    """A Compound v3 market of USDC with WETH as collateral."""
    chain = PretendedChain()
    comet, usdc, weth = COMET
    chain.says(comet, "baseToken()", ["address"], [usdc])
    chain.says(comet, "totalSupply()", ["uint256"], [supplied])
    chain.says(comet, "totalBorrow()", ["uint256"], [borrowed])
    chain.says(comet, "numAssets()", ["uint8"], [1])
    info = "(uint8,address,address,uint64,uint64,uint64,uint64,uint128)"
    chain.says(comet, "getAssetInfo(uint8)", [info], [(0, weth, address(8), 10**18, 1, 2, 3, 4)], (["uint8"], [0]))
    chain.says(comet, "totalsCollateral(address)", ["uint128", "uint128"], [collateral, 0], (["address"], [weth]))
    for token, symbol, decimals in ((usdc, "USDC", 6), (weth, "WETH", 18)):
        chain.says(token, "symbol()", ["string"], [symbol])
        chain.says(token, "decimals()", ["uint8"], [decimals])
    chain.says(usdc, "balanceOf(address)", ["uint256"], [supplied - borrowed], (["address"], [comet]))
    return chain


COMET = address(7), address(3), address(4)
