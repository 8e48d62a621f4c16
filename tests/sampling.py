"""Cases of which `make test` runs a sample and `make soak` the others."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(every: int, cases: Iterable[Any]) -> list[Any]:
    """The cases as parameters, the first and each that many after it; the others are marked for the soak.

    A case of several values is a tuple.
    """
    found = []
    for place, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        found.append(pytest.param(*values, marks=() if place % every == 0 else pytest.mark.soak))
    return found
