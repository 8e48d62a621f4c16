"""The command `stablecoins calibrate`."""

import json

import pytest

from tidelake.cli.app import run


def calibrate(capsys, *words, form="json"):
    code = run(["--format", form, "stablecoins", "calibrate", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.mark.slow
def test_scores_of_simulated_histories_are_calibrated_on_seeds_of_their_own(capsys, tmp_path):
    page = tmp_path / "page.html"
    words = ("--seeds", "1,2", "--days", 1, "--coins", "USDC", "--chains", "ethereum")
    code, out, said = calibrate(capsys, *words, "--html", page)
    assert code == 0
    assert "simulated histories" in said
    report = json.loads(out)
    assert (report["fit_seeds"], report["score_seeds"]) == ([1], [2])
    assert [each["finals_wrong"] for each in report["seeds"]] == [0, 0]
    brier = {each["forecast"]: each["found"]["brier"] for each in report["forecasts"] if each["rows"] == "all"}
    assert brier["fitted"] < brier["prior"] < brier["base rate"]
    text = page.read_text(encoding="utf-8")
    assert "no statement about a real chain" in text
    assert f"{brier['prior']:.4f}" in text
    assert f"{brier['fitted']:.4f}" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--seeds", "1..4", "--score-seeds", "4,5"), 2, "seeds 4 would be fitted to and scored on"),
        (("--seeds", "1"), 2, "others to score on"),
        (("--seeds", "one"), 2, "no seeds such as"),
        (("--seeds", "1,1,2"), 2, "names a seed twice"),
        (("--seeds", "1,2", "--coins", ""), 2, "a history needs coins"),
    ],
)
def test_what_cannot_be_calibrated_is_refused_before_a_history_is_made(capsys, words, code, said):
    found, out, err = calibrate(capsys, *words)
    assert (found, out) == (code, "")
    assert said in " ".join(err.split())
