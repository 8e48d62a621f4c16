"""A kernel that changed is compiled anew, and so is every one that calls it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import tidelake.kernels

READ = """
import numpy as np
from tidelake.kernels.json_tokens import NUMBER
from tidelake.kernels.json_values import read_integers
out, good = np.zeros(1, np.int64), np.zeros(1, np.bool_)
read_integers(np.frombuffer(b"2", np.uint8), np.array([[0, 1]]), np.array([NUMBER], np.uint8), out, good)
print(out[0], sum(read_integers.stats.cache_hits.values()))
"""


def test_what_was_kept_of_a_kernel_falls_with_those_it_calls(tmp_path):
    copy = tmp_path / "tidelake" / "kernels"
    shutil.copytree(Path(tidelake.kernels.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tidelake" / "__init__.py").touch()

    def read() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert [read(), read()] == ["2 0", "2 1"]
    called = copy / "json_tokens.py"
    text = called.read_text()
    assert text.count("return text[np.uint64(at)]") == 1
    called.write_text(text.replace("return text[np.uint64(at)]", "return text[np.uint64(at)] + 5"))
    assert read() == "7 0"
