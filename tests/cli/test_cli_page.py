"""The reference page is what the commands say of themselves, and each command has an example."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("write_cli_page", ROOT / "scripts" / "write_cli_page.py")
assert spec is not None
assert spec.loader is not None
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)


@pytest.fixture(autouse=True)
def width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def test_page_is_current():
    assert writer.PAGE.read_text() == writer.page(), "run `make docs`"


@pytest.mark.parametrize("words", list(writer.commands()), ids=" ".join)
def test_help_has_an_example_of_its_own_command(words):
    text = writer.help_of(words)
    assert "Example:" in text
    examples = text.split("Example:")[1]
    assert f"tidelake {' '.join(words)}" in examples or f" {' '.join(words)}" in examples
