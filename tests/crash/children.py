"""What the spawned processes of the crash tests run."""

import os
from multiprocessing.synchronize import Barrier

from tests.processes import PATIENT_SECONDS
from tests.raw.lanes import LANE, trade, writer
from tidelake.errors import LaneMoved
from tidelake.raw.codec import key_from_environment
from tidelake.raw.store import Store

RECEIPTS = "receipts"


def append_and_seal(url: str, receipts: str, numbers: list[int], per_seal: int) -> None:
    """Append trades, note each in the file `receipts` once `append` has returned for it, and seal now and then."""
    handle = os.open(receipts, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with writer(Store.open(url), key=key_from_environment()) as lane:
        for i, number in enumerate(numbers, 1):
            lane.append(payload=trade(number), kind="frame", recv_ns=number * 1000, mono_ns=number)
            os.write(handle, b"%d\n" % number)
            if i % per_seal == 0:
                lane.seal()


def race(url: str, first: int, count: int, both_open: Barrier, answers: str, on_conflict: str) -> None:
    """Append `count` trades from `first` on, sealing each, once both have the lane open; say how it went."""
    lane = writer(Store.open(url), on_conflict=on_conflict)
    both_open.wait(PATIENT_SECONDS)
    outcome, sealed = "clean", 0
    try:
        for number in range(first, first + count):
            lane.append(payload=trade(number), kind="frame", recv_ns=number * 1000, mono_ns=number)
            lane.seal()
            sealed += 1
        lane.close()
    except LaneMoved:
        outcome = "moved"
    with open(f"{answers}.{first}", "w") as file:
        file.write(f"{outcome if not lane.contended or outcome == 'moved' else 'contended'} {sealed}")


__all__ = ["LANE", "append_and_seal", "race"]
