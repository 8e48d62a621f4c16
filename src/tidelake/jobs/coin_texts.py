"""Texts on coins, of a folder of the user's and of services: kept verbatim in lane `coins.texts`, and scored together.

Any program that appends lines to a file `*.jsonl` in the folder is a source. A file may only grow: a line that is not
ended yet is waited for, and what was kept is not read again. Services are those of `providers.registry.TEXT_SOURCES`
whose keys are set; their answers lie in the same lane, as one score is made of all texts in the order in which they
were known.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from tidelake.config import setting
from tidelake.errors import FormatDrift, MissingExtra, StoreError
from tidelake.jobs.coin_polls import PollSettings
from tidelake.jobs.text_polls import TextPoll
from tidelake.providers.coin_source import CoinRef, Feature, received_us
from tidelake.providers.registry import TEXT_SOURCES
from tidelake.providers.text_source import TextSource
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import Frame
from tidelake.raw.lane import LaneWriter
from tidelake.raw.ledger import Ledger
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.answers import TURN_FEED
from tidelake.stablecoins.sources.feed import Health, Known, Turn
from tidelake.stablecoins.sources.sentiment import (
    FEED,
    HOUR_US,
    LANE,
    SOURCE,
    STEP_US,
    Polarity,
    SentimentReader,
    Text,
    TextReader,
    posts_of,
    vader,
)
from tidelake.transport.http import Answer, Http, Patience
from tidelake.transport.logger import logger

NO_FOLDER = "no texts are configured: setting `texts`, TIDELAKE_TEXTS"
SEAL_US = 300_000_000
READ = {("frame", FEED), ("note", TURN_FEED), *(("page", name) for name in TEXT_SOURCES)}  # kinds and feeds
SUBREDDITS = "CryptoCurrency,CryptoMarkets,defi,ethfinance"  # our choice, where the setting names none
ONE_TRY = Patience(attempts=1, total=10.0, timeout=10.0)  # lines of the folder wait for it


class TextFeed:
    """Sentiment of texts (`stablecoins.sources.feed.Feed`).

    Args:
        store: The lake's store.
        coins: Those that are followed.
        folder: Of files `*.jsonl`; default: the setting `texts`. Without one the feed is absent.
        polarity: Scores one text; default: VADER, and without the extra the feed is absent.
        sources: Services that are asked, each where its keys are set.
        polls: How they are asked.
        open_http: The client by which they are.
        when_said: Let `history` count texts from when they were said, as if each had been known at once.
        clock: Wall clock, ns since 1970.
    """

    name: str = SOURCE
    features: tuple[Feature, ...] = ("sentiment",)
    interval_s: float = 10.0

    def __init__(
        self,
        store: Store,
        coins: Sequence[CoinRef],
        *,
        folder: Path | str | None = None,
        polarity: Polarity | None = None,
        sources: Sequence[TextSource] = (),
        polls: PollSettings | None = None,
        open_http: Callable[[], Http] = lambda: Http(patience=ONE_TRY),
        when_said: bool = False,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._symbols = tuple(coin.symbol for coin in coins)
        self._when_said = when_said
        self._clock = clock
        self._polarity = polarity
        self._absent = ""
        where = setting("texts", folder, default="")
        self._folder = Path(where) if where else None
        self._open_http = open_http
        self._polls = self._make_polls(sources, polls or PollSettings(clock=clock))
        if self._folder is None and all(poll.absent for poll in self._polls):
            self._absent = NO_FOLDER
        elif polarity is None:
            try:
                self._polarity = vader()
            except MissingExtra as exc:
                self._absent = str(exc)
                for poll in self._polls:
                    poll.absent = poll.absent or self._absent
        self._lane: LaneWriter | None = None
        if not self._absent:  # opened now: it seals what a killed writer left, for `history` to tell
            key = key_from_environment()
            self._lane = LaneWriter(store, LANE, SOURCE, describe=claim_nothing, key=key, clock=clock)
        self._reader: SentimentReader | None = None
        self._left: Counter[str] = Counter()  # lines of each file that were kept before this start
        self._offsets: dict[str, int] = {}
        self._sealed_us = 0
        self._answered_us: int | None = None
        self._asked_us: int | None = None
        self._ticks = self._failures = 0
        self._reason = ""

    def _make_polls(self, sources: Sequence[TextSource], settings: PollSettings) -> list[TextPoll]:
        if not sources:
            return []
        subreddits = [name.strip() for name in setting("subreddits", default=SUBREDDITS).split(",") if name.strip()]
        return [TextPoll(source, self._symbols, subreddits, settings) for source in sources]

    async def tick(self) -> list[Known]:
        if self._absent or self._polarity is None or self._lane is None:
            return []
        if self._reader is None:
            self._reader = self._read_lane(self._polarity)
        self._asked_us = received_us(self._clock())
        found: list[Known] = []
        try:
            for name, line in () if self._folder is None else self._new_lines(self._folder):
                found += self._reader.read(self._keep(self._lane, name, line))
        except (OSError, FormatDrift) as exc:
            self._failures += 1
            self._reason = str(exc)
        else:
            self._ticks += 1
            self._reason = ""
        await self._ask(self._reader, self._lane, found)
        now_us = received_us(self._clock())
        found += self._reader.pass_time(now_us)
        if found:
            self._answered_us = found[-1].known_us
        if now_us - self._sealed_us >= SEAL_US:
            self._sealed_us = now_us
            try:
                self._lane.seal()
            except StoreError as exc:  # the lines stay in the part file, and are sealed the next time
                logger().warning("not sealed", source=self.name, reason=str(exc))
        return found

    async def _ask(self, reader: SentimentReader, lane: LaneWriter, found: list[Known]) -> None:
        """Ask the services that are due; what their answers tell goes to `found`, in the order of the lane."""

        async def ask(http: Http, poll: TextPoll) -> None:
            await poll.round(
                http,
                lambda answer: found.extend(reader.read(_keep_page(lane, poll.source, answer))),
                lambda turn: found.extend(reader.read(_keep_turn(lane, turn))),
            )

        if due := [poll for poll in self._polls if poll.due]:
            async with self._open_http() as http:
                await asyncio.gather(*(ask(http, poll) for poll in due))

    def _read_lane(self, polarity: Polarity) -> SentimentReader:
        """A reader that has read what the lane holds; what that tells is history."""
        reader = SentimentReader(self._symbols, polarity)
        for frame in self._frames():
            self._left[frame.request] += frame.kind == "frame"
            reader.read(frame)
        now_us = received_us(self._clock())
        reader.pass_time(now_us)
        self._sealed_us = now_us
        return reader

    def _keep(self, lane: LaneWriter, name: str, line: bytes) -> Frame:
        return lane.append(payload=line, kind="frame", request=f"file {name}", feed=FEED)

    def _new_lines(self, folder: Path) -> Iterator[tuple[str, bytes]]:
        """Lines that were ended since the last tick, file by file."""
        if not folder.is_dir():
            raise FormatDrift(f"{folder} is no folder")
        for path in sorted(folder.glob("*.jsonl")):
            offset = self._offsets.get(path.name, 0)
            if path.stat().st_size < offset:
                raise FormatDrift(f"{path.name} is shorter than it was; a file of texts may only grow")
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    if line.strip():
                        if self._left[f"file {path.name}"]:
                            self._left[f"file {path.name}"] -= 1
                        else:
                            yield path.name, line.removesuffix(b"\n")
                    self._offsets[path.name] = offset = offset + len(line)  # only now: it is kept

    def history(self, since_us: int = 0) -> Iterator[Known]:
        """Scores of the texts in the lake that were known after a time, up to an hour after the last or to now.

        Intervals that ended while nobody ran the feed are told too.
        """
        yield from (known for known in self._scores() if known.known_us > since_us)

    def _scores(self) -> Iterator[Known]:
        if self._polarity is None:
            return
        reader = SentimentReader(self._symbols, self._polarity)
        if self._when_said:
            yield from self._as_said(reader)
            return
        last_us = 0
        for frame in self._frames():
            last_us = max(last_us, received_us(frame.recv_ns))
            yield from reader.read(frame)
        yield from reader.pass_time(min(received_us(self._clock()), last_us + HOUR_US + STEP_US))

    def _as_said(self, reader: SentimentReader) -> Iterator[Known]:
        lines = TextReader(self._symbols)
        texts: list[Text] = []
        taken: set[str] = set()
        for frame in self._frames():
            try:
                texts += _texts(frame, lines, taken)
            except FormatDrift:
                continue
        for text in sorted(texts, key=lambda text: text.said_us):
            yield from reader.pass_time(text.said_us)
            yield from reader.take(text, text.said_us)
        if texts:
            yield from reader.pass_time(max(text.said_us for text in texts) + HOUR_US + STEP_US)

    def _frames(self) -> Iterator[Frame]:
        for entry in Ledger(self._store).entries(LANE):
            for frame in iter_frames(self._store, entry.segment, key_from_environment()):
                if (frame.kind, frame.feed) in READ:
                    yield frame

    def health(self) -> list[Health]:
        reader = self._reader
        read = 0 if reader is None else reader.texts
        return [
            Health(
                name=self.name,
                features=self.features,
                condition="absent" if self._absent else "failing" if self._reason else "up" if read else "waiting",
                reason=self._absent or self._reason,
                interval_s=self.interval_s,
                last_answer_us=self._answered_us,
                last_asked_us=self._asked_us,
                answers=self._ticks,
                failures=self._failures,
                refused=0 if reader is None else reader.refused,
            ),
            *(poll.health() for poll in self._polls),
        ]

    async def close(self) -> None:
        if self._lane is not None:
            self._lane.close()


def _keep_page(lane: LaneWriter, source: TextSource, answer: Answer) -> Frame:
    return lane.append(
        payload=answer.body,
        kind="page",
        request=f"GET {answer.url}",
        feed=source.name,
        status=answer.status,
        recv_ns=answer.recv_ns,
        mono_ns=answer.mono_ns,
    )


def _keep_turn(lane: LaneWriter, turn: Turn) -> Frame:
    return lane.append(payload=msgspec.json.encode(turn), kind="note", feed=TURN_FEED)


def _texts(frame: Frame, reader: TextReader, taken: set[str]) -> Iterator[Text]:
    """Texts of a frame; posts that were taken before are left out."""
    if frame.kind == "frame":
        yield reader.read(frame.payload, frame.recv_ns)
    if frame.kind != "page":
        return
    for name, post in posts_of(frame):
        if name in taken:
            continue
        try:
            text = reader.read_post(post, frame.recv_ns)
        except FormatDrift:
            continue
        taken.add(name)
        yield text
