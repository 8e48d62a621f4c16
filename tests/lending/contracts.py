"""Contracts of a pretended chain: tables of answers, encoded by eth-abi and by nothing of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tidelake.chains.multicall import CallResult


@dataclass
class Market:
    contracts: Mapping[str, str]
    id: str = "market"
    known_tokens: Sequence[str] = ()


def selector(signature):
    return keccak(signature.encode())[:4]


def address(n):
    return "0x" + f"{n:040x}"


class PretendedChain:
    """Answers calls from a table; an address without an entry holds no contract, an entry without a function fails."""

    def __init__(self):
        self.answers = {}
        self.contracts = set()
        self.rounds = []

    def says(self, contract, signature, types, values, arguments=((), ())):
        self.contracts.add(contract.lower())
        data = selector(signature) + encode(*arguments)
        self.answers[contract.lower(), data] = encode(types, values)

    def exists(self, contract):
        self.contracts.add(contract.lower())

    def answer(self, call):
        if call.to.lower() not in self.contracts:
            return CallResult(True, b"")
        found = self.answers.get((call.to.lower(), call.data))
        return CallResult(found is not None, found or b"")

    def drive(self, asking):
        """The result of a generator of calls, and how many each of its rounds made (`rounds`)."""
        self.rounds = []
        try:
            calls = next(asking)
            while True:
                self.rounds.append(len(calls))
                calls = asking.send([self.answer(call) for call in calls])
        except StopIteration as done:
            return done.value
