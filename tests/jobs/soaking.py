"""The process of a long capture: `python soaking.py LAKE SECONDS URLS SYMBOLS` captures and writes its rows as JSON."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tidelake.jobs.capture import CaptureSettings, capture
from tidelake.jobs.regimes import RegimeSettings
from tidelake.jobs.session import Settings
from tidelake.raw.store import Store
from tidelake.transport.http import Patience


def main(lake: str, seconds: float, urls: dict[str, str], symbols: dict[str, list[str]]) -> None:
    capturing = CaptureSettings(
        rotate_seconds=max(seconds / 20, 2.0),
        publish=lambda table, rows: None,
        regimes=RegimeSettings(),
        audit_seconds=5.0,
    )
    settings = Settings(url=urls, patience=Patience(first_wait=0.02, longest_wait=0.2))
    # A first capture compiles and loads all that the long one needs, so that its memory can be judged.
    capture(Store.open(f"{lake}-first"), symbols, seconds=2, settings=settings, capturing=capturing)
    Path(f"{lake}-first", "done").touch()
    while not Path(f"{lake}-first", "go").exists():
        time.sleep(0.01)
    report = capture(Store.open(lake), symbols, seconds=seconds, settings=settings, capturing=capturing)
    said = {"rows": [asdict(row) for row in report.rows], "exit_code": report.exit_code, "shed": report.shed}
    said |= {"summary": report.summary}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), json.loads(sys.argv[3]), json.loads(sys.argv[4]))
