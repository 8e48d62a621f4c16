"""Mapping files: what is wrong with one is said, with its name."""

import pytest

import tidelake
from tidelake.errors import ConfigError
from tidelake.tables.mapping import load_mappings

GOOD = """
source: coinbase
mappings:
  - name: match
    table: trades
    kind: frame
    fields:
      trade_id: {path: id, as: text}
"""


def load(folder, text, name="bad.yaml"):
    (folder / name).write_text(text)
    return load_mappings(folder)


@pytest.mark.parametrize(
    "text",
    [
        "source: [",
        "",
        "just words",
        "source: coinbase",
        GOOD.replace("as: text", "as: float"),
        GOOD.replace("path: id", "pth: id"),
        GOOD.replace("kind: frame", "kind: frames"),
        GOOD.replace("    kind: frame\n", ""),
        GOOD.replace("    kind: frame", "    kind: frame\n    colour: red"),
        GOOD.replace("    kind: frame", "    kind: frame\n    valid_from: yesterday"),
        GOOD.replace("    kind: frame", "    kind: frame\n    where: {type: match}"),
        GOOD.replace("table: trades", "table: treads"),
        GOOD.replace("trade_id:", "trade_ids:"),
        GOOD.replace("    kind: frame", "    kind: frame\n    flatten: no_such_function"),
        GOOD.replace("    kind: frame", "    kind: frame\n    set: {colour: red}"),
        GOOD.replace("    kind: frame", "    kind: frame\n    has: [^.type]"),
        GOOD.replace("    kind: frame", "    kind: frame\n    lacks: [^.type]"),
        GOOD.replace("source: coinbase", "source: atlantis"),
        GOOD.replace("{path: id, as: text}", "{as: text}"),
        GOOD + "      side: {path: side, as: enum}\n",
        GOOD + "      size_unit: {path: id, as: size_unit}\n",
        GOOD.replace("as: text", 'as: text, before: "spot:"'),
    ],
)
def test_a_bad_file_is_named(tmp_path, text):
    with pytest.raises(ConfigError, match=r"bad\.yaml") as caught:
        load(tmp_path, text)
    assert str(tmp_path / "bad.yaml") in caught.value.tried


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        load_mappings(tmp_path)


@pytest.mark.parametrize("make_file", [False, True])
def test_a_directory_that_is_none_is_named(tmp_path, make_file):
    path = tmp_path / "maps"
    if make_file:
        path.write_text(GOOD)
    with pytest.raises(ConfigError, match="maps"):
        tidelake.open(tmp_path / "lake", mappings=path)


def test_an_own_mapping_stands_beside_ours_and_in_place_of_its_namesake(tmp_path):
    shipped = {(m.source, m.spec.name): m for m in load_mappings()}
    found = {(m.source, m.spec.name): m for m in load(tmp_path, GOOD)}
    assert found.keys() == shipped.keys()
    changed = {name for name, mapping in found.items() if mapping != shipped[name]}
    assert changed == {("coinbase", "match")}
    other = load(tmp_path, GOOD.replace("name: match", "name: mine"))
    assert len(other) == len(shipped) + 1


def test_the_version_changes_with_any_word_and_with_nothing_else(tmp_path):
    def version(text):
        return next(m.version for m in load(tmp_path, text) if m.spec.name == "match")

    assert version(GOOD) == version(GOOD.replace("{path: id, as: text}", "{as: text, path: id}") + "# remark\n")
    assert version(GOOD) == version(GOOD.replace("as: text", 'as: text, before: ""') + "    lacks: []\n")
    assert version(GOOD) != version(GOOD.replace("path: id", "path: uid"))
