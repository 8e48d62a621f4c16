"""A consumer for tests, killed while it works: writes down the id and number of each row."""

import asyncio
import os
import sys

from tidelake.live.redis_bus import RedisSubscription


async def consume(url, path, mode):
    after = None
    if mode == "resume":
        with open(path, "a+") as notes:
            notes.seek(0)
            lines = notes.read().splitlines()
        after = lines[-1].split()[0] if lines else "0"
        rows = RedisSubscription(url, "BTC-USD:trades", after=after)
    else:
        rows = RedisSubscription(url, "BTC-USD:trades", group="g", consumer="one", after="0")
    with open(path, "a") as notes:
        async with rows:
            async for row in rows:
                notes.write(f"{row.id} {row.trade_seq}\n")
                notes.flush()
                os.fsync(notes.fileno())


asyncio.run(consume(*sys.argv[1:]))
