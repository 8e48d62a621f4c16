import pytest

from tidelake.config import SETTINGS, find_file, setting
from tidelake.errors import ConfigError


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tidelake.toml").write_text('lake = "from-file"\nmappings = "s3://bucket/maps"\n')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    return deep


def test_argument_beats_environment_beats_file_beats_default(project):
    environ = {"TIDELAKE_LAKE": "from-env"}
    assert setting("lake", "from-arg", default="d", environ=environ, folder=project) == "from-arg"
    assert setting("lake", default="d", environ=environ, folder=project) == "from-env"
    assert setting("lake", default="d", environ={}, folder=project) == str(project.parents[1] / "from-file")
    assert setting("spool", default="d", environ={}, folder=project) == "d"


def test_empty_argument_and_empty_variable_count_as_not_given(project):
    assert setting("lake", "", environ={"TIDELAKE_LAKE": ""}, folder=project).endswith("from-file")


def test_url_in_the_file_stays_as_it_is(project):
    assert setting("mappings", environ={}, folder=project) == "s3://bucket/maps"


def test_nearest_file_wins(project):
    (project / "tidelake.toml").write_text('lake = "/near"\n')
    assert find_file(project) == project / "tidelake.toml"
    assert setting("lake", environ={}, folder=project) == "/near"


def test_missing_value_lists_every_place_looked_in(tmp_path):
    with pytest.raises(ConfigError) as caught:
        setting("lake", environ={}, folder=tmp_path)
    assert [place.split(":")[0] for place in caught.value.tried] == ["argument", "environment", "file", "default"]
    for word in ("--lake", "TIDELAKE_LAKE", "tidelake.toml", str(tmp_path)):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lake = ", "cannot be read"),
        ("lake = 3", "must be text, found int"),
        ("lakes = 'x'", "unknown setting 'lakes'"),
        ("key = 'c2VjcmV0'", "environment only"),
    ],
)
def test_wrong_file_is_refused_by_name(tmp_path, text, message):
    (tmp_path / "tidelake.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        setting("lake", environ={}, folder=tmp_path)
    assert str(tmp_path / "tidelake.toml") in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_each_setting_has_its_variable():
    assert all(setting.variable == f"TIDELAKE_{name.upper()}" for name, setting in SETTINGS.items())
