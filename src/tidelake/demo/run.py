"""Runs the demonstration from an empty folder to a page, and says at the end what to try next."""

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import tidelake
from tidelake.demo import coins, live, recorded, simulated, tables
from tidelake.demo.market import prepared
from tidelake.demo.narrator import Narrator, Show
from tidelake.demo.page import PageFacts, write_page
from tidelake.errors import ConfigError

MARK = ".tidelake-demo"


def run(
    folder: Path,
    *,
    page: Path,
    recordings: Path | None = None,
    show: Show,
    say: Callable[[str], None] = lambda text: None,
) -> int:
    """Show the whole path; 0 where everything held that is claimed, else 1.

    Args:
        folder: The lake; what an earlier demonstration left there is removed.
        page: HTML page to write.
        recordings: Folder with recordings, shown in place of simulated venues.
        show: Takes rows.
        say: Takes lines for people.

    Raises:
        ConfigError: The folder holds something else, or there are no recordings in theirs.
    """
    if recordings is not None and not recordings.is_dir():
        raise ConfigError(f"no such folder: {recordings}", tried=(str(recordings),))
    _make_anew(folder)
    tell = Narrator(show, say)
    lake = tidelake.open(folder)
    say(f"Tidelake, the whole path, offline. The lake is made in {folder}.")
    facts = _simulated(lake, tell, page) if recordings is None else _recorded(lake, folder, tell, recordings)
    tables.trace(lake, tell)
    tables.tamper(lake, tell)
    tell.step("One page with the charts")
    size = write_page(page, lake, replace(facts, proofs=tuple(tell.held)))
    tell.tell(f"{page} ({size / 1e6:.1f} MB, opens without a network)")
    _end(folder, page, tell, lake)
    return 1 if tell.failures else 0


def _simulated(lake: tidelake.Lake, tell: Narrator, page: Path) -> PageFacts:
    market, server, since_ns, lost = prepared()
    with server:
        tour = simulated.Simulated(lake, tell, market, server, since_ns, lost)
        tour.fetch()
        tour.kill()
        tour.hole()
        tour.derive()
        tour.correction()
    tables.compare_prices(lake, tell, "BTC")
    books = live.capture_books(lake, tell)
    coins_page = page.with_name(f"{page.stem}-coins.html")
    story = coins.replay_crisis(lake, tell, coins_page)
    return replace(tour.facts(), books=books, story=story, coins_page=coins_page.name)


def _recorded(lake: tidelake.Lake, folder: Path, tell: Narrator, recordings: Path) -> PageFacts:
    tour = recorded.Recorded(lake, folder, tell, recordings)
    tour.imports()
    tour.derive()
    tour.coverage()
    tables.compare_volumes(lake, tell)
    tour.as_of()
    return tour.facts()


def _make_anew(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARK).is_file())):
        raise ConfigError(
            f"{folder} was not made by a demonstration, so it is left alone; name another with --folder",
            tried=(str(folder),),
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).write_text(f"made {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n", encoding="utf-8")


def _end(folder: Path, page: Path, tell: Narrator, lake: tidelake.Lake) -> None:
    where = shlex.quote(str(folder))
    row = lake.scan("trades").head(1).collect().row(0, named=True)
    query = shlex.quote("SELECT source, symbol, count(*) AS trades FROM trades GROUP BY ALL ORDER BY ALL")
    verdict = "Everything held." if not tell.failures else f"DID NOT HOLD: {'; '.join(tell.failures)}"
    tell.step(f"Done in {tell.seconds:.0f} s. {verdict}", f"The lake is in {folder}, the page is {page}. To go on:")
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("tidelake") is None and activate.is_file():
        tell.tell("", f"source {shlex.quote(os.path.relpath(activate))}")
    tell.tell(
        "",
        f"tidelake --lake {where} status",
        f"tidelake --lake {where} coverage",
        f"tidelake --lake {where} sql {query}",
        f"tidelake --lake {where} explain {row['segment']}:{row['line']}:{row['item']}",
        f"tidelake --lake {where} verify",
        f"python -c 'import tidelake; print(tidelake.open(\"{folder}\").trades())'",
    )
