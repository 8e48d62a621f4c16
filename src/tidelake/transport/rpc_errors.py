"""What the error texts of nodes and providers mean: the table is data, with the place where each text stands.

Codes say little: -32005 is a rate limit, too many logs or a wide range; -32602 is a wide range or a bad parameter.
"""

import re
from dataclasses import dataclass
from typing import Literal

from tidelake.transport.rpc_calls import RpcCall, RpcError, blocks_wide

# answer:    an answer like any other, such as a revert: the same everywhere
# elsewhere: may be this provider's own trouble: ask each other provider once, then it is the answer
# failed:    the provider is in trouble
# busy:      too many requests a second
# spent:     the quota of the day or month is used up, or the plan does not allow it
# batch:     too many calls in one request
# results:   too many logs, or too much work, for one eth_getLogs
# range:     too many blocks for one eth_getLogs
# behind:    the node does not have this block, or not yet
# pruned:    the node has the block no more, or not its state
Meaning = Literal["answer", "elsewhere", "failed", "busy", "spent", "batch", "results", "range", "behind", "pruned"]


@dataclass(frozen=True, slots=True)
class ErrorText:
    """A text, a regular expression on message and data in any case, and who says it where."""

    meaning: Meaning
    text: str
    who: str
    source: str


PONDER = "github:ponder-sh/ponder packages/utils/src/getLogsRetryHelper.ts@00dce05"
FOUNDRY = "github:foundry-rs/foundry/issues/12687"
ETHERS = "github:ethers-io/ethers.js/issues/4703"
GETH = "github:ethereum/go-ethereum rpc/errors.go, core/vm/errors.go"
RETH = "github:paradigmxyz/reth crates/rpc/rpc/src/eth"
ERIGON = "github:erigontech/erigon/pull/20784, issues/7072, issues/13198"
NETHERMIND = "github:NethermindEth/nethermind/issues/13603, issues/5230, pull/12090"
ALCHEMY = "https://www.alchemy.com/docs/reference/throughput"
INFURA = "https://docs.metamask.io/services/how-to/avoid-rate-limiting, github:INFURA/infura/issues/237"
QUICKNODE = "https://www.quicknode.com/docs/ethereum/error-references, github:palomachain/paloma/issues/1165"
AGAVE = "https://docs.rs/crate/solana-rpc-client-api/3.1.11/source/src/custom_error.rs"
NUMBER = r"([\d,.]+ ?k?)"

