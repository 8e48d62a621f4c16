"""A subscription whose rows are derived from another one's, by the reader."""

from collections import deque
from typing import Any, Self

from tidelake.live.bus import Subscription
from tidelake.live.derived import Fold


class DerivedSubscription:
    """See `Subscription`; ids, and what was shed, are those of the rows that it is made from."""

    def __init__(self, rows: Subscription, fold: Fold) -> None:
        self._rows = rows
        self._fold = fold
        self._ready: deque[Any] = deque()

    @property
    def shed(self) -> int:
        return self._rows.shed

    @property
    def last_id(self) -> str:
        return self._rows.last_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:
            self._ready.extend(self._fold.take(await anext(self._rows)))
        return self._ready.popleft()

    async def __aenter__(self) -> Self:
        await self._rows.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End it."""
        await self._rows.close()
