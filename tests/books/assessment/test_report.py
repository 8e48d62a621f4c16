"""The report says what was found, in words and charts, and loads nothing."""

import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import polars as pl
import pytest

from tests.books.assessment.market_day import clean_day, hour
from tidelake.books.assessment.assessment import DayAssessment
from tidelake.books.assessment.report_charts import agreement_figure, coverage_figure, spacing_and_steps_figure
from tidelake.books.assessment.report_markdown import markdown_report
from tidelake.books.assessment.report_page import write_report_page


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> DayAssessment:
    day = clean_day()
    deltas = day.deltas.filter(~hour("received_time", 10, 11))
    told = pl.when(hour("received_time", 2, 3)).then(0).otherwise("origin_time")
    trades = day.trades.with_columns(origin_time=told)
    return day.changed(deltas=deltas, trades=trades).assessed(tmp_path_factory.mktemp("faulty"))


def traces(figure: go.Figure, name: str) -> list[Any]:
    return [trace for trace in figure.data if trace.name == name]


def test_silence_is_drawn_where_it_was(faulty: DayAssessment):
    (silence,) = traces(coverage_figure(faulty.figures), "silence")
    assert list(silence.y) == ["book_delta_v2"]
    assert [f"{base:%H:%M:%S}" for base in silence.base] == ["09:59:59"]
    assert silence.x[0] == pytest.approx(3_602_000, abs=20)


def test_agreement_is_drawn_by_ten_minutes(faulty: DayAssessment):
    agreement = faulty.figures.agreement
    assert agreement is not None
    agree, differ = agreement_figure(faulty.figures, agreement).data
    assert len(agree.x) == 144
    bad = {f"{at:%H:%M}" for at, share in zip(differ.x, differ.y, strict=True) if share}
    assert bad == {"10:00", "10:10", "10:20", "10:30", "10:40", "10:50"}
    assert all(a + b == pytest.approx(100) for a, b in zip(agree.y, differ.y, strict=True))


def test_spacing_and_steps_are_shares_of_all(faulty: DayAssessment):
    shown = {(trace.name, trace.xaxis): dict(zip(trace.x, trace.y, strict=True)) for trace in
             spacing_and_steps_figure(faulty.figures).data}  # fmt: skip
    assert shown["trades", "x"] == {"5 s": pytest.approx(100)}
    assert shown["book", "x"] == {"20 s": pytest.approx(100)}
    assert shown["book_delta_v2", "x2"]["1"] == pytest.approx(100 * 41_398 / 41_399)
    assert shown["book", "x2"]["100"] == 100


def test_markdown_names_every_finding_with_what_to_do(faulty: DayAssessment):
    text = markdown_report([faulty])
    for finding in faulty.findings:
        assert finding.sentence in text
        assert finding.do in text
    assert "| 2024-08-08 | crypto-lake | binance-spot BTC-USDT | serious | full_event_replay |" in text
    assert "not origin_time_sort: only 95.8 % of trades" in text


def test_page_is_one_file_that_loads_nothing(faulty: DayAssessment, tmp_path: Path):
    size = write_report_page(tmp_path / "report.html", [faulty])
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(text.encode()) == size
    body = text[text.index("<body>") :]
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    assert "default-src 'none'" in text
    for words in ("When messages came", "Do the changes give the book?", "Nothing from 09:59:59 to 11:00:01 UTC"):
        assert words in body
    assert body.count('class="plotly-graph-div"') == 4
