"""What to subscribe next on a connection, and what the venue's answers make of it; no sockets and no clocks.

A name that the venue refuses is left out and the others stay. Where a refusal of several names says not which, they
are asked again in halves until the bad one is alone. A venue that closes the connection instead of an answer gets the
names that it had not answered in ever smaller messages, one at a time, and the one that closes it alone is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tidelake.venues.spec import Answer, Sockets

STRIKES_OUT = 2  # connections that ended upon a name alone


@dataclass(slots=True)
class Asked:
    """A message of subscription that was sent.

    Attributes:
        request: Its number.
        names: Streams in it.
        alone: Nothing else is to be asked before its answer: it may end the connection.
    """

    request: int
    names: tuple[str, ...]
    alone: bool


@dataclass(slots=True)
class Subscriptions:
    """The streams of one connection, over all its renewals by reconnection.

    Attributes:
        sockets: The words of the venue.
        names: Streams wanted; those that were refused are taken out.
        subscribed: Streams that the venue said yes to on this connection.
        refused: Streams left out, with the reason.
    """

    sockets: Sockets
    names: list[str]
    subscribed: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    _queue: list[tuple[str, ...]] = field(default_factory=list)
    _asked: dict[int, Asked] = field(default_factory=dict)
    _strikes: dict[str, int] = field(default_factory=dict)
    _request: int = 0

    def opened(self) -> None:
        """A new connection: everything is to be asked again, what ended the last one after all others."""
        for asked in self._asked.values():
            for name in asked.names:
                self._strikes[name] = self._strikes.get(name, 0) + 1
            if len(asked.names) == 1 and asked.alone and self._strikes[asked.names[0]] > STRIKES_OUT:
                self._refuse(asked.names[0], "the venue ended the connection instead of an answer, again and again")
        self.subscribed.clear()
        self._asked.clear()
        clean = [name for name in (*self.sockets.always, *self.names) if name not in self._strikes]
        struck = [name for name in self.names if name in self._strikes]
        self._queue = self._messages(clean, self.sockets.names_per_message)
        width = self.sockets.names_per_message >> max((self._strikes[name] for name in struck), default=0)
        if struck and any(self._strikes[name] > 1 for name in struck):
            width = min(width, max(1, len(struck) // 2))
        self._queue += self._messages(struck, max(1, width))

    def next(self) -> Asked | None:
        """The next message to send; None where there is none now."""
        waiting = [asked for asked in self._asked.values() if asked.alone]
        if not self._queue or waiting:
            return None
        names = self._queue[0]
        alone = any(name in self._strikes for name in names)
        if alone and self._asked:
            return None
        self._queue.pop(0)
        return self._ask(names, alone)

    def again(self, names: Sequence[str]) -> list[bytes]:
        """Messages that unsubscribe these streams; they are asked anew by `next`."""
        fresh = [name for name in names if name in self.names]
        messages = []
        for part in self._messages(fresh, self.sockets.names_per_message):
            self._request += 1
            messages.append(self.sockets.unsubscribe(part, self._request))
            self._queue.append(part)
        self.subscribed.difference_update(fresh)
        return messages

    def message(self, asked: Asked) -> bytes:
        """The bytes to send."""
        return self.sockets.subscribe(asked.names, asked.request)

    def answered(self, answer: Answer) -> list[str]:
        """Take in an answer and return the streams that it left out."""
        asked = self._which(answer)
        if answer.kind == "subscribed":
            self._confirm(asked, answer.names)
            return []
        if asked is None:
            return self._refuse_named(answer)
        return self._refused(asked, answer)

    def expire(self, request: int) -> None:
        """No answer came in time: the streams count neither as subscribed nor as refused, and may speak yet."""
        self._asked.pop(request, None)

    @property
    def settled(self) -> bool:
        """Whether nothing is to be sent and no answer is waited for."""
        return not self._queue and not self._asked

    def _ask(self, names: tuple[str, ...], alone: bool) -> Asked:
        self._request += 1
        asked = Asked(self._request, names, alone)
        self._asked[asked.request] = asked
        return asked

    def _messages(self, names: Sequence[str], width: int) -> list[tuple[str, ...]]:
        ordered = sorted(names, key=self.sockets.group)
        groups = [list(group) for _, group in groupby(ordered, key=self.sockets.group)]
        return [tuple(group[i : i + width]) for group in groups for i in range(0, len(group), width)]

    def _which(self, answer: Answer) -> Asked | None:
        if answer.request >= 0:
            return self._asked.get(answer.request)
        if answer.names:
            return next((asked for asked in self._asked.values() if set(answer.names) & set(asked.names)), None)
        return next(iter(self._asked.values()), None)

    def _confirm(self, asked: Asked | None, names: tuple[str, ...]) -> None:
        confirmed = set(names) or set(asked.names if asked else ())
        self.subscribed |= confirmed
        for name in confirmed:
            self._strikes.pop(name, None)
        for other in list(self._asked.values()):
            if set(other.names) <= self.subscribed:
                del self._asked[other.request]

    def _refused(self, asked: Asked, answer: Answer) -> list[str]:
        bad = [name for name in asked.names if name in answer.names]
        if not bad and len(asked.names) == 1:
            bad = list(asked.names)
        left = tuple(name for name in asked.names if name not in bad and name not in self.subscribed)
        if bad and not answer.whole:  # the others are answered for themselves
            asked.names = left
            if not left:
                self._asked.pop(asked.request, None)
        else:
            self._asked.pop(asked.request, None)
            half = len(left) if bad else (len(left) + 1) // 2
            self._queue[:0] = [part for part in (left[:half], left[half:]) if part]
        for name in bad:
            self._refuse(name, answer.reason)
        return bad

    def _refuse_named(self, answer: Answer) -> list[str]:
        """A refusal that comes after the answer's time, or later in the connection's life."""
        bad = [name for name in answer.names if name in self.names]
        for name in bad:
            self._refuse(name, answer.reason)
        return bad

    def _refuse(self, name: str, reason: str) -> None:
        self.refused[name] = reason
        self.subscribed.discard(name)
        self._strikes.pop(name, None)
        if name in self.names:
            self.names.remove(name)
