"""Processes of shards that several fleets use one after the other, for to begin one takes longer than its work here."""

from tidelake.live.redis_shards import RedisLink
from tidelake.stablecoins.shards.links import ProcessLink


class Lent:
    """A link whose shard goes back when it is closed: the next `Start` that it is told makes it new."""

    def __init__(self, link, back):
        self.ask, self.answer = link.ask, link.answer
        self._link, self._back = link, back

    def close(self):
        self._back.append(self._link)


class ProcessPool:
    """Shards in processes of their own, over pipes."""

    def __init__(self):
        self._free, self._all = [], []

    def begin(self, work):
        return ProcessLink(work)

    def lend(self, work):
        """A shard that nobody uses; begun where there is none."""
        if not self._free:
            self._all.append(self.begin(work))
            self._free.append(self._all[-1])
        return Lent(self._free.pop(), self._free)

    def end(self):
        for link in self._all:
            link.close()


class RedisPool(ProcessPool):
    """Shards over Redis."""

    def __init__(self, url):
        super().__init__()
        self._url = url

    def begin(self, work):
        return RedisLink(self._url, work)
