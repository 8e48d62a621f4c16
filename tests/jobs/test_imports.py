"""Importing recordings: verbatim, once, resumed, by several at once; and exporting them again."""

import gzip
import hashlib
import io
import json
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests import processes
from tidelake.errors import ConfigError, FormatDrift, NotInLake
from tidelake.jobs import imports
from tidelake.jobs.exports import export_recording, export_recordings, import_lanes
from tidelake.jobs.imports import import_recordings
from tidelake.raw.lane import seal_lines
from tidelake.raw.ledger import Ledger
from tidelake.raw.recordings.files import RecordingFile
from tidelake.raw.sealing import claim_nothing
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store

SMALL_BLOCK, SMALL_SEGMENT = 2_000, 8_000
START = 1_618_677_817


def recording(count: int = 1000) -> bytes:
    lines = [b"wss://feed <-> %d.5\n" % START]
    lines += [b'%d.%06d: {"type":"match","trade_id":%d}\n' % (START + n // 10, n % 10 * 7919, n) for n in range(count)]
    return b"".join(lines) + b"\n\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "lake")


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_segments(monkeypatch.setattr)


def use_small_segments(set_to=setattr) -> None:
    blocks = RecordingFile.blocks
    set_to(imports, "SEGMENT_BYTES", SMALL_SEGMENT)
    set_to(RecordingFile, "blocks", lambda self, size=SMALL_BLOCK: blocks(self, size))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def run(store: Store, *paths: Path, format="cryptofeed", **options):
    return import_recordings(store, paths, format=format, describe_for=lambda source: claim_nothing, **options)


def exported(store: Store, lane: str, tmp_path: Path) -> bytes:
    with (tmp_path / "out").open("wb") as out:
        export_recording(store, lane, out)
    return (tmp_path / "out").read_bytes()


def objects(store: Store) -> dict[str, bytes]:
    return {key: store.get(key) for prefix in ("raw", "ledger") for key in store.list(prefix)}


def facts(store: Store, lane: str) -> list[tuple[int, int, int, str, str]]:
    """What two imports of one file must agree on."""
    entries = Ledger(store).entries(lane)
    return [(e.seq, e.first_n, e.segment.lines, e.segment.sha256, e.segment.key) for e in entries]


@pytest.mark.usefixtures("small_segments")
def test_import_seals_the_file_under_its_content_and_a_second_import_changes_nothing(store, tmp_path):
    data = recording()
    folder = write(tmp_path / "in", {"COINBASE.ws.1.0": data})
    first = run(store, folder)
    before = objects(store)
    second = run(store, folder)
    sha256 = hashlib.sha256(data).hexdigest()
    lane = f"import.coinbase.cryptofeed.{sha256[:16]}"
    (one,), (two,) = first.files, second.files
    assert (one.state, one.lane, one.lines, one.new_lines, first.exit_code) == ("imported", lane, 1003, 1003, 0)
    assert (two.state, two.lane, two.lines, two.new_lines, second.exit_code) == ("already imported", lane, 1003, 0, 0)
    assert objects(store) == before
    entries = list(Ledger(store).entries(lane))
    assert len(entries) == one.segments > 3
    assert entries[0].meta == {
        "file": "COINBASE.ws.1.0",
        "size": str(len(data)),
        "sha256": sha256,
        "format": "cryptofeed",
    }
    assert entries[-1].meta["final"] == "true"
    assert not any("final" in entry.meta for entry in entries[:-1])
    frames = [frame for entry in entries for frame in iter_frames(store, entry.segment)]
    assert [frame.n for frame in frames] == list(range(1003))
    assert frames[1].recv_ns == START * 10**9
    assert frames[2].recv_ns == START * 10**9 + 7_919_000
    assert json.loads(frames[5].payload) == {"type": "match", "trade_id": 4}
    assert exported(store, lane, tmp_path) == data


@pytest.mark.parametrize("place", [0, 40])
def test_a_clock_after_the_import_costs_its_own_line_only(store, tmp_path, place):
    lines = [b'%d.5: {"trade_id":%d}\n' % (START + n, n) for n in range(80)]
    lines[place] = b'4102444800.5: {"trade_id":%d}\n' % place  # the year 2100
    folder = write(tmp_path / "in", {"COINBASE.1": b"".join(lines)})
    report = run(store, folder)
    assert (report.files[0].damaged, report.files[0].damaged_lines, report.exit_code) == (1, (place + 1,), 3)
    lane = report.files[0].lane
    (entry,) = Ledger(store).entries(lane)
    frames = list(iter_frames(store, entry.segment))
    before = max(place - 1, 1 - place)
    assert [f.recv_ns for f in frames] == [
        (START + (before if n == place else n)) * 10**9 + 500_000_000 for n in range(80)
    ]
    assert (frames[place].kind, frames[place].payload) == ("note", b"")
    assert entry.known_ns == (START + 79) * 10**9 + 500_000_000
    assert exported(store, lane, tmp_path) == b"".join(lines)


def test_a_recording_all_of_whose_clocks_lie_after_the_import_is_refused(store, tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.1": b"4102444800.5: {}\n" * 30})
    with pytest.raises(FormatDrift, match="clocks lie after the time of the import"):
        run(store, folder)
    assert objects(store) == {}


def test_copy_under_another_name_is_the_same_recording(store, tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.1": recording(), "COINBASE.2": recording()})
    assert [file.state for file in run(store, folder).files] == ["imported", "already imported"]


def test_gzip_is_the_same_recording_as_plain(store, tmp_path):
    (zipped,) = run(store, write(tmp_path / "one", {"COINBASE.b.gz": gzip.compress(recording())})).files
    assert exported(store, zipped.lane, tmp_path) == recording()
    (plain,) = run(store, write(tmp_path / "two", {"COINBASE.a": recording()})).files
    assert (plain.state, plain.lane, plain.new_lines) == ("already imported", zipped.lane, 0)


def test_lane_opens_with_the_first_clock_of_the_file(store, tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.0": b"\nconfiguration: {}\n" + recording(3)})
    (file,) = run(store, folder).files
    entry = Ledger(store).entry(file.lane, 0)
    assert entry.first_recv_ns == START * 10**9
    assert "/2021-04-17/" in entry.segment.key


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("BINANCE.ws.1.0", "binance-spot"),
        ("BINANCE_FUTURES.ws.1.0", "binance-usdm"),
        ("coinbase.gz", "coinbase"),
        ("KRAKEN.ws.48.0", "kraken"),
        ("sub/folder/OKX.0", "okx"),
        ("BYBIT.0", "bybit"),
        ("DERIBIT.0", "deribit"),
    ],
)
def test_venue_is_told_by_the_file_name(store, tmp_path, name, source):
    (file,) = run(store, write(tmp_path / "in", {name: recording(3)})).files
    assert (file.source, file.file) == (source, name)


def test_files_of_other_venues_are_skipped_by_name_unless_the_venue_is_given(store, tmp_path):
    folder = write(tmp_path / "in", {"KRAKEN_FUTURES.0": recording(3), "KRAKEN.0": recording(4), ".hidden": b"x"})
    kraken, futures = run(store, folder).files
    assert (kraken.source, futures.state) == ("kraken", "skipped")
    assert "--venue" in futures.reason
    with pytest.raises(ConfigError, match="KRAKEN_FUTURES"):
        run(store, folder / "KRAKEN_FUTURES.0")
    (given,) = run(store, folder / "KRAKEN_FUTURES.0", source="kraken").files
    assert (given.state, given.source) == ("imported", "kraken")


def test_hftbacktest_market_is_told_by_the_folder(store, tmp_path):
    line = b'1723161256172216566 {"stream":"a@trade","data":{"n":%d}}\n'
    folder = write(
        tmp_path, {f"in/{market}/x.gz": gzip.compress(line % n) for n, market in enumerate(["cm", "spot", "usdm"])}
    )
    report = run(store, folder / "in", format="hftbacktest")
    assert [file.source for file in report.files] == ["binance-coinm", "binance-spot", "binance-usdm"]


def test_wrong_format_is_refused_and_nothing_is_imported(store, tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.0": recording()})
    with pytest.raises(FormatDrift, match=r"COINBASE.0: not a hftbacktest recording.*--from cryptofeed"):
        run(store, folder, format="hftbacktest", source="coinbase")
    assert objects(store) == {}


def test_bad_files_leave_the_others_alone(store, tmp_path):
    files = {"COINBASE.empty": b"", "COINBASE.good": recording(), "COINBASE.csv": b"a,b,c\n1,2,3\n"}
    report = run(store, write(tmp_path / "in", files))
    csv, empty, good = report.files
    assert (csv.state, empty.state, good.state, report.exit_code) == ("failed", "failed", "imported", 1)
    assert "CSV" in csv.reason
    assert "empty file" in empty.reason


def test_damaged_lines_are_kept_and_counted(store, tmp_path):
    lines = recording(50).splitlines(keepends=True)
    lines[10:10] = [b"\xff\xfe\n", b"no clock here\n"]
    report = run(store, write(tmp_path / "in", {"COINBASE.0": b"".join(lines)}))
    again = run(store, tmp_path / "in")
    for seen in (report, again):
        (file,) = seen.files
        assert (file.damaged, file.damaged_lines, seen.exit_code) == (2, (11, 12), 3)
    assert exported(store, report.files[0].lane, tmp_path) == b"".join(lines)


def test_cut_gzip_is_imported_as_far_as_it_goes(store, tmp_path):
    text = b"".join(
        b'%d.5: {"h":"%s"}\n' % (START + n, hashlib.sha256(b"%d" % n).hexdigest().encode()) for n in range(3000)
    )
    report = run(store, write(tmp_path / "in", {"COINBASE.gz": gzip.compress(text)[:60_000]}))
    (file,) = report.files
    assert (file.state, report.exit_code) == ("imported", 3)
    assert "ends early" in file.truncated
    assert file.lines > 500
    assert text.startswith(exported(store, file.lane, tmp_path))


def test_dry_run_touches_nothing(store, tmp_path):
    report = run(store, write(tmp_path / "in", {"COINBASE.0": recording()}), dry_run=True)
    assert [file.state for file in report.files] == ["planned"]
    assert objects(store) == {}


def test_unknown_names_are_refused(store, tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.0": recording(2)})
    with pytest.raises(NotInLake, match="cryptofeed, hftbacktest"):
        run(store, folder, format="nothing")
    for vendor in ("tardis", "crypto-lake"):
        with pytest.raises(NotInLake, match=f"books acquire --vendor {vendor}"):
            run(store, folder, format=vendor)
    with pytest.raises(NotInLake, match="no venue 'nowhere'"):
        run(store, folder, source="nowhere")
    with pytest.raises(ConfigError, match="no such file"):
        run(store, tmp_path / "missing")
    with pytest.raises(NotInLake):
        export_recording(store, "import.none", io.BytesIO())


def test_encrypted_import_comes_back_with_the_key(store, tmp_path):
    key = hashlib.sha256(b"test").digest()
    run(store, write(tmp_path / "in", {"COINBASE.0": recording()}), key=key)
    (done,) = export_recordings(store, tmp_path / "out", key=key)
    assert done.complete
    assert (tmp_path / "out" / done.lane / "COINBASE.0").read_bytes() == recording()
    assert not any(b"trade_id" in data for data in objects(store).values())


@pytest.mark.usefixtures("small_segments")
def test_file_that_changes_under_the_reader_is_not_closed(store, tmp_path, monkeypatch):
    path = write(tmp_path / "in", {"COINBASE.0": recording()}) / "COINBASE.0"
    monkeypatch.setattr(imports, "hashes_of_file", lambda p: ("0" * 64, "0" * 64, path.stat().st_size))
    report = run(store, path)
    assert "changed while it was read" in report.files[0].reason
    assert report.exit_code == 1
    assert not any("final" in entry.meta for lane in import_lanes(store) for entry in Ledger(store).entries(lane))


def _import(lake: str, folder: str, crash: str, start: Event | None, results) -> None:
    use_small_segments()
    if crash:
        os.environ["TIDELAKE_CRASH"] = crash
    if start is not None:
        start.wait()
    report = run(Store.open(lake), Path(folder))
    if results is not None:
        results.put(report.files[0])


@pytest.mark.parametrize("crash", ["segment-put:3", "before-ledger-put:2", "after-ledger-put:4", "before-ledger-put:1"])
def test_killed_import_goes_on_and_ends_as_an_undisturbed_one(tmp_path, crash):
    folder = write(tmp_path / "in", {"COINBASE.0": recording()})
    for lake, kill in (("killed", crash), ("whole", ""), ("killed", "")):
        ended = processes.run(_import, str(tmp_path / lake), str(folder), kill, None, None)
        assert ended == (-signal.SIGKILL if kill else 0)
    killed, whole = Store.open(tmp_path / "killed"), Store.open(tmp_path / "whole")
    (lane,) = import_lanes(whole)
    assert facts(killed, lane) == facts(whole, lane)
    assert sorted(killed.list("raw")) == sorted(whole.list("raw"))
    assert exported(killed, lane, tmp_path) == recording()


def test_two_processes_on_one_file_end_clean_with_one_lane(tmp_path):
    folder = write(tmp_path / "in", {"COINBASE.0": recording(20_000)})
    start, results = processes.CONTEXT.Event(), processes.CONTEXT.Queue()
    args = (str(tmp_path / "lake"), str(folder), "", start, results)
    children = [processes.process(_import, *args) for _ in range(2)]
    for child in children:
        child.start()
    start.set()
    files = [results.get(timeout=processes.PATIENT_SECONDS) for _ in children]
    for child in children:
        child.join()
        assert child.exitcode == 0
    store = Store.open(tmp_path / "lake")
    (lane,) = import_lanes(store)
    assert sum(file.new_lines for file in files) == 20_003
    assert {file.lines for file in files} == {20_003}
    assert exported(store, lane, tmp_path) == recording(20_000)
    assert sorted(store.list("raw")) == sorted(entry.segment.key for entry in Ledger(store).entries(lane))


@pytest.mark.usefixtures("small_segments")
def test_writer_that_comes_second_notices_and_ends_with_the_same_lane(store, tmp_path, monkeypatch):
    folder = write(tmp_path / "in", {"COINBASE.0": recording()})
    seal, calls = seal_lines, []

    def another_first(*args, **options):
        calls.append(1)
        if len(calls) == 2:  # the other import runs to its end before our second seal
            monkeypatch.setattr(imports, "seal_lines", seal)
            assert run(store, folder).files[0].state == "imported"
        return seal(*args, **options)

    monkeypatch.setattr(imports, "seal_lines", another_first)
    (file,) = run(store, folder).files
    assert file.contended
    assert (file.segments, file.lines) == (1, 1003)
    assert exported(store, file.lane, tmp_path) == recording()
    assert sorted(store.list("raw")) == sorted(entry.segment.key for entry in Ledger(store).entries(file.lane))
