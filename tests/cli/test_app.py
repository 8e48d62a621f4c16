import os
import signal
import subprocess
import sys

import pytest

import tidelake.cli.options
from tidelake.cli.app import hoist, run
from tidelake.cli.lake import parse_row
from tidelake.errors import NotInLake


@pytest.fixture(autouse=True)
def outside_any_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "TIDELAKE_LAKE",
        "TIDELAKE_MAPPINGS",
        "TIDELAKE_MARKETS",
        "TIDELAKE_COINS",
        "TIDELAKE_SPOOL",
        "TIDELAKE_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def failing(monkeypatch):
    """Makes `tidelake derive --dry-run` raise."""

    def set_error(error):
        def fail(*_):
            raise error

        monkeypatch.setattr(tidelake.cli.options.Options, "open_lake", fail)

    return set_error


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        (["derive", "--format", "json"], ["--format", "json", "derive"]),
        (["derive", "--lake=x", "-v", "trades"], ["--lake=x", "-v", "derive", "trades"]),
        (["sql", "--as-of", "T", "q"], ["sql", "--as-of", "T", "q"]),
        (["sql", "--", "--lake", "x"], ["sql", "--", "--lake", "x"]),
        (["sql", "q", "--lake"], ["sql", "q", "--lake"]),
    ],
)
def test_global_options_may_stand_behind_the_command(given, hoisted):
    assert hoist(given) == hoisted


def test_help_and_version_are_done(capsys):
    assert run(["--help"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"tidelake {tidelake.__version__}\n"


@pytest.mark.parametrize(
    "args", [["nonsense"], ["sql"], ["status", "--format", "xml"], ["import", "x"], ["explain", "zz"], ["status"]]
)
def test_wrong_use_is_2_with_a_message_on_stderr_only(args, capsys):
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err


def test_missing_lake_lists_every_place_looked_in(capsys):
    assert run(["status"]) == 2
    err = capsys.readouterr().err
    for place in ("--lake", "TIDELAKE_LAKE", "tidelake.toml", "default: none"):
        assert place in err


def test_own_error_is_one_message_and_1(failing, capsys):
    failing(NotInLake("no table 'trade'; tables: trades"))
    assert run(["derive", "--dry-run"]) == 1
    assert capsys.readouterr().err == "NotInLake: no table 'trade'; tables: trades\n"


def test_unexpected_error_shows_its_traceback_only_when_asked(failing, capsys):
    failing(ZeroDivisionError("boom"))
    assert run(["derive", "--dry-run"]) == 1
    short = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: boom" in short
    assert "Traceback" not in short
    assert run(["derive", "--dry-run", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["derive", "--dry-run"], ["derive", "--dry-run", "-v"]])
def test_secrets_never_show_in_an_error(failing, capsys, monkeypatch, args):
    monkeypatch.setenv("VENUE_API_KEY", "canary-4f1c")
    failing(ValueError("GET https://u:pw123@host/x?apiKey=canary-4f1c&signature=deadbeef failed with canary-4f1c"))
    assert run(args) == 1
    err = capsys.readouterr().err
    assert "host/x" in err
    for secret in ("canary-4f1c", "pw123", "deadbeef"):
        assert secret not in err


def test_ctrl_c_ends_clean(failing, capsys):
    failing(KeyboardInterrupt())
    assert run(["derive", "--dry-run"]) == 128 + signal.SIGINT
    err = capsys.readouterr().err
    assert "run the same command again" in err
    assert "Traceback" not in err


def test_dry_run_of_derive_prints_plan_and_columns_and_makes_no_table(capsys, tmp_path):
    (tmp_path / "lake").mkdir()
    assert run(["derive", "trades", "--dry-run", "--format", "csv", "--lake", str(tmp_path / "lake")]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header == "table,lanes,entries,bytes,broken,columns"
    assert row.startswith('trades,0,0,0,0,"source string, symbol string')
    assert list((tmp_path / "lake").iterdir()) == []


@pytest.mark.parametrize("args", [["status"], ["derive"], ["sql", "SELECT 1"], ["verify"], ["coverage"], ["maintain"]])
def test_lake_that_is_not_there_is_refused_and_not_made(args, capsys, tmp_path):
    assert run([*args, "--lake", str(tmp_path / "typo")]) == 2
    assert "there is no lake at" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


def test_init_writes_the_settings_once_and_its_dry_run_nothing(capsys, tmp_path):
    assert run(["init", "here", "--dry-run"]) == 0
    assert list(tmp_path.iterdir()) == []
    assert run(["init", "here"]) == 0
    assert (tmp_path / "tidelake.toml").read_text() == 'lake = "here"\n'
    assert run(["init", "elsewhere"]) == 0
    assert (tmp_path / "tidelake.toml").read_text() == 'lake = "here"\n'
    capsys.readouterr()
    assert run(["coverage"]) == 0
    assert capsys.readouterr() == ("(no rows)\n", "0 streams, 0 gaps\n")


@pytest.mark.parametrize(
    ("text", "row"), [("9f2c41d0a1b2c3d4:17", (17, 0)), ("9f2c41d0a1b2c3d4:17:3", (17, 3))]
)  # fmt: skip
def test_row_name_is_read(text, row):
    assert parse_row(text) == ("9f2c41d0a1b2c3d4", *row)


def ignore_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell script starts what it sends to the background


@pytest.mark.parametrize("before", [None, ignore_interrupts])
def test_termination_ends_a_server_clean(before):
    command = [sys.executable, "-m", "tidelake", "sim", "venue", "coinbase", "--format", "csv"]
    server = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), preexec_fn=before
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "venue,url\n"
        assert server.stdout.readline().startswith("coinbase,http://127.0.0.1:")
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=20)
    finally:
        server.kill()
    assert "Traceback" not in err
    assert server.returncode == 0
