"""What the documentation shows works: commands end with 0, Python runs, and the words it defines exist."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from tidelake.cli.app import run
from tidelake.sim.market import Market
from tidelake.sim.recordings import write_cryptofeed
from tidelake.tables.mapping import load_mappings
from tidelake.tables.quarantine import SCHEMA as QUARANTINE
from tidelake.tables.registry import TABLES
from tidelake.venues import registry
from tidelake.venues.registry import venues

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
START_NS = 1_714_521_600_000_000_000  # 2024-05-01


def snippets(page, language):
    """The code blocks of a language, without those marked as not run."""
    text = re.sub(r"<!-- not run: .+? -->\n```\w+\n.*?```\n", "", page.read_text(), flags=re.DOTALL)
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with recordings of one minute in ./captures."""
    path = tmp_path_factory.mktemp("reader")
    market = Market(1, start_ns=START_NS)
    write_cryptofeed(path / "captures", market, START_NS, START_NS + 60 * 10**9)
    return path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_then_python_run(page, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.delenv("TIDELAKE_LAKE", raising=False)
    for block in snippets(page, "console"):
        for line in block.splitlines():
            assert line.startswith("$ tidelake ")
            assert run(shlex.split(line)[2:]) == 0, (line, capsys.readouterr().err)
    for block in snippets(page, "python"):
        exec(compile(block, page.name, "exec"), {"__name__": "snippet"})


def test_readme_shows_commands_and_python():
    assert len(snippets(ROOT / "README.md", "console")) == 1
    assert len(snippets(ROOT / "README.md", "python")) == 1


@pytest.mark.parametrize("block", snippets(ROOT / "docs" / "add-a-venue.md", "yaml"))
def test_mapping_of_the_guide_is_valid(block, tmp_path, monkeypatch):
    venue = replace(venues()["coinbase"], source="example")
    monkeypatch.setattr(registry, "venues", lambda: venues() | {"example": venue})
    (tmp_path / "example.yaml").write_text(block)
    found = [mapping for mapping in load_mappings(tmp_path) if mapping.source == "example"]
    assert len(found) == len(yaml.safe_load(block)["mappings"]) > 0
    assert isinstance(found[0].spec, msgspec.Struct)


@pytest.mark.parametrize("name", [*TABLES, "quarantine"])
def test_every_column_is_defined_in_semantics(name):
    text = (ROOT / "docs" / "semantics.md").read_text()
    section = text.split(f"## `{name}`")[1].split("\n## ")[0]
    shared = text.split("## Provenance")[1].split("\n## ")[0]
    schema = TABLES[name].schema if name in TABLES else QUARANTINE
    for column in schema.names:
        assert f"| `{column}` |" in section + shared, column


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
