"""The live part of the demonstration: two order books over a socket that loses updates, and what is said of them."""

import threading
from collections.abc import Sequence

from tidelake.books.report import BookReport
from tidelake.client import Lake
from tidelake.demo.narrator import Narrator
from tidelake.jobs.capture import capture
from tidelake.jobs.capture_books import warm_up
from tidelake.jobs.session import Settings
from tidelake.sim.books.faults import Happened
from tidelake.sim.server import SimServer
from tidelake.sim.sockets.plan import FramePlan
from tidelake.transport.http import Patience

SOURCE = "binance-spot"
SYMBOLS = ("BTC-USDT", "ETH-USDT")
SECONDS = 8.0
UPDATES = 20  # a second, of each book
LOST = 0.03  # of the updates, in the first seconds
BAD_SECONDS = 4.0
SEED = 5


def capture_books(lake: Lake, tell: Narrator) -> list[BookReport]:
    """Capture, lose updates, and say when each book was proven; the books' intervals are for the page."""
    tell.step(
        "Live: two order books, and a connection that loses updates",
        f"A simulated {SOURCE} sends {UPDATES} updates a second of each book over a WebSocket; some are lost on the",
        f"way, on purpose. {SECONDS:.0f} seconds are captured. To a trader the book would look fine all the time:",
    )
    warm_up()
    chances = {"lost": LOST}
    healing = threading.Timer(BAD_SECONDS, chances.clear)
    with SimServer(SOURCE, frame_faults=FramePlan(chances, SEED), updates=UPDATES) as server:
        healing.start()
        settings = Settings(url=server.url, patience=Patience(first_wait=0.1, longest_wait=0.5))
        report = capture(lake.store, {SOURCE: SYMBOLS}, channels=["book", "quotes"], seconds=SECONDS, settings=settings)
        lost = [each for each in server.sockets[SOURCE].happened if each.kind == "lost"]
    books = lake.verify_books(SOURCE)
    tell.rows([row for book in books for row in _intervals(book)])
    tell.tell(
        "The venue numbers its updates, so a loss shows with the next one: the book is INVALID, a fresh page is asked",
        "for, the updates that came meanwhile are put on it, and it is VALID again. It was never served as valid.",
    )
    tell.rows([_summary(book, lost) for book in books])
    frames = sum(link.frames for link in report.links)
    breaks = sum(book.breaks for book in books)
    tell.check(0 < breaks <= len(lost), f"{len(lost)} updates were lost; {breaks} breaks were noticed")
    proven = all(book.intervals[-1].state == "VALID" for book in books)
    tell.check(proven, f"both books are proven again at the end of {frames} frames")
    return books


def _lost_of(book: BookReport, lost: Sequence[Happened]) -> int:
    return sum(each.symbol == book.symbol for each in lost)


def _summary(book: BookReport, lost: Sequence[Happened]) -> dict[str, object]:
    invalid = sum(each.last_ns - each.first_ns for each in book.intervals if each.state != "VALID")
    return {
        "source": book.source, "symbol": book.symbol, "updates": book.updates, "really_lost": _lost_of(book, lost),
        "breaks": book.breaks, "quotes_compared": book.quotes_compared, "quotes_equal": book.quotes_equal,
        "seconds_not_valid": round(invalid / 1e9, 2),
    }  # fmt: skip


def _intervals(book: BookReport) -> list[dict[str, object]]:
    start = book.intervals[0].first_ns if book.intervals else 0
    return [
        {
            "symbol": book.symbol, "from_s": round((each.first_ns - start) / 1e9, 2),
            "to_s": round((each.last_ns - start) / 1e9, 2), "state": each.state,
            "proven_by_or_reason": each.reason or each.rules, "messages": each.messages,
        }
        for each in book.intervals
    ]  # fmt: skip
