"""Planned faults of a simulated node, and a record of what was done.

Whether a request is hit depends only on the plan's seed, the fault, the request and how often it was asked before,
never on the order in which concurrent clients arrive; faults of state hold for every request.
"""

import datetime as dt
import threading
from collections import Counter
from dataclasses import dataclass, replace

from tidelake.errors import ConfigError
from tidelake.sim.chains.draws import Draws

OF_REQUESTS = ("429", "429-bare", "5xx", "slow", "torn", "html")
OF_LOGS = ("empty-logs", "truncated-logs", "changed-logs")
HELP = """\
  429:P, 429-bare:P    refused for the rate, with and without Retry-After
  5xx:P  html:P  torn:P  slow:P=S    a gateway's error, a page with status 200, a cut body, an answer S seconds late
  empty-logs:P  truncated-logs:P  changed-logs:P    eth_getLogs without any, without the later half, with one changed
  pruned:N  pruned-empty:N    no state and no logs older than N blocks: an error, or nothing
  lag:N    N blocks behind the head      orphan:A[-B]    other blocks A to B, as nobody else has
  down:YYYY-MM-DD    internal errors for blocks of that UTC day      wrong-chain:ID    the node of another chain
  P is a probability (0.1), or #3 or #3-5: exactly the third (to fifth) request (of logs: call)"""


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault with a probability, or at exactly these requests, counted from 1."""

    kind: str
    probability: float = 0.0
    first: int = 0
    last: int = 0
    seconds: float = 1.0


@dataclass(frozen=True)
class ChainFaults:
    """All that is wrong with a node.

    Attributes:
        rules: Faults of single requests and calls; of those that hit one, the first counts (`slow` adds to any other).
        pruned: Blocks behind the head that have state and logs; None for all.
        pruned_empty: Whether older ones are answered with nothing, not with an error.
        lag: Blocks that it is behind.
        orphan: First and last block that are others there.
        down: UTC days for whose blocks it fails.
        chain_id: What it says it is; None for the truth.
        seed: Same seed, same faults.
    """

    rules: tuple[Rule, ...] = ()
    pruned: int | None = None
    pruned_empty: bool = False
    lag: int = 0
    orphan: tuple[int, int] | None = None
    down: frozenset[dt.date] = frozenset()
    chain_id: int | None = None
    seed: int = 1

    @classmethod
    def parse(cls, text: str, seed: int = 1) -> "ChainFaults":
        """The plan of a short text such as "429:0.1,lag:50,down:2025-03-04"; empty text is no fault.

        Raises:
            ConfigError: A part is not understood.
        """
        plan = cls(seed=seed)
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                plan = plan._with(*part.partition(":")[::2])
            except ValueError as exc:
                raise ConfigError(f"fault {part!r} is not understood ({exc}); there are:\n{HELP}") from exc
        return plan

    def _with(self, kind: str, rest: str) -> "ChainFaults":
        if kind in ("pruned", "pruned-empty"):
            return replace(self, pruned=int(rest), pruned_empty=kind == "pruned-empty")
        if kind == "lag":
            return replace(self, lag=int(rest))
        if kind == "orphan":
            first, _, last = rest.partition("-")
            return replace(self, orphan=(int(first), int(last or first)))
        if kind == "down":
            return replace(self, down=self.down | {dt.date.fromisoformat(rest)})
        if kind == "wrong-chain":
            return replace(self, chain_id=int(rest))
        return replace(self, rules=(*self.rules, _rule(kind, rest)))


def _rule(kind: str, rest: str) -> Rule:
    if kind not in OF_REQUESTS + OF_LOGS:
        raise ValueError(f"no fault {kind!r}")
    when, _, seconds = rest.partition("=")
    wait = float(seconds) if seconds else 1.0
    if when.startswith("#"):
        first, _, last = when[1:].partition("-")
        return Rule(kind, 0.0, int(first), int(last or first), wait)
    probability = float(when or 1)
    if not 0 <= probability <= 1:
        raise ValueError(f"probability {probability} is not between 0 and 1")
    return Rule(kind, probability, seconds=wait)


@dataclass(frozen=True, slots=True)
class Done:
    """One fault of a request or call that was done: which, to which one (from 1), and the method where it is a call."""

    kind: str
    number: int
    method: str = ""


class FaultyRequests:
    """Which rules hit a request; one counter for requests, one for calls of logs."""

    def __init__(self, plan: ChainFaults) -> None:
        self._plan = plan
        self._draws = Draws("chain faults", plan.seed)
        self._asked: Counter[bytes] = Counter()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.done: list[Done] = []

    def hit(self, kinds: tuple[str, ...], asked: bytes, method: str = "") -> list[Rule]:
        """The rules of these kinds that hit a request, which is counted."""
        rules = [rule for rule in self._plan.rules if rule.kind in kinds]
        if not rules:
            return []
        with self._lock:
            key = self._draws.octets(kinds, asked)
            self._asked[key] += 1
            self._numbers[kinds[0]] += 1
            nth, number = self._asked[key], self._numbers[kinds[0]]
            found = [rule for rule in rules if self._hits(rule, key, nth, number)]
            self.done += [Done(rule.kind, number, method) for rule in found]
        return found

    def _hits(self, rule: Rule, key: bytes, nth: int, number: int) -> bool:
        if rule.first:
            return rule.first <= number <= rule.last
        return self._draws.below(10**9, rule.kind, key, nth) < rule.probability * 10**9
