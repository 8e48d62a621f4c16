"""Five blocks of Ethereum that follow one another, recorded with all their logs."""

import csv
import json

import pytest

from tests.recorded.independent_reader import DATA
from tidelake.chains.headers import header_of
from tidelake.chains.logs import log_of

LINKED = DATA / "chains" / "linked-15000000"


def linked():
    """Their headers and logs; the test is skipped where the recording is absent."""
    if not LINKED.is_dir():
        pytest.skip("needs the recorded data in ../shared/data/chains/linked-15000000")
    with (LINKED / "blocks.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if int(row["blockId"]) >= 15_000_000]
    numbers = {"blockId": "number", "timestamp": "timestamp"}
    texts = ("parentHash", "logsBloom", "transactionsRoot", "receiptsRoot")
    headers = [
        header_of({ours: hex(int(row[theirs])) for theirs, ours in numbers.items()}
                  | {name: row[name] for name in texts} | {"hash": row["blockHash"]})
        for row in rows
    ]  # fmt: skip
    logs = []
    for line in (LINKED / "logs.json").read_text().splitlines():
        log = json.loads(line)
        renamed = {
            "blockNumber": hex(log["blockId"]),
            "transactionHash": log["txHash"],
            "transactionIndex": hex(log["transactionIndex"]),
            "logIndex": hex(log["logIndex"]),
        }
        logs.append(log_of("ethereum", {**log, **renamed}))
    return headers, logs
