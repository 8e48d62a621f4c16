"""Finds the rules: every module of this package that holds `RULES`, by source id."""

import importlib
import pkgutil
from functools import cache

import tidelake.books.rules as package
from tidelake.books.rules.spec import BookRule

NO_RULE = BookRule("none/1")  # a source or channel that no rule speaks of offers nothing


@cache
def all_rules() -> dict[str, tuple[BookRule, ...]]:
    """The rules of each source, in the order in which they are asked."""
    modules = (importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__))
    found = [module.RULES for module in modules if hasattr(module, "RULES")]
    return {source: rules for named in found for source, rules in named.items()}


def rules_of(source: str) -> tuple[BookRule, ...]:
    """The rules of a source, ended by one that proves nothing."""
    return (*all_rules().get(source, ()), NO_RULE)
