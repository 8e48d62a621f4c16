"""What texts say of coins, as a score from -1 to 1: VADER with our lexicon, averaged over an hour.

Scorer:  C. Hutto, E. Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM
         2014; package vaderSentiment (MIT), extra `sentiment`. The compound score of a text, to four digits, as the
         package tells it. It knows English alone.
Rule:    A coin's score is the mean over the texts of the last hour that speak of it, each counted once. It is told when
         it moved by 0.1 or more since it was last told, and at each end of five minutes; where the hour holds no text
         there is no score. The hour, the step and 0.1 are our choice.
Posts:   Answers of `providers.registry.TEXT_SOURCES`: a post counts once, by its id, from the first answer with it.
Texts:   JSON objects, one a line: `text`; `time`, ISO 8601 with zone or seconds since 1970; `coin`, a symbol, or
         without it the symbols that the text names (USDC or $usdc). Other fields are passed over.

A text counts from when we knew it. One that was then older than the hour is passed over.
"""

import datetime as dt
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from tidelake.errors import FormatDrift
from tidelake.extras import require
from tidelake.providers.coin_answers import FIRST_US
from tidelake.providers.coin_source import CoinFact, received_us
from tidelake.providers.registry import TEXT_SOURCES
from tidelake.providers.text_source import Post
from tidelake.raw.frame import Frame
from tidelake.raw.ledger import lane_name
from tidelake.stablecoins.sources.feed import Known, Turn
from tidelake.stablecoins.sources.lexicon import WORDS

LANE: Final = lane_name("coins", "texts")
FEED: Final = "coin_texts"
SOURCE: Final = "vader"
HOUR_US: Final = 3_600_000_000
STEP_US: Final = 300_000_000
MOVED: Final = 1_000  # ten-thousandths
AHEAD_US: Final = 600_000_000  # our choice: so far the two clocks may differ
MOST_LETTERS: Final = 10_000  # of a text that are read: more takes long and says no more

Polarity = Callable[[str], Decimal]


class Text(msgspec.Struct, frozen=True):
    """A text, when it was said (us UTC), and the coins that it speaks of."""

    said_us: int
    text: str
    coins: tuple[str, ...]


class _Line(msgspec.Struct):
    text: str
    time: str | int | float
    coin: str = ""


_line_of = msgspec.json.Decoder(_Line).decode


def vader() -> Polarity:
    """The compound score of a text, from -1 to 1 in ten-thousandths.

    Raises:
        MissingExtra: vaderSentiment is not installed.
    """
    analyzer = require("vaderSentiment.vaderSentiment", "sentiment").SentimentIntensityAnalyzer()
    analyzer.lexicon.update(WORDS)

    def polarity(text: str) -> Decimal:
        return Decimal(str(analyzer.polarity_scores(text[:MOST_LETTERS])["compound"]))

    return polarity


