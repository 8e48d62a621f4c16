import gzip
import json

import msgspec
import pytest
from pyarrow import parquet

from tests.raw.files import LANE, csv_file, manifest_of, parquet_file, seal, sealed_names
from tests.raw.lanes import seal_each
from tests.vendor_files import lake_trades, tardis_trades
from tidelake.errors import FormatDrift, LedgerBroken, NotInLake, StoreError
from tidelake.raw import store as store_module
from tidelake.raw.entry import encode_entry, with_checksum
from tidelake.raw.explain import explain
from tidelake.raw.ledger import Ledger, entry_key
from tidelake.raw.object_reader import open_object
from tidelake.raw.sealed_files import FileLane, read_row
from tidelake.raw.segments import iter_frames
from tidelake.raw.store import Store
from tidelake.raw.verify import verify


@pytest.fixture(params=["disk", "memory", "s3"])
def store(request, tmp_path):
    if request.param == "disk":
        return Store.open(tmp_path / "lake")
    if request.param == "memory":
        return Store.open(f"memory:///{request.node.name}")
    return Store.open(request.getfixturevalue("s3_lake_url"))


def problems(store: Store) -> list[tuple[str, str]]:
    return [(problem.kind, problem.key) for problem in verify(store).problems]


def replace(store: Store, key: str, data: bytes) -> None:
    store.delete(key)
    assert store.put_new(key, data)


def test_sealed_file_is_verbatim_named_by_its_entry_and_its_manifest_is_the_line(store, tmp_path):
    path = parquet_file(tmp_path)
    entry, sealed = seal(store, path, "trades/dt=2024-08-08/1.parquet")
    assert sealed
    assert entry.file is not None
    assert store.get(entry.file.key) == path.read_bytes()
    assert entry.file.key == f"raw/toy/{LANE}/2024-08-08/000000000000-{entry.file.sha256[:16]}.parquet"
    (frame,) = iter_frames(store, entry.segment)
    assert (frame.kind, json.loads(frame.payload)["name"]) == ("note", "trades/dt=2024-08-08/1.parquet")
    assert Ledger(store).entry(LANE, 0) == entry
    report = verify(store)
    assert report.problems == []
    assert report.counts["files"] == 1
    assert path.exists()


def test_same_bytes_again_are_sealed_once_and_other_bytes_are_the_newer_version(store, tmp_path):
    first, second = parquet_file(tmp_path, 1), parquet_file(tmp_path, 2)
    assert [seal(store, path, "a.parquet")[1] for path in (first, first, second, second, first)] == [
        True, False, True, False, True,
    ]  # fmt: skip
    lane = FileLane(store, LANE)
    assert lane.standing()["a.parquet"].seq == 2
    assert seal(store, second, "b.parquet", lane)[0].seq == 3
    assert sealed_names(store) == ["a.parquet"] * 3 + ["b.parquet"]
    assert problems(store) == []


def test_blank_lines_of_a_csv_are_no_rows(store, tmp_path):
    path = csv_file(tmp_path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"\n", b"\n\n")))
    entry, _ = seal(store, path)
    assert entry.file is not None
    assert [read_row(store, entry.file, row)["id"] for row in (0, 7, 29)] == ["1000", "1007", "1029"]


def test_file_larger_than_a_block_is_put_and_read_in_blocks(store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "FILE_BLOCK", 5 << 20)
    path = tmp_path / "large.csv.gz"
    path.write_bytes(bytes(range(251)) * 50_000)  # over two parts of five MiB, which is the least that S3 takes
    entry, _ = seal(store, path)
    assert entry.file is not None
    assert store.get(entry.file.key) == path.read_bytes()
    with open_object(store, entry.file.key) as stored:
        stored.seek(-7, 2)
        assert stored.read() == path.read_bytes()[-7:]
        assert stored.seek(5) == 5
        assert stored.read(3) == path.read_bytes()[5:8]
    assert problems(store) == []


def test_file_that_is_not_the_one_of_its_manifest_is_refused_and_nothing_is_put(store, tmp_path):
    path = parquet_file(tmp_path)
    manifest = manifest_of(path, "a.parquet")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(StoreError, match="changed while it was put"):
        FileLane(store, LANE).seal(path, manifest, source="toy", recv_ns=1, meta={})
    assert list(store.list("")) == []
    with pytest.raises(FormatDrift, match=r"\.parquet or \.csv\.gz"):
        FileLane(store, LANE).seal(path, manifest_of(path, "a.exe"), source="toy", recv_ns=1, meta={})


