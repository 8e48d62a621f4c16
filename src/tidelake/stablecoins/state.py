"""All that the machine of a coin remembers; JSON can hold it."""

import msgspec

from tidelake.errors import ConfigError
from tidelake.stablecoins.alerts import AlertBook
from tidelake.stablecoins.lane import ALWAYS_US, NEVER_US, Lane
from tidelake.stablecoins.observation import MICROS
from tidelake.stablecoins.records import WindowRow
from tidelake.stablecoins.setup import NO_END_US, CoinSetup
from tidelake.stablecoins.signals import History, Rules
from tidelake.stablecoins.windows import DECIMALS


class Track(msgspec.Struct):
    """The windows of one scope and length.

    Attributes:
        closed_us: Windows that end here or earlier are closed.
        final_us: Windows that end here or earlier are FINAL, or were let go as PROVISIONAL.
        told_us: For each tier, the end of the windows whose rows know that their blocks have it.
        standing: The last row of each PROVISIONAL window, by start.
        dirty: Starts of those whose facts changed.
        ripe: Starts of those whose blocks reached another tier.
        sequence, sha256: The next attestation's place, and the hash of the one before.
        past: What its windows said before.
    """

    chain: str
    window_us: int
    closed_us: int
    final_us: int
    told_us: list[int]
    standing: dict[int, WindowRow] = {}
    dirty: set[int] = set()
    ripe: set[int] = set()
    sequence: int = 0
    sha256: str = "0" * 64
    past: History = msgspec.field(default_factory=History)

    def let_go(self, until_us: int) -> int:
        """Forget closed windows that end by then and are not FINAL; how many."""
        until_us = min(until_us - until_us % self.window_us, self.closed_us)
        count = max(until_us - self.final_us, 0) // self.window_us
        if count:
            self.final_us = until_us
            self.standing = {start: row for start, row in self.standing.items() if start >= until_us}
            self.dirty = {start for start in self.dirty if start >= until_us}
            self.ripe = {start for start in self.ripe if start >= until_us}
        return count


class State(msgspec.Struct):
    """All that the machine remembers; JSON can hold it.

    Attributes:
        clock_us: The event clock.
        known_us: The latest time at which anything was known.
        next_us: The clock at which the next windows close.
        lanes: By chain; "" is the market.
        tracks: Chains in the order of the setup, then all chains; of each the shortest windows first.
        duplicates, after_final, refused: How many came again, came for a FINAL window, could not be taken.
    """

    clock_us: int
    known_us: int
    next_us: int
    lanes: dict[str, Lane]
    tracks: list[Track]
    book: AlertBook
    duplicates: int = 0
    after_final: int = 0
    refused: int = 0


def new_state(setup: CoinSetup, rules: Rules) -> State:
    """The state before anything was told.

    Raises:
        ConfigError: The setup has no window, lengths do not divide the longest, or it begins or ends within one.
    """
    lengths = sorted(seconds * MICROS for seconds in setup.windows_s)
    if not lengths or any(lengths[-1] % each for each in lengths):
        raise ConfigError(f"{setup.coin}: needs lengths of windows that divide the longest")
    if setup.begin_us % lengths[-1] or any(not 0 <= chain.decimals <= DECIMALS for chain in setup.chains):
        raise ConfigError(f"{setup.coin}: begins within a window, or a chain has more than {DECIMALS} decimals")
    if setup.end_us <= setup.begin_us or (setup.end_us != NO_END_US and setup.end_us % lengths[-1]):
        raise ConfigError(f"{setup.coin}: ends within a window, or before it begins")
    begin = setup.begin_us
    lanes = {"": Lane("", (ALWAYS_US,) * 3)}
    for chain in setup.chains:
        passed = NEVER_US if chain.follows_heads else ALWAYS_US
        lanes[chain.name] = Lane(chain.name, (passed,) * 3)
    scopes = [*(chain.name for chain in setup.chains), ""]
    tracks = [Track(scope, length, begin, begin, [begin] * 3) for scope in scopes for length in lengths]
    return State(begin, 0, begin + lengths[0], lanes, tracks, AlertBook(rules.depeg[0]))