# The first that fits counts; a revert's own words may say anything, so it is looked for first.
TEXTS = (
    ErrorText("answer", r"execution reverted|vm execution error", "all", GETH),
    ErrorText("answer", r"invalid opcode|invalid jump|stack (?:under|over)flow|intrinsic gas", "geth", GETH),
    ErrorText("answer", r"slot \d+ was skipped", "Solana -32007, -32009", AGAVE),
    ErrorText("answer", r"block (?:not|status not yet) available for slot", "Solana -32004, -32014", AGAVE),
    ErrorText("batch", r"batch too large", "geth, op-geth, bor", GETH),
    ErrorText("batch", r"batch limit \d+ exceeded", "Erigon", ERIGON),
    ErrorText("batch", r"batch request was too large", "reth", "github:paritytech/jsonrpsee types/src/error.rs"),
    ErrorText("batch", r"batch (?:size|request).*(?:limit|exceed|too)", "gateways", "the same in other words"),
    ErrorText("results", r"query returned more than \d+ results", "Infura, zkSync", ETHERS),
    ErrorText("results", r"log response size exceeded", "Alchemy", ETHERS),
    ErrorText("results", r"query exceeds max results", "reth", FOUNDRY),
    ErrorText("results", r"query returns too many logs", "Erigon", ERIGON),
    ErrorText("results", r"logs matched by query exceeds limit", "Arbitrum", PONDER),
    ErrorText("results", r"response (?:is |size )?(?:too (?:large|big)|exceeded)", "geth, Ankr, proxyd", GETH),
    ErrorText("results", r"response size should not greater than", "1RPC", PONDER),
    ErrorText("results", r"query time(?:d )?out|request timed out", "geth -32002, BNB Chain", GETH),
    ErrorText("range", rf"limited to (?:a |0 - )?{NUMBER}(?: blocks?)? range", "QuickNode, 1RPC", QUICKNODE),
    ErrorText("range", rf"up to an? {NUMBER} block range", "Alchemy, Blast, Aurora", PONDER),
    ErrorText("range", rf"query exceeds max block range {NUMBER}", "reth", RETH),
    ErrorText("range", rf"block range exceeds server limit[^\d]*{NUMBER}", "Erigon", ERIGON),
    ErrorText("range", rf"too large, max range: {NUMBER}", "cdk-erigon", "github:0xPolygon/cdk-erigon/pull/1706"),
    ErrorText("range", rf"block range greater than {NUMBER} max", "op-geth: Ink, Mantle, Swell", PONDER),
    ErrorText("range", rf"max block range = {NUMBER}", "Morph", "github:enviodev/hyperindex/issues/605"),
    ErrorText("range", r"bigger than maxblockrange", "Scroll", "github:scroll-tech/go-ethereum/pull/529"),
    ErrorText("range", rf"maximum block range: {NUMBER}", "PublicNode", PONDER),
    ErrorText("range", rf"range \d+ exceeds limit of {NUMBER}", "Infura -32602", INFURA),
    ErrorText("range", rf"than range limit {NUMBER}", "Tenderly", "github:bobanetwork/boba_legacy/issues/827"),
    ErrorText("range", rf"ranges over {NUMBER} blocks are not supported", "dRPC", FOUNDRY),
    ErrorText("range", rf"range is too large, max is {NUMBER}", "Merkle", FOUNDRY),
    ErrorText("range", rf"max range: {NUMBER}", "Cloudflare", PONDER),
    ErrorText("range", rf"too wide \(maximum {NUMBER}\)", "Moonbeam", "github:moonbeam-foundation/moonbeam/pull/3250"),
    ErrorText("range", rf"requested too many blocks.*maximum is set to {NUMBER}", "Avalanche", PONDER),
    ErrorText("range", rf"requested blocks is {NUMBER}", "thirdweb", PONDER),
    ErrorText("range", rf"range allowed for your plan \(\d+ > {NUMBER}\)", "Blast", PONDER),
    ErrorText("range", rf"limit the query to at most {NUMBER} blocks", "Coinbase", PONDER),
    ErrorText("range", r"block range (?:is )?(?:too (?:large|wide|high)|limit exceeded)", "Ankr, Chainstack", PONDER),
    ErrorText("spent", r"(?:monthly|daily)[\w ]*(?:limit|quota|capacity|count)|payment required", "Infura 402", INFURA),
    ErrorText("busy", r"compute units per second|throughput|rate limit|too many requests", "Alchemy 429", ALCHEMY),
    ErrorText("busy", r"request (?:rate|limit)|credits limited", "QuickNode -32007, Infura", QUICKNODE),
    ErrorText("pruned", r"missing trie node", "geth, bor", "github:ethereum/go-ethereum/issues/20874"),
    ErrorText("pruned", r"historical state.* unavailable|state .*(?:is )?not available", "geth, bor", GETH),
    ErrorText("pruned", r"pruned history unavailable|due to pruning|state pruning", "EIP-4444, Erigon", NETHERMIND),
    ErrorText("pruned", r"data before txnum=\d+ is not available", "Erigon", ERIGON),
    ErrorText("pruned", r"no state (?:available )?for block|receipt not available for", "Nethermind", NETHERMIND),
    ErrorText("pruned", r"distance to target block exceeds", "reth", RETH),
    ErrorText("pruned", r"access to archive state|archive.*(?:not available|upgrade|plan)", "Infura, dRPC", INFURA),
    ErrorText("behind", r"header (?:for hash )?not found", "geth", "github:ethersphere/bee/issues/1919"),
    ErrorText("behind", r"unknown block|block not found|block .*could not be found", "reth, gateways", RETH),
    ErrorText("behind", r"beyond (?:current head|latest executed) block", "geth, reth, Erigon", RETH),
    ErrorText("behind", r"block height is \d+ but requested was", "anvil 1.7.1", "seen"),
    ErrorText("behind", r"cannot query unfinalized data", "Avalanche", "github:ava-labs/coreth eth/api_backend.go"),
    ErrorText("failed", r"no backend is currently healthy|service unavailable|bad gateway", "Base (proxyd)", PONDER),
    ErrorText("failed", r"error sending request|upstream|connection (?:refused|reset)", "gateways", "in other words"),
    ErrorText("failed", r"temporarily unavailable|deadline exceeded|overloaded", "gateways", "in other words"),
)
LOGS_ONLY = frozenset({"results", "range"})
MEANING_OF_CODE: dict[int, Meaning] = {3: "answer", 429: "busy", 402: "spent", -32005: "busy", 4444: "pruned"}
MEANING_OF_CODE |= {-32602: "answer"}
MAYBE_OF_SIZE = frozenset({-32000, -32005, -32600, -32602, -32603})
NO_SUCH_METHOD = -32601

_PATTERNS = [(row.meaning, re.compile(row.text, re.IGNORECASE)) for row in TEXTS]
_BLOCK = r"(0x[0-9a-f]+|\d+)"
_SUGGESTED = re.compile(
    rf"(?:range should work:? ?|this block range |retry with the range )\[?{_BLOCK}(?:, ?|-){_BLOCK}", re.IGNORECASE
)


def meaning_of(error: RpcError, call: RpcCall) -> Meaning:
    """What to do about an error that answers a call.

    Texts about logs count for `eth_getLogs` alone; one in unknown words about many blocks may be of its size.
    """
    text = f"{error.message} {error.data}"
    for meaning, pattern in _PATTERNS:
        if pattern.search(text) and (call.method == "eth_getLogs" or meaning not in LOGS_ONLY):
            return meaning
    if (blocks_wide(call) or 1) > 1 and error.code in MAYBE_OF_SIZE:
        return "results"
    return MEANING_OF_CODE.get(error.code or 0, "elsewhere")


def speaks_of_size(error: RpcError) -> bool:
    """Whether an error says that a request held too many calls, or that its answer grew too large."""
    return any(
        meaning in ("batch", "results") and pattern.search(error.message + error.data) for meaning, pattern in _PATTERNS
    )


def widest_range(error: RpcError) -> int | None:
    """The number of blocks that the provider says it takes in one `eth_getLogs`; None where it says none."""
    text = f"{error.message} {error.data}"
    if suggested := _SUGGESTED.search(text):
        first, last = (int(end, 0) for end in suggested.groups())
        return max(1, last - first + 1)
    for meaning, pattern in _PATTERNS:
        if meaning == "range" and (found := pattern.search(text)):
            return max(1, _number(found[1])) if found.groups() else None
    return None


def _number(told: str) -> int:
    digits = re.sub(r"\D", "", told)
    return int(digits or 0) * (1000 if told.strip().lower().endswith("k") else 1)
