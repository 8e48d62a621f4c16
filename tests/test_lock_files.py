"""The lock files hold names, versions and hashes, and agree with each other and with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("build", "runtime", "dev", "bench", "pathway")


def pins(name):
    """Requirement to set of versions (several where they differ by Python version)."""
    found = {}
    for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines():
        if match := re.match(r"([a-z0-9._-]+)==(\S+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


def names(requirements):
    return {re.split(r"[^A-Za-z0-9._-]", text)[0].lower().replace("_", "-") for text in requirements}


@pytest.mark.parametrize("name", FILES)
def test_lock_file_has_a_hash_for_each_pin_and_no_address(name):
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    blocks = re.split(r"\n(?=\S)", text.strip())
    assert len(blocks) > 5
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==\S+", block)
        assert "--hash=sha256:" in block, block.splitlines()[0]


@pytest.mark.parametrize(("smaller", "larger"), [("runtime", "dev"), ("dev", "bench")])
def test_larger_lock_file_keeps_the_versions_of_the_smaller(smaller, larger):
    assert pins(smaller).items() <= pins(larger).items()


def test_lock_with_pathway_departs_from_the_others_in_pyarrow_alone():
    assert {name for name, found in pins("dev").items() if pins("pathway").get(name) != found} == {"pyarrow"}


def test_build_requirements_agree_with_the_other_files():
    for other in ("runtime", "dev", "bench", "pathway"):
        both = pins("build").keys() & pins(other).keys()
        assert {name: pins("build")[name] for name in both} == {name: pins(other)[name] for name in both}


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert names(project["dependencies"]) <= pins("runtime").keys()
    assert names(project["optional-dependencies"]["dev"]) <= pins("dev").keys()
    assert names(project["optional-dependencies"]["bench"]) <= pins("bench").keys()
    assert names(project["optional-dependencies"]["pathway"]) <= pins("pathway").keys()
