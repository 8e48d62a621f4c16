"""One market of each family on a real node: contracts that answer and log what the protocols' own would.

What they answer and log is encoded by eth-abi from signatures as they stand in the protocols' sources.

Source: aave/protocol-v2, contracts/interfaces/ILendingPool.sol, DataTypes.sol; aave-dao/aave-v3-origin, src/contracts/
        interfaces/IPool.sol, DataTypes.sol; compound-finance/compound-protocol, contracts/CTokenInterfaces.sol;
        compound-finance/comet, contracts/CometMainInterface.sol, CometCore.sol; morpho-org/morpho-blue, src/interfaces/
        IMorpho.sol, src/libraries/EventsLib.sol
"""

import datetime as dt
import json
import urllib.request

from tests.chains.evm_code import MULTICALL3, STAGE, answering, emitting, script
from tidelake.chains.addresses import checksummed
from tidelake.chains.registry import chain
from tidelake.sim.tokens.assembler import deploying

CHAIN = chain("ink")  # Multicall3 stands there from its first block on, and hashes are proven
START = dt.date(2024, 1, 1)
HOURS = 6  # between blocks: the last of day 0 is 11, of day 1 15, of day 2 19
GENESIS_S = int(dt.datetime(2023, 12, 30, tzinfo=dt.UTC).timestamp())
OPTIONS = ("--chain-id", str(CHAIN.chain_id), "--timestamp", str(GENESIS_S), "--no-mining")
SOURCE = "owner/repository@1234567:file"
# The contracts in the order of their deployment: all but `comet` in block 1.
NAMES = [
    "usdc", "weth", "v2_pool", "v2_a", "v2_stable", "v2_variable", "v3_pool", "v3_a", "v3_variable", "comptroller",
    "c_usdc", "c_native", "morpho", "comet",
]  # fmt: skip
WHO, LIQUIDATOR, NOBODY = "0x" + "b2" * 20, "0x" + "a1" * 20, "0x" + "00" * 20
PART = bytes.fromhex("5a" * 32)  # an id of a market of Morpho
ACTIVE, FROZEN, PAUSED = 1 << 56, 1 << 57, 1 << 60
E6, E18 = 10**6, 10**18


class Node:
    """A node whose blocks are mined when it is told to, `HOURS` apart."""

    def __init__(self, anvil):
        self.url = anvil.url
        (self._sender, *_) = self.ask("eth_accounts")
        self.ask("anvil_setBlockTimestampInterval", HOURS * 3600)

    def ask(self, method, *params):
        told = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, told, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            found = json.load(answer)
        assert "error" not in found, (method, found)
        return found["result"]

    def send(self, data, to=None):
        """The hash of a transaction that stands in the next block."""
        told = {"from": self._sender, "data": "0x" + data.hex(), "gas": hex(14_000_000)}
        return self.ask("eth_sendTransaction", told | ({"to": to} if to else {}))

    def mine(self, *, up_to):
        """Mine blocks up to that number; every transaction must have been done."""
        block = int(self.ask("eth_blockNumber"), 16)
        self.ask("anvil_mine", hex(up_to - block))
        for receipt in self.ask("eth_getBlockReceipts", hex(block + 1)):
            assert receipt["status"] == "0x1", receipt

    def block_hash(self, number):
        return self.ask("eth_getBlockByNumber", hex(number), False)["hash"]

    def created(self, tx):
        return self.ask("eth_getTransactionReceipt", tx)["contractAddress"]


