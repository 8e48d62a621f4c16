"""Lanes of answers of providers: frame by frame into facts; a poll and the reading of the lake both run this."""

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from tidelake.errors import FormatDrift
from tidelake.providers.coin_answers import Refused
from tidelake.providers.coin_source import CoinRef, CoinSource, received_us
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import Ledger, lane_name
from tidelake.raw.segments import iter_frames, segment_name
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.feed import Known, Turn

FEED = "coin_facts"
TURN_FEED = "source_turns"
MOST_REFUSED = 100


def answers_lane(source: str) -> str:
    """The lane of what a source answered as it was polled, and of its turns."""
    return lane_name("coins", source)


def past_lane(source: str) -> str:
    """The lane of what a source answered of the past: known when it was asked, not when it was so."""
    return lane_name("coins", source, "past")


class AnswerReader:
    """Facts of one lane, from its frames in order.

    Args:
        source: The source that the lane is of.
        coins: The coins that are followed: others are passed over.
        known_ns: Largest receive clock of the lane before the first frame.

    Attributes:
        refusals: How many values were told and not taken.
        refused: The last of them.
    """

    def __init__(self, source: CoinSource, coins: Sequence[CoinRef], known_ns: int = 0) -> None:
        self.refusals = 0
        self.refused: deque[Refused] = deque(maxlen=MOST_REFUSED)
        self._source = source
        self._coins = coins
        self._known_ns = known_ns

    def read(self, frame: Frame) -> list[Known]:
        """What a frame tells; nothing where it is an answer that is none (another status than 200).

        Raises:
            FormatDrift: The answer is of another form.
        """
        self._known_ns = max(self._known_ns, frame.recv_ns)
        known_us = received_us(self._known_ns)
        if frame.kind == "note" and frame.feed == TURN_FEED:
            return [Known(msgspec.json.decode(frame.payload, type=Turn), known_us)]
        if frame.kind != "page" or frame.feed != FEED or frame.status != 200:
            return []
        answer = self._source.read(frame.request, frame.payload, frame.recv_ns, self._coins)
        self.refusals += len(answer.refused)
        self.refused += answer.refused
        return [Known(fact, known_us) for fact in answer.facts]


def placed_answers(
    store: Store, source: CoinSource, coins: Sequence[CoinRef], since_us: int, until_us: int
) -> Iterator[tuple[Known, str]]:
    """What a source's lane told between two times, ends included, and where: as `tidelake explain` takes it."""
    lane = answers_lane(source.name)
    reader = AnswerReader(source, coins)
    for entry in Ledger(store).entries(lane):
        for line, frame in enumerate(iter_frames(store, entry.segment, key_from_environment())):
            try:
                told = reader.read(frame)
            except FormatDrift:
                continue
            for known in told:
                if known.known_us > until_us:
                    return
                if known.known_us >= since_us:
                    yield known, f"{segment_name(entry.segment)}:{line}"


def read_answers(
    store: Store, lane: str, source: CoinSource, coins: Sequence[CoinRef], since_us: int = 0
) -> Iterator[Known]:
    """What a lane tells that was known after a time, us UTC, in its order.

    An answer of another form tells nothing, as when it was polled.
    """
    reader = None
    for entry in Ledger(store).entries(lane):
        if received_us(entry.known_ns) <= since_us:
            continue
        reader = reader or AnswerReader(source, coins, entry.known_before_ns)
        for frame in iter_frames(store, entry.segment, key_from_environment()):
            try:
                yield from (known for known in reader.read(frame) if known.known_us > since_us)
            except FormatDrift:
                continue
