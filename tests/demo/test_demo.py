"""The demonstration from an empty folder to the page, and that it fails when what it claims does not hold."""

import datetime as dt
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidelake
from tidelake.demo import run, tables
from tidelake.demo.market import KILLED, STREAMS
from tidelake.demo.proof import Proof, compare
from tidelake.demo.recorded import recorded_folders
from tidelake.errors import ConfigError
from tidelake.sim.market import Market
from tidelake.sim.recordings import Recorded, write_cryptofeed, write_hftbacktest

START_NS = 1_780_000_000 * 10**9
MINUTE_NS = 60 * 10**9
ALL_STREAMS = {*((source, symbol) for source, symbols in STREAMS.items() for symbol in symbols), KILLED}


@dataclass
class Told:
    """What a run said and showed."""

    folder: Path
    page: Path
    code: int = -1
    words: list[str] = field(default_factory=list)
    shown: list[Any] = field(default_factory=list)

    def show(self, rows: object, columns: Sequence[str] = (), /) -> None:
        self.shown.append(rows)

    def run(self, recordings: Path | None = None) -> "Told":
        self.code = run(self.folder, page=self.page, recordings=recordings, show=self.show, say=self.words.append)
        return self

    def rows_with(self, *names: str) -> list[dict[str, Any]]:
        """The rows of all shown tables that have these columns."""
        tables = (rows.to_dicts() if isinstance(rows, pl.DataFrame) else rows for rows in self.shown)
        return [row for rows in tables for row in rows if isinstance(row, dict) and set(names) <= set(row)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One run on simulated venues."""
    folder = tmp_path_factory.mktemp("demo")
    return Told(folder / "lake", folder / "demo.html").run()


def test_live_books_that_lost_updates_are_told_and_proven_again(simulated: Told) -> None:
    intervals = simulated.rows_with("symbol", "state", "proven_by_or_reason")
    assert {row["symbol"] for row in intervals} == {"BTC-USDT", "ETH-USDT"}
    broken = [row for row in intervals if row["proven_by_or_reason"] == "sequence break"]
    assert broken
    assert {row["state"] for row in broken} == {"INVALID"}
    assert intervals[-1]["state"] == "VALID"
    assert 'id="books"' in simulated.page.read_text(encoding="utf-8")


def test_coin_leaves_its_peg_and_what_a_chain_took_back_is_said_no_more(simulated: Told) -> None:
    steps = simulated.rows_with("severity", "measure", "reason")
    assert steps[0]["state"] == "PROVISIONAL"
    assert {"CONFIRMED"} == {row["state"] for row in steps[2:]}
    assert max(row["measure"] for row in steps) == pytest.approx(0.12, abs=0.01)  # as deep as it was planned
    versions = simulated.rows_with("window_state", "net_supply_change")
    assert versions[0]["window_state"] == "PROVISIONAL"
    assert versions[-1]["window_state"] == "FINAL"
    assert versions[0]["net_supply_change"] != versions[-1]["net_supply_change"]
    assert any("equal the simulation's own books" in line and "[holds]" in line for line in simulated.words)
    assert 'id="coins"' in simulated.page.read_text(encoding="utf-8")
    assert 'id="price-USDC"' in simulated.page.with_name("demo-coins.html").read_text(encoding="utf-8")


def test_simulated_tour_holds_and_every_stream_equals_the_truth(simulated: Told) -> None:
    assert simulated.code == 0, "\n".join(simulated.words)
    proofs = [row for rows in simulated.shown if isinstance(rows, list) for row in rows if isinstance(row, Proof)]
    assert {(proof.source, proof.symbol) for proof in proofs} == ALL_STREAMS
    for proof in proofs:
        assert proof.in_lake == proof.venue_traded > 500
        assert (proof.lost, proof.doubled, proof.invented, proof.differing) == (0, 0, 0, 0)


def test_killed_ingest_leaves_unsealed_answers_then_a_whole_stream(simulated: Told) -> None:
    first, second, last = simulated.rows_with("unsealed_lines", "ledger_entries")
    assert (first["exit"], first["segments"], first["ledger_entries"]) == ("kill -9", 0, 0)
    assert first["unsealed_lines"] == 14
    assert (second["exit"], second["segments"], second["ledger_entries"]) == ("kill -9", 1, 0)
    assert (last["exit"], last["unsealed_lines"], last["ledger_entries"]) == (0, 0, 2)


def test_faults_were_injected_and_both_holes_named_then_closed(simulated: Told) -> None:
    faults = simulated.rows_with("faults injected at")
    assert sum(row["429"] + row["5xx"] + row["cut off"] for row in faults) > 10
    named = simulated.rows_with("really_left_out")
    assert {(row["source"], row["state"]) for row in named} == {("kraken", "SUSPECT"), ("coinbase", "GAP")}
    assert all(row["really_left_out"] == f"{row['first_missing']} to {row['last_missing']}" for row in named)
    states = {i.state for stream in tidelake.open(simulated.folder).coverage() for i in stream.intervals}
    assert states == {"VALID", "UNPROVABLE"}


def test_as_of_answers_differ_and_the_lake_gives_them_again(simulated: Told) -> None:
    before, now = simulated.rows_with("known", "volume in BTC")
    assert before["volume in BTC"] < now["volume in BTC"]
    assert before["tick of coinbase SOL-USD"] == 10 * now["tick of coinbase SOL-USD"]


def test_sql_answer_has_every_venue_near_the_others(simulated: Told) -> None:
    rows = simulated.rows_with("vwap", "volume_quote")
    assert {row["source"] for row in rows} == set(STREAMS)
    prices = [row["vwap"] for row in rows]
    assert max(prices) / min(prices) < 1.01


def test_page_has_all_streams_and_states_and_loads_nothing(simulated: Told) -> None:
    text = simulated.page.read_text(encoding="utf-8")
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.DOTALL)  # without the library
    assert len(own) < 400_000 < len(text) < 8_000_000
    for source, symbols in STREAMS.items():
        assert f'"name":"{source} {symbols[0]}"' in own
    for label in ("coinbase  BTC-USD, before repair", "kraken  BTC-USD, after repair", "okx  SOL-USDT"):
        assert label in own
    for state in ("VALID", "GAP", "SUSPECT", "UNPROVABLE"):
        assert f'"name":"{state}"' in own
        assert f"<th>{state}</th>" in own
    assert not re.search(r"(?:src|href)\s*=\s*[\"']|@import|url\(", own)
    assert "DOES NOT HOLD" not in own


def test_commands_at_the_end_can_be_run(simulated: Told) -> None:
    from tidelake.cli.app import hoist, run as command

    lines = [line.strip() for line in simulated.words if line.strip().startswith("tidelake --lake")]
    assert len(lines) == 5

    for line in lines:
        assert command(hoist(shlex.split(line)[1:])) == 0, line


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Recorded]]:
    """A folder with generated recordings of two formats."""
    folder = tmp_path_factory.mktemp("recordings")
    market = Market(5, start_ns=START_NS, rate=2.0, clock=lambda: START_NS + 60 * MINUTE_NS)
    span = (START_NS + 5 * MINUTE_NS, START_NS + 8 * MINUTE_NS)
    written = write_cryptofeed(folder / "feed", market, *span)
    written += write_hftbacktest(folder / "spot", market, *span)
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("these are recordings\n", encoding="utf-8")
    return folder, written


def test_formats_are_told_by_folder(recordings: tuple[Path, list[Recorded]]) -> None:
    folder, _ = recordings
    assert recorded_folders(folder) == {folder / "feed": "cryptofeed", folder / "spot": "hftbacktest"}


def test_recorded_tour_holds_and_has_every_trade_of_the_files(
    recordings: tuple[Path, list[Recorded]], tmp_path: Path
) -> None:
    folder, written = recordings
    told = Told(tmp_path / "lake", tmp_path / "demo.html").run(folder)
    assert told.code == 0, "\n".join(told.words)
    rows = tidelake.open(told.folder).scan("trades").filter(pl.col("grain") == "trade").collect()
    assert rows.height > 3_000
    for recorded in (each for each in written if each.layout == "binance-trade"):
        for symbol, trades in recorded.trades.items():
            held = rows.filter(pl.col("source") == recorded.source, pl.col("symbol") == symbol)
            assert sorted(held["trade_seq"]) == trades.number.tolist()
    then, now = told.rows_with("known", "last_price")
    assert 0 < then["trades"] < now["trades"]
    assert '"name":"UNPROVABLE"' in told.page.read_text(encoding="utf-8")


def test_claim_that_does_not_hold_ends_with_one(
    recordings: tuple[Path, list[Recorded]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "flip_bit", lambda path: None)
    told = Told(tmp_path / "lake", tmp_path / "demo.html").run(recordings[0] / "spot")
    assert told.code == 1
    assert any("DID NOT HOLD: verify names exactly that segment" in line for line in told.words)


def test_folder_of_another_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="left alone"):
        Told(tmp_path, tmp_path / "demo.html").run()
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"
    with pytest.raises(ConfigError, match="no such folder"):
        Told(tmp_path / "lake", tmp_path / "demo.html").run(tmp_path / "nowhere")


class _Rows:
    """Stands in for a lake that holds these trades."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def trades(self, symbol: str, *, source: str, start: dt.datetime) -> pl.DataFrame:
        return pl.DataFrame(self.rows)


def _held(market: Market) -> list[dict[str, Any]]:
    rows = market.truth_rows("okx", "BTC-USDT", since_ns=START_NS)
    return [row | {"event_time": dt.datetime.fromtimestamp(row["event_us"] / 1e6, dt.UTC)} for row in rows]  # type: ignore[operator]


def test_proof_counts_what_is_lost_doubled_invented_and_other() -> None:
    market = Market(5, start_ns=START_NS, clock=lambda: START_NS + 3 * MINUTE_NS)
    rows = _held(market)
    whole = compare(_Rows(rows), market, "okx", "BTC-USDT", START_NS)  # type: ignore[arg-type]
    assert whole == Proof("okx", "BTC-USDT", len(rows), len(rows), 0, 0, 0, 0)
    assert whole.equal
    rows[7]["side"] = "sell" if rows[7]["side"] == "buy" else "buy"
    spoiled = [*rows[:3], *rows[5:], rows[0], rows[0] | {"trade_id": "none"}]
    found = compare(_Rows(spoiled), market, "okx", "BTC-USDT", START_NS)  # type: ignore[arg-type]
    assert (found.lost, found.doubled, found.invented, found.differing) == (2, 1, 1, 1)
    assert not found.equal
    assert not compare(_Rows(rows[:0] or [rows[0] | {"trade_id": "none"}]), market, "okx", "BTC-USDT", START_NS).equal  # type: ignore[arg-type]
