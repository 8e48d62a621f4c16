"""Time of `import tidelake` above bare Python, and of `tidelake --help`: fresh processes, best of several."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import Figure, judge
from benchmarks.timing import interleaved

IMPORT_S, HELP_S = 0.15, 0.3
ROUNDS, QUICK_ROUNDS = 15, 5


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def run(work: Path, *, quick: bool) -> list[Figure]:
    works: dict[str, Callable[[], None]] = {
        "bare": lambda: _python("-c", "pass"),
        "import": lambda: _python("-c", "import tidelake"),
        "polars": lambda: _python("-c", "import polars"),
        "help": lambda: _python("-c", "from tidelake.cli import main; main()", "--help"),
    }
    for warm in works.values():
        warm()
    time.sleep(0.1)
    found = interleaved(works, QUICK_ROUNDS if quick else ROUNDS)
    bare = found["bare"].wall
    above, polars = found["import"].wall - bare, found["polars"].wall - bare
    inputs = f"fresh processes, files in the page cache; bare Python takes {bare:.3f} s"
    return [
        Figure("startup", "import tidelake, above bare Python", above, "s", "import polars", polars, above / polars,
               f"{IMPORT_S} s", judge(above <= IMPORT_S), inputs),
        Figure("startup", "tidelake --help", found["help"].wall, "s", "", None, None,
               f"{HELP_S} s", judge(found["help"].wall <= HELP_S), inputs),
    ]  # fmt: skip
