"""Optional dependencies, imported where they are used; the error of a missing one is the install line."""

import importlib
from types import ModuleType

from tidelake.errors import MissingExtra


def require(module: str, extra: str) -> ModuleType:
    """The imported module.

    Raises:
        MissingExtra: It, or something it needs, is not installed; the text is the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        text = f"{module} is not installed ({exc}). Install it with:\n    pip install 'tidelake[{extra}]'"
        raise MissingExtra(text, extra=extra) from exc