class TextReader:
    """Lines to texts.

    Args:
        symbols: Of the coins that are followed.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = {symbol.lower(): symbol for symbol in symbols}
        names = "|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))
        self._named = re.compile(rf"(?<![\w.$])(?:({names})|\$((?i:{names})))(?!\w)") if names else None

    def read(self, line: bytes, recv_ns: int) -> Text:
        """The text of a line that was received then.

        Raises:
            FormatDrift: It is of another form, or its time cannot be.
        """
        try:
            return self._text(_line_of(line), recv_ns)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise FormatDrift(f"a text: {exc}") from exc

    def read_post(self, post: Post, recv_ns: int) -> Text:
        """The text of a post that was received then.

        Raises:
            FormatDrift: It is empty, or its time cannot be.
        """
        return self._text(_Line(post.text, post.time), recv_ns)

    def _text(self, told: _Line, recv_ns: int) -> Text:
        said_us = _time_us(told.time)
        if said_us is None or not FIRST_US <= said_us <= received_us(recv_ns) + AHEAD_US:
            raise FormatDrift(f"a text: {str(told.time)[:60]!r} is no time with a zone between 2013 and its receipt")
        if not told.text.strip():
            raise FormatDrift("a text: it is empty")
        return Text(said_us, told.text, self._coins(told))

    def _coins(self, told: _Line) -> tuple[str, ...]:
        if told.coin:
            found = self._symbols.get(told.coin.lower())
            return () if found is None else (found,)
        if self._named is None:
            return ()
        names = (plain or dollar for plain, dollar in self._named.findall(told.text))
        return tuple(dict.fromkeys(self._symbols[name.lower()] for name in names))


def _time_us(told: str | int | float) -> int | None:
    if not isinstance(told, str):
        return round(told * 1_000_000) if abs(told) < 1e12 else None
    try:
        time = dt.datetime.fromisoformat(told)
    except ValueError:
        return None
    return (time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1) if time.tzinfo else None


def posts_of(page: Frame) -> Iterator[tuple[str, Post]]:
    """Posts of an answer, the first that were told last, each with an id that is unique among all sources.

    Raises:
        FormatDrift: The answer is of another form.
    """
    for post in reversed(TEXT_SOURCES[page.feed].read(page.payload)):
        yield f"{page.feed}:{post.id}", post


class Scores:
    """Texts to scores, by a clock that never goes back."""

    def __init__(self) -> None:
        self._texts: dict[str, deque[tuple[int, int]]] = {}  # moment, ten-thousandths
        self._sums: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._passed_us = 0

    def take(self, at_us: int, coin: str, polarity: Decimal) -> list[Known]:
        """A text on a coin counts from this moment on: its score, where it moved. First comes `pass_time` up to it."""
        units = int(polarity.scaleb(4))
        self._texts.setdefault(coin, deque()).append((at_us, units))
        self._sums[coin] = self._sums.get(coin, 0) + units
        self._forget(coin, at_us)
        count, told = len(self._texts[coin]), self._told.get(coin)
        if told is not None and abs(self._sums[coin] - told * count) < MOVED * count:
            return []
        return [self._tell(coin, at_us, at_us)]

    def pass_time(self, until_us: int) -> list[Known]:
        """Scores at the ends of five minutes up to and with this moment, of coins with a text in the hour before."""
        found: list[Known] = []
        end = max(self._passed_us // STEP_US, min((held[0][0] for held in self._texts.values()), default=0) // STEP_US)
        while (end := end + 1) * STEP_US <= until_us and self._texts:
            for coin in sorted(self._texts):
                self._forget(coin, end * STEP_US)
                if coin in self._texts:
                    found.append(self._tell(coin, end * STEP_US - 1, end * STEP_US))
        self._passed_us = max(self._passed_us, until_us)
        return found

    def _forget(self, coin: str, now_us: int) -> None:
        held = self._texts[coin]
        while held and held[0][0] <= now_us - HOUR_US:
            self._sums[coin] -= held.popleft()[1]
        if not held:
            del self._texts[coin], self._sums[coin]
            self._told.pop(coin, None)

    def _tell(self, coin: str, event_us: int, known_us: int) -> Known:
        mean = Decimal(self._sums[coin]) / len(self._texts[coin])
        self._told[coin] = round(mean)
        score = (mean / 10_000).quantize(Decimal("0.0001"))
        return Known(CoinFact("sentiment", coin, "", SOURCE, event_us, score), known_us)


class SentimentReader:
    """Frames of the lane of texts to scores and turns, in order; a live feed and the reading of the lake both run this.

    Args:
        symbols: Of the coins that are followed.
        polarity: Scores one text.

    Attributes:
        texts: How many were read.
        refused: How many lines were not taken: no texts, or older than the hour.
        reason: Why the last of them was not.
    """

    def __init__(self, symbols: Sequence[str], polarity: Polarity) -> None:
        self.texts = self.refused = 0
        self.reason = ""
        self._reader = TextReader(symbols)
        self._polarity = polarity
        self._scores = Scores()
        self._known_us = 0
        self._taken: dict[str, int] = {}  # posts of the hour, and when they were said

    def read(self, frame: Frame) -> list[Known]:
        """Scores that a frame brings, those of intervals that ended before it included."""
        self._known_us = max(self._known_us, received_us(frame.recv_ns))
        found = self._scores.pass_time(self._known_us)
        if frame.kind == "note":
            return [*found, Known(msgspec.json.decode(frame.payload, type=Turn), self._known_us)]
        if frame.kind == "page":
            return self._read_page(frame, found)
        try:
            text = self._reader.read(frame.payload, frame.recv_ns)
        except FormatDrift as exc:
            return self._refuse(str(exc), found)
        if text.said_us <= self._known_us - HOUR_US:
            return self._refuse("a text: it was older than an hour when it was known", found)
        return found + self.take(text, self._known_us)

    def _read_page(self, page: Frame, found: list[Known]) -> list[Known]:
        """Scores that an answer brings: of each coin the last, as all its posts are known at once."""
        begin_us = self._known_us - HOUR_US
        self._taken = {name: said_us for name, said_us in self._taken.items() if said_us > begin_us}
        last: dict[str, Known] = {}
        try:
            for name, post in posts_of(page):
                try:
                    text = self._reader.read_post(post, page.recv_ns)
                except FormatDrift as exc:
                    self._refuse(str(exc), found)
                    continue
                if text.said_us > begin_us and name not in self._taken:
                    self._taken[name] = text.said_us
                    last |= dict(self._take(text, self._known_us))
        except FormatDrift as exc:
            self._refuse(str(exc), found)
        return found + list(last.values())

    def _refuse(self, reason: str, found: list[Known]) -> list[Known]:
        self.refused += 1
        self.reason = reason
        return found

    def take(self, text: Text, at_us: int) -> list[Known]:
        """Scores that a text brings at a moment."""
        return [known for _, known in self._take(text, at_us)]

    def _take(self, text: Text, at_us: int) -> list[tuple[str, Known]]:
        self.texts += 1
        polarity = self._polarity(text.text) if text.coins else Decimal(0)
        return [(coin, known) for coin in text.coins for known in self._scores.take(at_us, coin, polarity)]

    def pass_time(self, until_us: int) -> list[Known]:
        """Scores of intervals that ended by then."""
        return self._scores.pass_time(until_us)