class Markets:
    """The markets, and the transactions that moved them.

    Attributes:
        at: Addresses by the names of `NAMES`.
        liquidations: Hashes of the transactions that hold any, by market.
    """

    def __init__(self, node):
        """Blocks 1 to 21: deployed in 1 (Compound v3 in 13), one liquidation of each family, state anew every day."""
        self._node = node
        self.liquidations = {}
        node.ask("anvil_setCode", CHAIN.multicall3.address, "0x" + MULTICALL3.hex())
        deployed = [node.send(deploying(STAGE)) for _ in NAMES[:-1]]
        node.mine(up_to=1)
        self.at = dict(zip(NAMES[:-1], map(node.created, deployed), strict=True))
        self._do("usdc", *token("USDC", 6))
        self._do("weth", *token("WETH", 18))
        self._do("morpho", create_market(self.at))
        self._aave()
        self._compound_v2()
        node.mine(up_to=8)
        self._count(day=0)
        node.mine(up_to=9)
        self._liquidate("v2", "v2_pool", aave_call(self.at, 1_000 * E6, E18 // 2))
        node.mine(up_to=12)
        self._count(day=1)
        deployed = node.send(deploying(STAGE))
        node.mine(up_to=13)
        self.at["comet"] = node.created(deployed)
        self._liquidate("v3", "v3_pool", supply(self.at), aave_call(self.at, 77, 88), deficit(self.at, 99))
        self._comet(day=1)
        node.mine(up_to=14)
        self._liquidate("ctokens", "c_usdc", liquidate_borrow(self.at, 5 * E6, 10**9))
        node.mine(up_to=16)
        self._count(day=2)
        self._comet(day=2)
        self._liquidate("comet", "comet", absorb_debt(2**100), absorb_collateral(self.at, 3 * E18))
        node.mine(up_to=17)
        self._liquidate("morpho", "morpho", supply_collateral(), liquidate(40 * E6, 2 * E18, 6 * E6))
        node.mine(up_to=21)

    def _do(self, name, *parts):
        return self._node.send(script(*parts), self.at[name])

    def _liquidate(self, market, name, *parts):
        self.liquidations[market] = self._do(name, *parts)

    def _aave(self):
        for version, words in (("v2", v2_reserve), ("v3", v3_reserve)):
            assets = [self.at["usdc"], self.at["weth"]]
            data = "getReserveData(address)"
            told = [answering(data, *words(self.at, i), ("address", asset)) for i, asset in enumerate(assets)]
            self._do(f"{version}_pool", answering("getReservesList()", ["address[]"], [assets]), *told)
        self._do("v2_stable", answering("totalSupply()", ["uint256"], [11 * E6]))
        for name in ("v2_variable", "v3_variable"):
            self._do(name, answering("totalSupply()", ["uint256"], [400 * E6]))

    def _compound_v2(self):
        listed = [self.at["c_usdc"], self.at["c_native"]]
        self._do("comptroller", answering("getAllMarkets()", ["address[]"], [listed]))
        told = [answering("totalSupply()", ["uint256"], [10**12]), answering("getCash()", ["uint256"], [7])]
        native = ("totalBorrows()", 0), ("exchangeRateStored()", 3 * 10**17)
        self._do("c_native", *told, *(answering(name, ["uint256"], [value]) for name, value in native))
        underlying = answering("underlying()", ["address"], [self.at["usdc"]])
        self._do("c_usdc", underlying, *told, answering("totalBorrows()", ["uint256"], [250 * E6]))

    def _count(self, *, day):
        """What grows from day to day: what suppliers own."""
        for name in ("v2_a", "v3_a"):
            self._do(name, answering("totalSupply()", ["uint256"], [(1000 + day) * E6]))
        balances = [
            answering("balanceOf(address)", ["uint256"], [600 * E6 + day], ("address", self.at[name]))
            for name in ("v2_a", "v3_a")
        ]
        self._do("usdc", *balances)
        other = answering("balanceOf(address)", ["uint256"], [day], ("address", self.at["v2_a"]))
        self._do("weth", other, answering("balanceOf(address)", ["uint256"], [day], ("address", self.at["v3_a"])))
        self._do("c_usdc", answering("exchangeRateStored()", ["uint256"], [(2 + day) * 10**14]))
        state = [(5000 + day) * E6, 1, 2000 * E6, 1, GENESIS_S, 0]
        asset = answering("market(bytes32)", ["uint128"] * 6, state, ("bytes32", PART))
        params = [self.at["usdc"], self.at["weth"], WHO, WHO, 86 * 10**16]
        kinds = ["address"] * 4 + ["uint256"]
        self._do("morpho", asset, answering("idToMarketParams(bytes32)", kinds, params, ("bytes32", PART)))

    def _comet(self, *, day):
        info = ["uint8", "address", "address", "uint64", "uint64", "uint64", "uint64", "uint128"]
        told = [0, self.at["weth"], WHO, E18, 1, 2, 3, 4]
        self._do(
            "comet",
            answering("baseToken()", ["address"], [self.at["usdc"]]),
            answering("totalSupply()", ["uint256"], [(9000 + day) * E6]),
            answering("totalBorrow()", ["uint256"], [3000 * E6]),
            answering("numAssets()", ["uint8"], [1]),
            answering("getAssetInfo(uint8)", info, told, ("uint8", 0)),
            answering("totalsCollateral(address)", ["uint128"] * 2, [4 * E18, 0], ("address", self.at["weth"])),
        )
        of_comet = answering("balanceOf(address)", ["uint256"], [6000 * E6], ("address", self.at["comet"]))
        self._do("usdc", of_comet)

    def write(self, folder):
        """Their files, in the form that users write (docs/markets.toml)."""
        at = {name: checksummed(address) for name, address in self.at.items()}
        base = f'[market.base]\nsymbol = "USDC"\naddress = "{at["usdc"]}"\ndecimals = 6\n'
        told = [
            own_market("v2", "aave_v2", "pool", at["v2_pool"]),
            own_market("v3", "aave_v3", "pool", at["v3_pool"]),
            own_market("ctokens", "compound_v2", "comptroller", at["comptroller"]),
            own_market("comet", "compound_v3", "comet", at["comet"], block=None) + base,
            own_market("morpho", "morpho_blue", "morpho", at["morpho"]),
        ]
        (folder / "own.toml").write_text("".join(told))
        head = "market,role,symbol,decimals,asset,supply_token,supply_symbol,supply_decimals,debt_token,since_block\n"
        reserves = f"v3,reserve,USDC,6,{at['usdc']},,,,,\nv3,reserve,WETH,18,{at['weth']},,,,,\n"
        c_tokens = f"ctokens,ctoken,USDC,6,{at['usdc']},{at['c_usdc']},cUSDC,8,,\n"
        (folder / "assets.csv").write_text(head + reserves + c_tokens)


def own_market(name, family, contract, address, block=1):
    known = f"block = {block}\n" if block is not None else ""
    return f"""
[[market]]
id = "{name}"
protocol = "own"
version = "1"
family = "{family}"
title = "{name}"
chain = "{CHAIN.name}"
tier = "own"
status = "active"
sources = ["{SOURCE}"]
doubts = ["it stands on a node that runs here"]
[market.contracts]
{contract} = "{address}"
[market.deployment]
sources = []
{known}"""


def token(symbol, decimals):
    return answering("symbol()", ["string"], [symbol]), answering("decimals()", ["uint8"], [decimals])


def v2_reserve(at, i):
    """Types and values of `ReserveData`: USDC is active, WETH is frozen."""
    kinds = ["uint256", *["uint128"] * 5, "uint40", *["address"] * 4, "uint8"]
    bits = (6 << 48 | ACTIVE, 18 << 48 | ACTIVE | FROZEN)[i]
    return kinds, [bits, 1, 2, 3, 4, 5, 6, at["v2_a"], at["v2_stable"], at["v2_variable"], WHO, i]


def v3_reserve(at, i):
    """Types and values of `ReserveDataLegacy`: USDC is active, WETH is paused."""
    kinds = ["uint256", *["uint128"] * 5, "uint40", "uint16", *["address"] * 4, *["uint128"] * 3]
    bits = (6 << 48 | ACTIVE, 18 << 48 | ACTIVE | PAUSED)[i]
    return kinds, [bits, 1, 2, 3, 4, 5, 6, i, at["v3_a"], NOBODY, at["v3_variable"], WHO, 7, 8, 9]


def addresses(*values):
    return [("address", value) for value in values]


def numbers(*values):
    return [("uint256", value) for value in values]


def aave_call(at, repaid, seized):
    return emitting(
        "LiquidationCall(address,address,address,uint256,uint256,address,bool)",
        addresses(at["weth"], at["usdc"], WHO),
        [*numbers(repaid, seized), ("address", LIQUIDATOR), ("bool", True)],
    )


def deficit(at, amount):
    return emitting("DeficitCreated(address,address,uint256)", addresses(WHO, at["usdc"]), numbers(amount))


def supply(at):
    """No liquidation: it must make no row."""
    topics = [*addresses(at["usdc"], WHO), ("uint16", 0)]
    return emitting("Supply(address,address,address,uint256,uint16)", topics, [*addresses(WHO), *numbers(5)])


def liquidate_borrow(at, repaid, seized):
    told = [*addresses(LIQUIDATOR, WHO), *numbers(repaid), *addresses(at["c_native"]), *numbers(seized)]
    return emitting("LiquidateBorrow(address,address,uint256,address,uint256)", [], told)


def absorb_debt(paid):
    return emitting("AbsorbDebt(address,address,uint256,uint256)", addresses(LIQUIDATOR, WHO), numbers(paid, 1))


def absorb_collateral(at, amount):
    topics = addresses(LIQUIDATOR, WHO, at["weth"])
    return emitting("AbsorbCollateral(address,address,address,uint256,uint256)", topics, numbers(amount, 1))


def create_market(at):
    kind = "(address,address,address,address,uint256)"
    told = (at["usdc"], at["weth"], WHO, WHO, 86 * 10**16)
    return emitting(f"CreateMarket(bytes32,{kind})", [("bytes32", PART)], [(kind, told)])


def supply_collateral():
    """No liquidation: it must make no row."""
    topics = [("bytes32", PART), *addresses(LIQUIDATOR, WHO)]
    return emitting("SupplyCollateral(bytes32,address,address,uint256)", topics, numbers(9 * E18))


def liquidate(repaid, seized, bad):
    return emitting(
        "Liquidate(bytes32,address,address,uint256,uint256,uint256,uint256,uint256)",
        [("bytes32", PART), *addresses(LIQUIDATOR, WHO)],
        numbers(repaid, 1, seized, bad, 2),
    )
