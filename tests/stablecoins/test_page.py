"""The page of a replay: what it says of the hand-written hour, and that it loads nothing."""

import re

import pytest

from tests.stablecoins import crisis
from tests.stablecoins.crisis import at
from tidelake.cli.app import run
from tidelake.errors import NotInLake
from tidelake.raw.store import Store
from tidelake.stablecoins.page.charts import alerts_figure, price_figure, states_figure, supply_figure
from tidelake.stablecoins.page.page import story_words, write_replay_page
from tidelake.stablecoins.page.story import MOST_POINTS, _thinned, read_story


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    found = Store.open(tmp_path_factory.mktemp("lake"))
    crisis.replay(found)
    return found


@pytest.fixture(scope="module")
def story(store):
    return read_story(store, "USDC", crisis.RUN)


def trace(figure, name):
    (found,) = [each for each in figure.data if each.name == name]
    return found


def test_price_and_both_confidences_are_drawn_for_each_minute(story):
    figure = price_figure(story)
    price = trace(figure, "price")
    assert list(price.x) == [at(second) for second in range(0, crisis.END, 60)]
    off = [when for when, value in zip(price.x, price.y, strict=True) if value == 0.95]
    assert off == [at(second) for second in range(crisis.DEPEG_FROM, crisis.DEPEG_TO, 60)]
    first, last = trace(figure, "below: first word").y, trace(figure, "below: as it stands").y
    assert all(a < 0.6 <= 0.8 <= b for a, b in zip(first, last, strict=True))
    band = [value for value in trace(figure, "confidence 0.8 or more").y if value is not None]
    assert (min(band), max(band)) == (0.95, 1.0)


def test_windows_around_the_reorganisation_change_state_and_say_so(story):
    figure = states_figure(story)
    changed = trace(figure, "what it says changed")
    assert (changed.x[0], changed.y[0]) == (at(crisis.TAKEN_BACK), "22:25 to 22:30")
    settled = trace(figure, "FINAL")
    assert sorted(settled.y) == sorted(set(settled.y))
    assert story.about.startswith("a reorganisation of ethereum that was seen at 2023-11-14 22:31:00")
    assert story.seen_at == at(crisis.TAKEN_BACK)


def test_alert_is_marked_where_it_fired_and_where_it_was_confirmed(story):
    figure = alerts_figure(story)
    assert list(trace(figure, "PROVISIONAL").x) == [0]
    assert list(trace(figure, "CONFIRMED").x) == pytest.approx([59 / 60])
    assert list(trace(figure, "WITHDRAWN").x) == [None]


def test_what_was_taken_back_stands_beside_what_was_burned(story):
    figure = supply_figure(story)
    gone = trace(figure, "taken back by a reorganisation")
    assert (list(gone.x), list(gone.y)) == ([at(crisis.BURNT_AT)], [-7])
    assert sum(trace(figure, "burned").y) == -7


def test_words_say_what_happened_with_times_and_amounts(story):
    depeg, gone, *_ = story_words(story)
    assert depeg.startswith("USDC left its peg by 5 % at worst. The alert fired at 2023-11-14 22:35:01, 1.0 s after")
    assert "CONFIRMED at 22:36:00: a second source agrees. It was over at 22:45:00." in depeg
    assert gone.startswith("Ethereum replaced its newest blocks, seen at 2023-11-14 22:31:00: 1 mint or burn was taken")
    assert "(net -7 tokens)" in gone


def test_page_of_an_earlier_moment_does_not_know_what_came_later(store):
    early = read_story(store, "USDC", crisis.RUN, at(crisis.TAKEN_BACK - 1))
    assert early.alerts.is_empty()
    assert early.corrections.is_empty()
    assert early.prices["burned"].sum() == 7
    assert list(story_words(early))[-1].startswith("It stayed at its peg")


def test_many_windows_are_drawn_in_groups_that_keep_the_extremes(story):
    rows = story.prices.select(story.prices.columns)
    many = rows.head(0).vstack(rows).sample(MOST_POINTS * 2 + 10, with_replacement=True, seed=1).sort("at")
    found = _thinned(many, 3)
    assert found.height <= MOST_POINTS
    assert found["low"].min() == 0.95
    assert found["burned"].sum() == pytest.approx(many["burned"].sum())


def test_page_loads_nothing_and_is_written_by_both_commands(tmp_path, store, capsys):
    page = tmp_path / "page.html"
    assert run(["--lake", store.url, "stablecoins", "page", str(page)]) == 0
    assert "bytes" in capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    own = re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.DOTALL)  # without the library
    assert len(own) < 400_000 < len(text)
    assert not re.search(r"(?:src|href)\s*=\s*[\"']|@import|url\(", own)
    for said in ("In words", "Windows change state", "What to trust, and why", 'id="price-USDC"', "weight 0.3".title()):
        assert said.lower() in own.lower()
    history = tmp_path / "history" / "ethereum"
    history.mkdir(parents=True)
    (history / "price.csv").write_text("timestamp,coin,price\n2024-01-15T00:00:10Z,USDC,1.0\n", encoding="utf-8")
    lake, other = tmp_path / "lake", tmp_path / "other.html"
    args = ["--lake", str(lake), "stablecoins", "replay", str(history.parent), "--html", str(other)]
    assert run(args) == 0
    assert "no alert was withdrawn" in other.read_text(encoding="utf-8")


def test_replay_must_be_named_where_there_are_several(tmp_path, store):
    found = Store.open(tmp_path)
    crisis.replay(found)
    crisis.replay(found, "again")
    with pytest.raises(NotInLake, match="several replays"):
        write_replay_page(tmp_path / "page.html", found)
    assert write_replay_page(tmp_path / "page.html", found, run="again") > 1_000_000
