import pytest

from tidelake.errors import MissingExtra
from tidelake.extras import require


def test_installed_module_is_returned():
    assert require("json", extra="none").loads("[1]") == [1]


def test_missing_module_names_the_install_line():
    with pytest.raises(MissingExtra, match=r"pip install 'tidelake\[redis\]'") as caught:
        require("no_such_module_of_tidelake", extra="redis")
    assert caught.value.extra == "redis"
