"""Providers polled for facts about coins: every answer is kept verbatim in lane `coins.<source>` and read from there.

A source that fails is asked again with back-off within its round; one whose rounds fail again and again is left alone
by its circuit breaker, and while it does not answer, those that stand in for it are asked.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from tidelake.errors import FormatDrift, SourceError, StoreError, TidelakeError
from tidelake.jobs.provider_place import place_of
from tidelake.providers.coin_source import CoinRef, CoinSource, Feature, received_us
from tidelake.raw.codec import key_from_environment
from tidelake.raw.frame import Frame
from tidelake.raw.lane import LaneWriter
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.store import Store
from tidelake.stablecoins.sources.answers import FEED, TURN_FEED, AnswerReader, answers_lane, read_answers
from tidelake.stablecoins.sources.feed import Condition, Health, Known, Turn, merge_known
from tidelake.transport.breaker import Breaker
from tidelake.transport.http import Answer, Http, Patience
from tidelake.transport.logger import logger
from tidelake.transport.rates import Pace

POLL_PATIENCE = Patience(attempts=3, total=25.0, timeout=10.0, first_wait=1.0, longest_wait=10.0)


@dataclass(frozen=True)
class PollSettings:
    """How providers are polled.

    Attributes:
        urls: Asked instead of the sources, by name; keys are sent to a source's own host alone.
        paces: Limits in place of the sources' own, by name.
        intervals: Seconds between rounds in place of the sources' own, by name.
        patience: Bounds of retries within a round, which should be over before the next begins.
        failures: So many rounds in a row without an answer open the breaker.
        longest_pause: Bound of the seconds that an open breaker leaves a source alone; the first pause is an interval.
        seal_s: Seconds after which a lane is sealed.
        clock: Wall clock, ns since 1970.
        monotonic: Seconds, for intervals and breakers.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    paces: Mapping[str, Pace] = field(default_factory=dict)
    intervals: Mapping[str, float] = field(default_factory=dict)
    patience: Patience = POLL_PATIENCE
    failures: int = 3
    longest_pause: float = 600.0
    seal_s: float = 300.0
    clock: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic


