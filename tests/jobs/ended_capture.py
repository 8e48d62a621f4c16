"""Captures that end when a test has seen what it waits for, however slow the machine is."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidelake.jobs.capture import capture_async
from tidelake.jobs.capture_report import CaptureReport
from tidelake.jobs.session import Settings
from tidelake.raw.part_file import PartFile
from tidelake.raw.store import Store

PATIENT_SECONDS = 240.0  # kernels may have to be compiled first


async def capture_until(
    enough: Callable[[int], bool],
    store: Store,
    symbols: Mapping[str, Sequence[str]],
    *,
    settings: Settings,
    **words: Any,
) -> CaptureReport:
    """The report of a capture that is ended, as by its user, once `enough` holds of the frames that it has heard.

    They are -1 before it has looked after its connections for the first time.
    """
    heard = -1

    def progress(done: int, total: int | None = None, what: str = "") -> None:
        nonlocal heard
        heard = done

    running = asyncio.create_task(capture_async(store, symbols, settings=replace(settings, progress=progress), **words))
    try:
        async with asyncio.timeout(PATIENT_SECONDS):
            while not running.done() and not enough(heard):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        report = await running
    return report


def captured_until(
    enough: Callable[[int], bool],
    store: Store,
    symbols: Mapping[str, Sequence[str]],
    *,
    settings: Settings,
    **words: Any,
) -> CaptureReport:
    """The same, where no event loop runs."""
    return asyncio.run(capture_until(enough, store, symbols, settings=settings, **words))


def count_lines(monkeypatch, mark: bytes) -> Callable[[], int]:
    """How many lines with the mark captures have written from now on: asks the part files as they are appended to."""
    appended, found, changing = PartFile.append, 0, threading.Lock()

    def append(self, lines):
        nonlocal found
        appended(self, lines)
        with changing:
            found += lines.count(mark)

    monkeypatch.setattr(PartFile, "append", append)
    return lambda: found
