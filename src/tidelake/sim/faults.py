"""Planned faults of a simulated venue: which answers go wrong, which trades are missing, and a record of what was done.

Whether a request is hit depends only on the plan's seed, the rule, the request and how often it was asked before,
never on the order in which concurrent clients arrive, so the same client meets the same faults again.
"""

import threading
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from tidelake.errors import ConfigError

Kind = Literal["429", "429-bare", "5xx", "slow", "torn", "truncated", "html", "empty", "repeat"]
KINDS: tuple[str, ...] = get_args(Kind)
ONLY_TRADES = ("empty", "repeat")
HELP = """\
  429:P        rate limit answer with Retry-After       429-bare:P  the same without Retry-After
  5xx:P        500, 502, 503 or 504                     slow:P=S    the answer comes S seconds late
  torn:P       connection cut in mid-body               truncated:P JSON cut short, right length
  html:P       an HTML page with status 200             empty:P     a good answer without its trades
  repeat:P     the symbol's previous page again          late:P=S    a trade shows S seconds after its time
  lost-run:A-B[@K|@Ss][/SYMBOL]   trades A to B are missing: for ever, the first K times asked, or for S seconds
  jump:A+N     the venue's numbers skip N after trade A
  P is a probability (0.1), or #3 or #3-5: exactly the third (to fifth) request"""


@dataclass(frozen=True)
class Rule:
    """Answers of this kind of fault: with a probability per request, or at exactly these requests (counted from 1)."""

    kind: Kind
    probability: float = 0.0
    first: int = 0
    last: int = 0
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"no fault {self.kind!r}; there are:\n{HELP}", tried=KINDS)
        if not 0 <= self.probability <= 1:
            raise ConfigError(f"fault {self.kind}: probability {self.probability} is not between 0 and 1")


@dataclass(frozen=True)
class LostRun:
    """Trades first..last (counts from 1, both lost) are missing from answers, then heal.

    Attributes:
        asks: Missing from the first this many answers that would hold them; 0: see `seconds`.
        seconds: Missing for this long (market clock) after first asked for; 0 with asks 0: for ever.
        symbol: Canonical symbol; "" means every symbol.
    """

    first: int
    last: int
    asks: int = 0
    seconds: float = 0.0
    symbol: str = ""


@dataclass(frozen=True)
class Late:
    """With this probability a trade shows only `seconds` after its time, when newer ones have been shown."""

    probability: float
    seconds: float


@dataclass(frozen=True)
class FaultPlan:
    """All that goes wrong at one venue.

    Attributes:
        rules: Faults of answers; of those that hit one request, the first counts (`slow` adds to any other).
        lost_runs, late, jumps: Faults of trades; a jump is (at, by).
        seed: Same seed, same faults.
    """

    rules: tuple[Rule, ...] = ()
    lost_runs: tuple[LostRun, ...] = ()
    late: tuple[Late, ...] = ()
    jumps: tuple[tuple[int, int], ...] = ()
    seed: int = 1

    @classmethod
    def parse(cls, text: str, seed: int = 1) -> "FaultPlan":
        """The plan of a short text such as "429:0.1,torn:#3,lost-run:1000-1020@3"; empty text is no fault.

        Raises:
            ConfigError: A part is not understood.
        """
        plan = cls(seed=seed)
        for part in filter(None, (part.strip() for part in text.split(","))):
            plan = plan._with(part)
        return plan

    def _with(self, part: str) -> "FaultPlan":
        name, _, rest = part.partition(":")
        try:
            if name == "lost-run":
                return replace(self, lost_runs=(*self.lost_runs, _lost_run(rest)))
            if name == "late":
                probability, _, seconds = rest.partition("=")
                return replace(self, late=(*self.late, Late(float(probability), float(seconds or 30))))
            if name == "jump":
                at, _, by = rest.partition("+")
                return replace(self, jumps=(*self.jumps, (int(at), int(by))))
            return replace(self, rules=(*self.rules, _rule(name, rest)))
        except ValueError as exc:
            raise ConfigError(f"fault {part!r} is not understood ({exc}); there are:\n{HELP}") from exc


def _rule(name: str, rest: str) -> Rule:
    when, _, seconds = rest.partition("=")
    wait = float(seconds) if seconds else 1.0
    if when.startswith("#"):
        first, _, last = when[1:].partition("-")
        return Rule(name, 0.0, int(first), int(last or first), wait)  # type: ignore[arg-type]
    return Rule(name, float(when or 1), seconds=wait)  # type: ignore[arg-type]


def _lost_run(rest: str) -> LostRun:
    rest, _, symbol = rest.partition("/")
    span, _, heal = rest.partition("@")
    first, _, last = span.partition("-")
    if heal.endswith("s"):
        return LostRun(int(first), int(last or first), 0, float(heal[:-1]), symbol)
    return LostRun(int(first), int(last or first), int(heal or 0), 0.0, symbol)


@dataclass(frozen=True)
class Injected:
    """One fault that was injected.

    Attributes:
        at: Order over all venues of the process.
        kind: A `Kind`, "lost-run" or "late".
        source, path, query: The request.
        number: Which request of the venue it was, from 1.
        now_ns: The market's clock.
        first, last: Counts of the trades that were left out, where there were any.
        symbol: Canonical symbol of those trades.
    """

    at: int
    kind: str
    source: str
    path: str
    query: dict[str, str]
    number: int
    now_ns: int
    first: int = 0
    last: int = 0
    symbol: str = ""


@dataclass
class Record:
    """The list of injected faults of one venue, safe to read while it grows."""

    source: str
    injected: list[Injected] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, request: "Asked", **trades: Any) -> None:
        """Notes one fault."""
        asked = (self.source, request.path, request.query, request.number, request.now_ns)
        self.injected.append(Injected(_next(), kind, *asked, **trades))


@dataclass(frozen=True)
class Asked:
    """One request as the plan sees it: `nth` counts equal requests from 1, `number` all of the venue's."""

    path: str
    query: dict[str, str]
    nth: int
    number: int
    now_ns: int


_counter = 0
_counter_lock = threading.Lock()


def _next() -> int:
    global _counter
    with _counter_lock:
        _counter += 1
        return _counter