class _Poll:
    """One source: its lane, its breaker, and its counts."""

    def __init__(
        self, store: Store, http: Http, source: CoinSource, coins: Sequence[CoinRef], settings: PollSettings
    ) -> None:
        self.source = source
        self.interval_s = settings.intervals.get(source.name, source.interval_s)
        self.breaker = Breaker(
            failures=settings.failures,
            pause=self.interval_s,
            longest=max(settings.longest_pause, self.interval_s),
            clock=settings.monotonic,
        )
        self._is_up = True
        self._settings = settings
        self._http = http
        self._place = place_of(source, settings.urls, settings.paces)
        self._paths = source.live(coins)
        self._lane = LaneWriter(
            store, answers_lane(source.name), source.source, describe=claim_nothing, key=key_from_environment(),
            clock=settings.clock,
        )  # fmt: skip
        self._reader = AnswerReader(source, coins, self._lane.head.known_ns)
        self._rests_until = self._sealed_s = settings.monotonic()
        self._answers = self._failures = 0
        self._asked_us: int | None = None
        self._answered_us: int | None = None
        self._reason = "" if self._paths else "no coin that is followed has an id or token there"

    async def round(self) -> list[Known]:
        """Ask for all of it, unless the breaker or the source wants to be left alone."""
        if not self._paths or self._settings.monotonic() < self._rests_until or not self.breaker.enter():
            return []
        found: list[Known] = []
        self._asked_us = received_us(self._settings.clock())
        try:
            for path in self._paths:
                await self._ask(path, found)
        except (TidelakeError, OSError) as exc:
            self._failed(exc)
        except BaseException:
            self.breaker.abandoned()
            raise
        else:
            self._succeeded()
        found += self._turn()
        await self._seal_when_due()
        return found

    async def _ask(self, path: str, found: list[Known]) -> None:
        """Ask once, with retries; what each whole answer tells goes to `found`, also where a later one fails."""
        drifts: list[FormatDrift] = []

        def heard(answer: Answer) -> None:
            drifts.clear()
            try:
                found.extend(self._reader.read(self._keep(answer)))
            except FormatDrift as exc:
                drifts.append(exc)

        at = self._place
        await self._http.get(at.url + path, at.pace, headers=at.headers, heard=heard)
        if drifts:
            raise drifts[0]

    def _keep(self, answer: Answer) -> Frame:
        return self._lane.append(
            payload=answer.body,
            kind="page",
            request=f"GET {answer.url}",
            feed=FEED,
            status=answer.status,
            recv_ns=answer.recv_ns,
            mono_ns=answer.mono_ns,
        )

    def _succeeded(self) -> None:
        self.breaker.succeeded()
        self._answers += 1
        self._answered_us = received_us(self._settings.clock())
        self._reason = ""

    def _failed(self, exc: TidelakeError | OSError) -> None:
        self.breaker.failed()
        self._failures += 1
        self._reason = str(exc)
        if isinstance(exc, SourceError) and exc.retry_after:
            self._rests_until = self._settings.monotonic() + exc.retry_after
        logger().warning("no answer", source=self.source.name, in_a_row=self.breaker.in_a_row, reason=self._reason)

    def _turn(self) -> list[Known]:
        """The turn that the source took, kept in its lane; none where it took none."""
        is_up = self.breaker.closed
        if is_up == self._is_up:
            return []
        turn = Turn(self.source.name, self.source.source, is_up, self._reason)
        try:
            frame = self._lane.append(payload=msgspec.json.encode(turn), kind="note", feed=TURN_FEED)
        except (TidelakeError, OSError) as exc:  # told with the next round
            logger().warning("not kept", source=self.source.name, reason=str(exc))
            return []
        self._is_up = is_up
        if is_up:
            logger().info("source back", source=self.source.name)
        else:
            logger().warning("source down", source=self.source.name, reason=self._reason)
        return self._reader.read(frame)

    async def _seal_when_due(self) -> None:
        now = self._settings.monotonic()
        if now - self._sealed_s < self._settings.seal_s:
            return
        self._sealed_s = now
        try:
            if self._lane.detach():
                await asyncio.to_thread(self._lane.seal_detached)
        except StoreError as exc:  # the frames stay in the part file, and are sealed the next time
            logger().warning("not sealed", source=self.source.name, reason=str(exc))

    def health(self) -> Health:
        condition: Condition
        if not self._paths:
            condition = "absent"
        elif not self.breaker.closed:
            condition = "down"
        elif self.breaker.in_a_row:
            condition = "failing"
        else:
            condition = "up" if self._answers else "waiting"
        return Health(
            name=self.source.name,
            features=self.source.features,
            condition=condition,
            reason=self._reason,
            interval_s=self.interval_s,
            last_answer_us=self._answered_us,
            last_asked_us=self._asked_us,
            answers=self._answers,
            failures=self._failures,
            in_a_row=self.breaker.in_a_row,
            breaker=self.breaker.state,
            refused=self._reader.refusals,
        )

    def close(self) -> None:
        self._lane.close()


class PolledFeed:
    """A source and those that stand in for it, as one feed (`stablecoins.sources.feed.Feed`).

    Args:
        store: The lake's store.
        http: Shared by all feeds.
        source: Asked in each tick.
        stand_ins: Asked in a tick, in their order, where no one before them answered.
        coins: What is asked for.
    """

    def __init__(
        self,
        store: Store,
        http: Http,
        source: CoinSource,
        coins: Sequence[CoinRef],
        *,
        stand_ins: Sequence[CoinSource] = (),
        settings: PollSettings | None = None,
    ) -> None:
        given = settings or PollSettings()
        self._store, self._coins = store, coins
        self._polls = [_Poll(store, http, each, coins, given) for each in (source, *stand_ins)]

    @property
    def name(self) -> str:
        return self._polls[0].source.name

    @property
    def features(self) -> tuple[Feature, ...]:
        return self._polls[0].source.features

    @property
    def interval_s(self) -> float:
        return self._polls[0].interval_s

    async def tick(self) -> list[Known]:
        found: list[Known] = []
        for poll in self._polls:
            found += await poll.round()
            if poll.breaker.in_a_row == 0:
                break
        return found

    def history(self, since_us: int = 0) -> Iterator[Known]:
        lanes = (
            read_answers(self._store, answers_lane(poll.source.name), poll.source, self._coins, since_us)
            for poll in self._polls
        )
        return merge_known(lanes)

    def health(self) -> list[Health]:
        return [poll.health() for poll in self._polls]

    async def close(self) -> None:
        for poll in self._polls:
            poll.close()
