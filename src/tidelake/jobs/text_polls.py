"""A source of texts is asked: one request a round, with the token of the environment or of its login.

A round that failed is asked again in the next; one whose rounds fail again and again is left alone by its breaker, and
a host that asks for a pause gets it. Secrets go to the source's own hosts, and stand in no lane, log or error.
"""

import base64
import os
from collections.abc import Callable, Sequence

import msgspec

from tidelake.errors import SourceError, TidelakeError
from tidelake.jobs.coin_polls import PollSettings
from tidelake.logs import hide
from tidelake.providers.coin_source import received_us
from tidelake.providers.text_source import TextSource
from tidelake.stablecoins.sources.feed import Condition, Health, Turn
from tidelake.transport.breaker import Breaker
from tidelake.transport.http import Answer, Http
from tidelake.transport.logger import logger
from tidelake.transport.rates import Pace

RENEW_S = 60.0  # our choice: so long before its end a token is replaced


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float


_token_of = msgspec.json.Decoder(_Token).decode


class TextPoll:
    """One source.

    Args:
        source: Which one.
        symbols: Of the coins that are followed.
        subreddits: That are read, where the source has such.

    Attributes:
        absent: Why it is not asked; "" where it is.
    """

    def __init__(
        self,
        source: TextSource,
        symbols: Sequence[str],
        subreddits: Sequence[str],
        settings: PollSettings,
    ) -> None:
        self.source = source
        self.interval_s = settings.intervals.get(source.name, source.interval_s)
        self._secrets = [os.environ.get(name, "").strip() for name in source.variables]
        self.absent = _why_absent(source.variables, self._secrets)
        for secret in self._secrets:
            hide(secret)
        self._breaker = Breaker(
            failures=settings.failures,
            pause=self.interval_s,
            longest=max(settings.longest_pause, self.interval_s),
            clock=settings.monotonic,
        )
        self._settings = settings
        self._url = source.url + source.path(symbols, subreddits)
        self._pace = Pace(source.requests, source.seconds)
        self._is_up = True
        self._token, self._token_ends_s = "", 0.0
        self._due_s = settings.monotonic()
        self._answers = self._failures = 0
        self._asked_us: int | None = None
        self._answered_us: int | None = None
        self._reason = ""

    @property
    def due(self) -> bool:
        return not self.absent and self._settings.monotonic() >= self._due_s and self._breaker.wait() == 0

    async def round(self, http: Http, keep: Callable[[Answer], None], keep_turn: Callable[[Turn], None]) -> None:
        """Ask once; a whole answer goes to `keep`, a turn of the source to `keep_turn`; `health` tells failures."""
        if self._breaker.enter():
            await self._try(http, keep)
            self._turn(keep_turn)

    async def _try(self, http: Http, keep: Callable[[Answer], None]) -> None:
        self._asked_us = received_us(self._settings.clock())
        self._due_s = self._settings.monotonic() + self.interval_s
        try:
            headers = {**self.source.headers, "Authorization": f"Bearer {await self._bearer(http)}"}
            answer = await http.get(self._url, self._pace, headers=headers)
            keep(answer)
            self.source.read(answer.body)
        except (TidelakeError, OSError) as exc:
            self._failed(exc)
        except BaseException:
            self._breaker.abandoned()
            raise
        else:
            self._breaker.succeeded()
            self._answers += 1
            self._answered_us = received_us(self._settings.clock())
            self._reason = ""

    def _turn(self, keep_turn: Callable[[Turn], None]) -> None:
        name, is_up = self.source.name, self._breaker.closed
        if is_up == self._is_up:
            return
        try:
            keep_turn(Turn(name, name, is_up, self._reason))
        except (TidelakeError, OSError) as exc:  # told with the next round
            logger().warning("not kept", source=name, reason=str(exc))
            return
        self._is_up = is_up
        if is_up:
            logger().info("source back", source=name)
        else:
            logger().warning("source down", source=name, reason=self._reason)

    async def _bearer(self, http: Http) -> str:
        if not self.source.login_url:
            return self._secrets[0]
        if not self._token or self._settings.monotonic() >= self._token_ends_s:
            told = await self._log_in(http)
            hide(told.access_token)
            self._token = told.access_token
            self._token_ends_s = self._settings.monotonic() + told.expires_in - RENEW_S
        return self._token

    async def _log_in(self, http: Http) -> _Token:
        """A new token; what the answer says is quoted nowhere."""
        url = self.source.login_url
        basic = base64.b64encode(":".join(self._secrets).encode()).decode()
        hide(basic)
        answer = await http.post(
            url,
            b"grant_type=client_credentials",
            [(self._pace, 1.0)],
            name=url,
            headers={
                **self.source.headers,
                "Authorization": f"Basic {basic}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        if answer.status != 200:
            raise SourceError(
                f"POST {url}: status {answer.status}", retryable=True, retry_after=answer.retry_after,
                status=answer.status,
            )  # fmt: skip
        try:
            told = _token_of(answer.body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            told = _Token("", 0.0)
        if not _fits_header(told.access_token):
            raise SourceError(f"POST {url}: it told no token", retryable=True, status=200)
        return told

    def _failed(self, exc: TidelakeError | OSError) -> None:
        self._breaker.failed()
        self._failures += 1
        self._reason = str(exc)
        if isinstance(exc, SourceError):
            if exc.status in {401, 403}:
                self._token = ""  # the next round logs in again
            if exc.retry_after:
                self._due_s = max(self._due_s, self._settings.monotonic() + exc.retry_after)
        logger().warning("no answer", source=self.source.name, in_a_row=self._breaker.in_a_row, reason=self._reason)

    def health(self) -> Health:
        condition: Condition = "up" if self._answers else "waiting"
        if self.absent:
            condition = "absent"
        elif not self._breaker.closed:
            condition = "down"
        elif self._breaker.in_a_row:
            condition = "failing"
        return Health(
            name=self.source.name,
            features=("sentiment",),
            condition=condition,
            reason=self.absent or self._reason,
            interval_s=self.interval_s,
            last_answer_us=self._answered_us,
            last_asked_us=self._asked_us,
            answers=self._answers,
            failures=self._failures,
            in_a_row=self._breaker.in_a_row,
            breaker=self._breaker.state,
        )


def _why_absent(variables: Sequence[str], secrets: Sequence[str]) -> str:
    told = list(zip(variables, secrets, strict=True))
    if missing := [name for name, secret in told if not secret]:
        return f"no key is set: {', '.join(missing)}"
    if strange := [name for name, secret in told if not _fits_header(secret)]:
        return f"what is set is no key: {', '.join(strange)}"
    return ""


def _fits_header(secret: str) -> bool:
    return bool(secret) and secret.isascii() and secret.isprintable()
