"""Coins of the registry on a node of one's own: minted, burned and reorganised by a seed.

    anvil --chain-id 1 --no-mining
    with TokenPlay("http://127.0.0.1:8545", "ethereum", seed=1) as play:
        play.place()            # code in the manner of each issuer, at the addresses that the registry tells
        play.step()             # one block more, or a reorganisation

What is true is what the node says: `totalSupply()`, and the logs of the blocks that stand.
"""

import random
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from tidelake.chains.registry import chain as chain_of
from tidelake.errors import ConfigError, SourceError
from tidelake.sim.tokens.erc20 import DECIMALS, selector, usdc_style, usdt_style
from tidelake.stablecoins.registry import coins

STYLES = {"USDC": usdc_style, "USDT": usdt_style}
MOST = 5_000_000 * 10**DECIMALS  # of one mint, in smallest units
GAS = 200_000


class Played(msgspec.Struct, frozen=True):
    """What a step did.

    Attributes:
        block: Number of the newest block after it.
        calls: Calls of tokens in the block that it added, such as "USDC mint 5000000".
        depth: Blocks that a reorganisation replaced; 0 where there was none.
        again: How many of their transactions stand in the new blocks too.
    """

    block: int
    calls: tuple[str, ...] = ()
    depth: int = 0
    again: int = 0


class TokenPlay:
    """A play on one node, which must mine only when it is told to. Use it as a context manager, from one thread.

    Args:
        url: The node's address.
        chain: The chain that it plays.
        seed: Of what happens; the same on equal nodes gives the same calls.
        reorg_one_in: One step in so many is a reorganisation; 0 for none.
        deepest: Most blocks that one replaces.

    Attributes:
        addresses: Of the tokens, by coin.

    Raises:
        ConfigError: A coin is not on this chain.
    """

    def __init__(self, url: str, chain: str, *, seed: int = 1, reorg_one_in: int = 20, deepest: int = 12) -> None:
        self._http = httpx.Client(base_url=url, timeout=20.0)
        self._draw = random.Random(seed)
        self._one_in, self._deepest = reorg_one_in, deepest
        known = coins()
        there = {name: [one for one in known[name].deployments if one.chain == chain] for name in STYLES}
        if missing := [name for name, found in there.items() if not found]:
            raise ConfigError(f"{' and '.join(missing)} not on {chain}")
        self.addresses = {name: found[0].address for name, found in there.items()}
        self._chain = chain_of(chain)
        self._sender = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def place(self) -> None:
        """Put the code of each token where the registry says that it stands.

        Raises:
            ConfigError: The node is of another chain.
            SourceError: It does not answer, or refuses.
        """
        wanted = self._chain.chain_id
        if (found := int(self.ask("eth_chainId"), 16)) != wanted:
            raise ConfigError(
                f"the node is of chain {found}; start it with --chain-id {wanted} to play {self._chain.name}"
            )
        self._sender = self.ask("eth_accounts")[0]
        for name, code in STYLES.items():
            self.ask("anvil_setCode", self.addresses[name], "0x" + code().hex())

    def step(self) -> Played:
        """A block with up to two calls of each token, or, where the seed says so, a reorganisation.

        Raises:
            SourceError: The node does not answer, or refuses.
        """
        head = int(self.ask("eth_blockNumber"), 16)
        if self._one_in and head > self._deepest and self._draw.randrange(self._one_in) == 0:
            depth = self._draw.randint(1, self._deepest)
            return Played(head, depth=depth, again=self._reorganise(head, depth))
        calls = [self._call(name) for name in STYLES for _ in range(self._draw.randrange(3))]
        self.ask("evm_mine")
        return Played(head + 1, tuple(calls))

    def supply(self, name: str) -> int:
        """What the token says of its supply now, in smallest units."""
        return self._word(name, selector("totalSupply()"))

    def send(self, name: str, signature: str, *arguments: int) -> str:
        """Hash of a transaction that calls a function of a token; it stands in the next block."""
        data = selector(signature) + b"".join(value.to_bytes(32, "big") for value in arguments)
        told = {"from": self._sender, "to": self.addresses[name], "data": "0x" + data.hex(), "gas": hex(GAS)}
        return str(self.ask("eth_sendTransaction", told))

    def reorganise(self, depth: int, again: Sequence[tuple[str, int]] = ()) -> None:
        """Replace the newest blocks.

        Args:
            depth: How many.
            again: Hashes of transactions of theirs that stand in the new ones too, each with its place among them.
        """
        stays = [[self.ask("eth_getRawTransactionByHash", sent), place] for sent, place in again]
        self.ask("anvil_reorg", depth, stays)

    def ask(self, method: str, *params: object) -> Any:
        """The result of one call.

        Raises:
            SourceError: There is none.
        """
        try:
            answer = self._http.post("", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            told = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as exc:
            raise SourceError(f"{self._http.base_url} does not answer {method}: {exc}", retryable=True) from exc
        if "error" in told:
            raise SourceError(f"{self._http.base_url} refuses {method}: {told['error']}", retryable=False)
        return told["result"]

    def _call(self, name: str) -> str:
        me = int(self._sender, 16)
        units = self._draw.randint(1, MOST)
        burn = self._draw.random() < 0.5
        wiped = self._draw.random() < 0.1
        # Without the calls before it in the same block: what is not there any more is refused, and logs nothing.
        if burn and (balance := self._word(name, selector("balanceOf(address)") + me.to_bytes(32, "big"))):
            units = min(units, balance)
            if name == "USDT" and wiped:
                self.send(name, "destroyBlackFunds(address)", me)
                return "USDT destroyBlackFunds"
            function = "burn" if name == "USDC" else "redeem"
            self.send(name, f"{function}(uint256)", units)
            return f"{name} {function} {units}"
        if name == "USDC":
            self.send(name, "mint(address,uint256)", me, units)
            return f"USDC mint {units}"
        self.send(name, "issue(uint256)", units)
        return f"USDT issue {units}"

    def _reorganise(self, head: int, depth: int) -> int:
        """Replace blocks; the first of their transactions stand in the new ones, in later blocks than before or not."""
        gone = [self.ask("eth_getBlockByNumber", hex(at), False) for at in range(head - depth + 1, head + 1)]
        sent = [one for block in gone for one in block["transactions"]]
        kept = sent[: self._draw.randint(0, len(sent))]  # one after another of one sender: none can be left out between
        places = sorted(self._draw.randrange(depth) for _ in kept)
        self.reorganise(depth, list(zip(kept, places, strict=True)))
        return len(kept)

    def _word(self, name: str, data: bytes) -> int:
        call = {"to": self.addresses[name], "data": "0x" + data.hex()}
        return int(self.ask("eth_call", call, "latest"), 16)