def test_each_flipped_bit_of_a_file_is_found(tmp_path):
    store = Store.open(tmp_path / "lake")
    entry, _ = seal(store, csv_file(tmp_path))
    assert entry.file is not None
    data = store.get(entry.file.key)
    for position in range(0, len(data), 7):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        replace(store, entry.file.key, bytes(changed))
        assert problems(store) == [("changed-file", entry.file.key)]
    replace(store, entry.file.key, data[:-1])
    assert problems(store) == [("changed-file", entry.file.key)]
    store.delete(entry.file.key)
    assert problems(store) == [("missing-file", entry.file.key)]
    assert [problem.kind for problem in verify(store, deep=False).problems] == ["missing-file"]


def test_file_without_an_entry_is_named_and_taken_over_by_the_next_run(store, tmp_path):
    path = parquet_file(tmp_path)
    entry, _ = seal(store, path)
    assert entry.file is not None
    store.delete(entry_key(LANE, 0))
    assert problems(store) == [
        ("unnamed-object", key) for key in sorted((entry.segment.key, entry.file.key))
    ]  # fmt: skip
    assert seal(store, path)[0].file == entry.file
    assert problems(store) == []


def test_damaged_object_in_the_place_of_a_file_is_not_taken_over(store, tmp_path):
    path = parquet_file(tmp_path)
    entry, _ = seal(store, path)
    assert entry.file is not None
    store.delete(entry_key(LANE, 0))
    replace(store, entry.file.key, b"half")
    again, _ = seal(store, path)
    assert again.file is not None
    assert again.file.key != entry.file.key
    assert store.get(again.file.key) == path.read_bytes()
    assert problems(store) == [("unnamed-object", entry.file.key)]


def test_entry_that_says_other_things_of_its_file_than_the_manifest_is_named(tmp_path):
    store = Store.open(tmp_path / "lake")
    entry, _ = seal(store, parquet_file(tmp_path))
    assert entry.file is not None
    for change in ({"rows": 31}, {"name": "other.parquet"}):
        false = msgspec.structs.replace(entry, file=msgspec.structs.replace(entry.file, **change))
        replace(store, entry_key(LANE, 0), encode_entry(with_checksum(false)))
        assert problems(store) == [("wrong-sums", entry_key(LANE, 0))]


def test_entries_without_a_file_have_the_bytes_that_they_had(tmp_path):
    store = Store.open(tmp_path)
    entry = seal_each(store, 1)[0]
    assert b'"file"' not in store.get(entry_key(entry.lane, 0))


def test_explain_shows_each_row_of_a_parquet_file(store, tmp_path):
    path = parquet_file(tmp_path)
    entry, _ = seal(store, path)
    assert entry.file is not None
    table = parquet.read_table(path)
    for row in (0, 7, 8, 29):
        found = explain(store, entry.file.sha256[:16], row)
        assert found["row"] == table.slice(row, 1).to_pylist()[0] == lake_trades(30, seed=0)[row]
        assert found["chain"]["entry"] == entry_key(LANE, 0)
        assert found["entry"]["file"]["name"] == "day/0.parquet"
    with pytest.raises(NotInLake, match="rows 0 to 29"):
        explain(store, entry.file.sha256[:16], 30)


def test_explain_shows_a_row_of_a_csv_file_as_text_and_the_manifest_by_its_segment(store, tmp_path):
    entry, _ = seal(store, csv_file(tmp_path))
    assert entry.file is not None
    wanted = tardis_trades(30, seed=0)
    for row in (0, 29):
        expected = {name: str(value) for name, value in wanted[row].items()}
        assert explain(store, entry.file.sha256[:16], row)["row"] == expected
    manifest = explain(store, entry.segment.sha256[:16], 0)["frame"]["payload"]
    assert json.loads(manifest)["rows"] == 30


def test_explain_refuses_a_file_that_was_changed(store, tmp_path):
    entry, _ = seal(store, csv_file(tmp_path))
    assert entry.file is not None
    replace(store, entry.file.key, gzip.compress(b"a,b\n1,2\n" * 40))
    with pytest.raises(LedgerBroken, match=rf"{entry.file.sha256[:16]}.*entry 0 of lane"):
        explain(store, entry.file.sha256[:16], 0)
